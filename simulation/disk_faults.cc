#include "simulation/disk_faults.h"

#include <algorithm>
#include <utility>

#include "simulation/sim_disk.h"

namespace stele::simulation {
namespace {

bool CanStrike(DiskFault fault, FileOperation operation) {
  switch (fault) {
    case DiskFault::kReadError:
    case DiskFault::kBadSector:
    case DiskFault::kMisdirectedRead: return operation == FileOperation::kRead;
    case DiskFault::kWriteError:
    case DiskFault::kTornWrite:
    case DiskFault::kLostWrite:
    case DiskFault::kMisdirectedWrite:
    case DiskFault::kWriteToOtherFile: return operation == FileOperation::kWrite;
    case DiskFault::kSyncFails:
    case DiskFault::kSyncFailsShows: return operation == FileOperation::kSync;
    case DiskFault::kNoSpace:
      return operation == FileOperation::kOpen || operation == FileOperation::kMakeDirectories ||
             operation == FileOperation::kRename || operation == FileOperation::kLink ||
             operation == FileOperation::kWrite || operation == FileOperation::kSync ||
             operation == FileOperation::kTruncate;
    case DiskFault::kNoDescriptors: return operation == FileOperation::kOpen;
  }
  return false;
}

}  // namespace

std::string_view NameOf(DiskFault fault) {
  switch (fault) {
    case DiskFault::kReadError: return "disk.read_error";
    case DiskFault::kWriteError: return "disk.write_error";
    case DiskFault::kTornWrite: return "disk.torn_write";
    case DiskFault::kSyncFails: return "disk.sync_fails";
    case DiskFault::kSyncFailsShows: return "disk.sync_fails_shows";
    case DiskFault::kNoSpace: return "disk.no_space";
    case DiskFault::kNoDescriptors: return "disk.no_descriptors";
    case DiskFault::kBadSector: return "disk.bad_sector";
    case DiskFault::kMisdirectedRead: return "disk.misdirected_read";
    case DiskFault::kLostWrite: return "disk.lost_write";
    case DiskFault::kMisdirectedWrite: return "disk.misdirected_write";
    case DiskFault::kWriteToOtherFile: return "disk.write_to_other_file";
  }
  return "disk.?";
}

void DiskFaults::Arm(DiskFault fault, int times, std::string prefix) {
  armed_.push_back({fault, times, std::move(prefix)});
}

void DiskFaults::SetChance(DiskFault fault, uint64_t per_million) {
  chances_[static_cast<int>(fault)] = per_million;
  has_chances_ = std::any_of(std::begin(chances_), std::end(chances_),
                             [](uint64_t chance) { return chance > 0; });
}

void DiskFaults::Clear() {
  armed_.clear();
  std::fill(std::begin(chances_), std::end(chances_), 0);
  has_chances_ = false;
}

std::optional<DiskFault> DiskFaults::Draw(const FileRequest& request) {
  for (auto armed = armed_.begin(); armed != armed_.end(); ++armed) {
    if (!CanStrike(armed->fault, request.operation) || !request.path.starts_with(armed->prefix)) {
      continue;
    }
    const DiskFault fault = armed->fault;
    if (--armed->times == 0) armed_.erase(armed);
    counts_->Count(NameOf(fault));
    return fault;
  }
  if (!has_chances_) return std::nullopt;
  for (int i = 0; i < kDiskFaultCount; ++i) {
    const auto fault = static_cast<DiskFault>(i);
    if (chances_[i] == 0 || !CanStrike(fault, request.operation)) continue;
    if (!random_.Chance(chances_[i], 1'000'000)) continue;
    counts_->Count(NameOf(fault));
    return fault;
  }
  return std::nullopt;
}

}  // namespace stele::simulation
