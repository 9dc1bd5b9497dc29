#include "simulation/sim_disk.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/stable_hash.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "simulation/sim_process.h"

namespace stele::simulation {
namespace {

absl::Status NoSuchFile(std::string_view path) {
  return MakeError(ErrorCode::kNoSuchFile, StrCat(path, ": no such file or directory"));
}

// The parts of a path; relative paths begin at the root.
absl::StatusOr<std::vector<std::string>> SplitPath(std::string_view path) {
  std::vector<std::string> parts;
  if (path.empty()) return NoSuchFile(path);
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") return MakeError(ErrorCode::kIoError, "'..' is not simulated");
    parts.emplace_back(part);
  }
  return parts;
}

// The sectors of page `page` that [begin, end) touches.
uint8_t SectorMask(uint64_t page, uint64_t begin, uint64_t end) {
  const uint64_t page_begin = page * kPageBytes;
  const uint64_t first = begin <= page_begin ? 0 : (begin - page_begin) / kSectorBytes;
  const uint64_t last = std::min<uint64_t>(kPageBytes, end - page_begin);
  uint8_t mask = 0;
  for (uint64_t sector = first; sector * kSectorBytes < last; ++sector) {
    mask = static_cast<uint8_t>(mask | 1u << sector);
  }
  return mask;
}

}  // namespace

SimDisk::SimDisk(Scheduler* scheduler, std::string label, SimDiskOptions options)
    : scheduler_(scheduler),
      options_(options),
      random_(scheduler->random().Child(StrCat("disk/", label))),
      device_(StableHash(std::string_view(label))),
      disk_faults_(random_.Child("faults"), &scheduler->faults()),
      root_(NewInode(true)) {}

SimDisk::Trouble SimDisk::AskFaults(const FileRequest& request) {
  if (faults_ != nullptr) {
    if (absl::Status error = faults_->BeforeOperation(request); !error.ok()) return {error, {}};
  }
  if (!forbidden_.empty() && request.path.starts_with(forbidden_) &&
      (request.operation == FileOperation::kOpen || request.operation == FileOperation::kList)) {
    scheduler_->faults().Count("disk.forbidden");
    return {MakeError(ErrorCode::kIoError, StrCat(request.path, ": permission denied")), {}};
  }
  const std::optional<DiskFault> fault = disk_faults_.Draw(request);
  if (!fault.has_value()) return {};
  switch (*fault) {
    case DiskFault::kReadError:
    case DiskFault::kWriteError:
    case DiskFault::kSyncFails:
    case DiskFault::kSyncFailsShows:
      return {MakeError(ErrorCode::kIoError, StrCat(request.path, ": input/output error")), fault};
    case DiskFault::kNoDescriptors:
      return {MakeError(ErrorCode::kOverloaded, StrCat(request.path, ": too many open files")),
              fault};
    case DiskFault::kNoSpace:
      return {MakeError(ErrorCode::kDiskFull, StrCat(request.path, ": no space left")), fault};
    default: return {absl::OkStatus(), fault};
  }
}

void SimDisk::StallFor(absl::Duration duration) {
  stalled_until_nanoseconds_ =
      std::max(stalled_until_nanoseconds_, (scheduler_->Now() + duration).nanoseconds());
  scheduler_->faults().Count("disk.stall");
}

absl::Duration SimDisk::stall_left() const {
  return absl::Nanoseconds(
      std::max<int64_t>(stalled_until_nanoseconds_ - scheduler_->Now().nanoseconds(), 0));
}

absl::Duration SimDisk::DrawLatency(size_t transfer_bytes) {
  const auto spread = static_cast<uint64_t>(absl::ToInt64Nanoseconds(options_.latency_spread));
  const uint64_t transfer_nanoseconds =
      transfer_bytes * 1'000 /
      std::max<uint64_t>(1, options_.transfer_bytes_per_second / 1'000'000);
  const absl::Duration latency =
      options_.latency_min +
      absl::Nanoseconds(static_cast<int64_t>(random_.Below(spread + 1) + transfer_nanoseconds));
  absl::Duration uneven = absl::ZeroDuration();
  if (unevenness_max_ > absl::ZeroDuration()) {
    const auto most = static_cast<uint64_t>(absl::ToInt64Nanoseconds(unevenness_max_));
    uneven = absl::Nanoseconds(static_cast<int64_t>(random_.Below(most + 1)));
  }
  return latency * slowness_ + uneven;
}

SimDisk::InodeRef SimDisk::NewInode(bool is_directory) {
  auto inode = std::make_shared<Inode>();
  inode->id = device_ + inodes_made_++;  // differs between disks, which may swap directories
  inode->is_directory = is_directory;
  return inode;
}

// ---- Names

absl::StatusOr<SimDisk::InodeRef> SimDisk::Find(std::string_view path) const {
  STELE_TRY(const std::vector<std::string> parts, SplitPath(path));
  InodeRef inode = root_;
  for (const std::string& part : parts) {
    const auto found = inode->names.find(part);  // a file has no names
    if (found == inode->names.end()) return NoSuchFile(path);
    inode = found->second;
  }
  return inode;
}

absl::StatusOr<std::pair<SimDisk::InodeRef, std::string>> SimDisk::FindParent(
    std::string_view path) const {
  STELE_TRY(std::vector<std::string> parts, SplitPath(path));
  if (parts.empty()) return MakeError(ErrorCode::kIoError, "the root has no parent");
  InodeRef inode = root_;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const auto found = inode->names.find(parts[i]);
    if (found == inode->names.end()) return NoSuchFile(path);
    inode = found->second;
  }
  if (!inode->is_directory) {
    return MakeError(ErrorCode::kIoError, StrCat(path, ": a part is not a directory"));
  }
  return std::pair(std::move(inode), std::move(parts.back()));
}

void SimDisk::Apply(NameStep step) {
  for (const NameChange& change : step) {
    InodeRef& place = change.directory->names[change.name];
    const InodeRef old = std::exchange(place, change.inode);
    if (change.inode != nullptr) ++change.inode->links;
    if (change.inode == nullptr) change.directory->names.erase(change.name);
    if (old != nullptr) {
      --old->links;
      ReleaseIfGone(old.get());
    }
  }
  unsynced_names_.push_back(std::move(step));
}

void SimDisk::MakeDurable(const NameStep& step) {
  for (const NameChange& change : step) {
    if (change.inode == nullptr) {
      change.directory->durable_names.erase(change.name);
    } else {
      change.directory->durable_names[change.name] = change.inode;
    }
  }
}

absl::StatusOr<SimDisk::InodeRef> SimDisk::Open(std::string_view path, OpenOptions options) {
  STELE_TRY(const auto place, FindParent(path));
  const auto& [parent, name] = place;
  const auto found = parent->names.find(name);
  InodeRef inode;
  if (found != parent->names.end()) {
    if (options.create == OpenOptions::Create::kMustBeNew) {
      return MakeError(ErrorCode::kFileExists, StrCat(path, ": exists"));
    }
    inode = found->second;
    if (inode->is_directory) return MakeError(ErrorCode::kIoError, StrCat(path, ": a directory"));
  } else {
    if (options.create == OpenOptions::Create::kNever) return NoSuchFile(path);
    STELE_TRY_OK(CheckCanCreate());
    inode = NewInode(false);
    Apply({{parent, name, inode}});
  }
  ++inode->open_files;
  return inode;
}

void SimDisk::CloseFile(Inode* inode) {
  --inode->open_files;
  ReleaseIfGone(inode);
}

absl::Status SimDisk::MakeDirectories(std::string_view path) {
  STELE_TRY(const std::vector<std::string> parts, SplitPath(path));
  InodeRef inode = root_;
  for (const std::string& part : parts) {
    if (!inode->is_directory) {
      return MakeError(ErrorCode::kIoError, StrCat(path, ": a part is not a directory"));
    }
    const auto found = inode->names.find(part);
    InodeRef next = found == inode->names.end() ? nullptr : found->second;
    if (next == nullptr) {
      STELE_TRY_OK(CheckCanCreate());
      next = NewInode(true);
      Apply({{inode, part, next}});
    }
    inode = std::move(next);
  }
  if (inode->is_directory) return absl::OkStatus();
  return MakeError(ErrorCode::kFileExists, StrCat(path, ": a file"));
}

absl::Status SimDisk::CheckCanCreate() const {
  if (files_max_ == UINT64_MAX) return absl::OkStatus();
  if (FilesBelow("/").size() < files_max_) return absl::OkStatus();
  scheduler_->faults().Count("disk.no_inodes");
  return MakeError(ErrorCode::kDiskFull, "no inodes left on the simulated disk");
}

absl::Status SimDisk::Rename(std::string_view from, std::string_view to) {
  STELE_TRY(const auto source, FindParent(from));
  STELE_TRY(const auto target, FindParent(to));
  const auto found = source.first->names.find(source.second);
  if (found == source.first->names.end()) return NoSuchFile(from);
  const InodeRef inode = found->second;
  const auto replaced = target.first->names.find(target.second);
  if (replaced != target.first->names.end()) {
    const InodeRef& old = replaced->second;
    if (old == inode) return absl::OkStatus();  // POSIX: two names of one file both stay
    if (old->is_directory != inode->is_directory || !old->names.empty()) {
      return MakeError(ErrorCode::kIoError, StrCat(to, ": cannot be replaced by ", from));
    }
  }
  if (inode->is_directory && StrCat(to, "/").starts_with(StrCat(from, "/"))) {
    return MakeError(ErrorCode::kIoError, StrCat(to, ": is inside ", from));
  }
  Apply({{source.first, source.second, nullptr}, {target.first, target.second, inode}});
  return absl::OkStatus();
}

absl::Status SimDisk::Link(std::string_view from, std::string_view to) {
  STELE_TRY(const InodeRef inode, Find(from));
  if (inode->is_directory) return MakeError(ErrorCode::kIoError, StrCat(from, ": a directory"));
  STELE_TRY(const auto target, FindParent(to));
  if (target.first->names.contains(target.second)) {
    return MakeError(ErrorCode::kFileExists, StrCat(to, ": exists"));
  }
  Apply({{target.first, target.second, inode}});
  return absl::OkStatus();
}

absl::Status SimDisk::Remove(std::string_view path) {
  STELE_TRY(const auto place, FindParent(path));
  const auto found = place.first->names.find(place.second);
  if (found == place.first->names.end()) return NoSuchFile(path);
  if (!found->second->names.empty()) {
    return MakeError(ErrorCode::kIoError, StrCat(path, ": not empty"));
  }
  Apply({{place.first, place.second, nullptr}});
  return absl::OkStatus();
}

absl::Status SimDisk::SyncDirectory(std::string_view path) {
  STELE_TRY(const InodeRef directory, Find(path));
  if (!directory->is_directory) {
    return MakeError(ErrorCode::kIoError, StrCat(path, ": not a directory"));
  }
  // Everything about this directory, and what must have happened before it: earlier changes of the
  // same names. Found from the last change to the first, made durable from the first to the last.
  std::set<std::pair<uint64_t, std::string>> needed;
  std::list<NameStep> durable;
  for (auto step = unsynced_names_.end(); step != unsynced_names_.begin();) {
    --step;
    const bool wanted = std::any_of(step->begin(), step->end(), [&](const NameChange& change) {
      return change.directory == directory || needed.contains({change.directory->id, change.name});
    });
    if (!wanted) continue;
    for (const NameChange& change : *step) needed.insert({change.directory->id, change.name});
    const auto taken = step++;
    durable.splice(durable.begin(), unsynced_names_, taken);
  }
  for (const NameStep& step : durable) MakeDurable(step);
  return absl::OkStatus();
}

// ---- Content

absl::Status SimDisk::Charge(Inode* inode, uint64_t size) {
  const uint64_t charge = (size + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (charge > inode->charged_bytes &&
      used_bytes_ - inode->charged_bytes + charge > options_.size_bytes) {
    scheduler_->faults().Count("disk.full");
    return MakeError(ErrorCode::kDiskFull, "no space left on the simulated disk");
  }
  used_bytes_ += charge - inode->charged_bytes;
  inode->charged_bytes = charge;
  return absl::OkStatus();
}

void SimDisk::ReleaseIfGone(Inode* inode) {
  if (inode->links > 0 || inode->open_files > 0) return;
  used_bytes_ -= inode->charged_bytes;
  inode->charged_bytes = 0;
}

absl::Status SimDisk::Write(Inode* inode, uint64_t offset, std::string_view bytes,
                            OpenOptions::Sync sync) {
  if (bytes.empty()) return absl::OkStatus();
  const uint64_t end = offset + bytes.size();
  STELE_TRY_OK(Charge(inode, std::max(inode->content.size(), end)));
  inode->content.Write(offset, bytes);
  if (!inode->bad_sectors.empty()) {
    inode->bad_sectors.erase(inode->bad_sectors.lower_bound(offset / kSectorBytes),
                             inode->bad_sectors.lower_bound((end - 1) / kSectorBytes + 1));
  }
  const bool durable = sync == OpenOptions::Sync::kEachWrite;
  for (uint64_t page = offset / kPageBytes; page * kPageBytes < end; ++page) {
    const uint8_t mask = SectorMask(page, offset, end);
    if (!durable) {
      inode->unsynced[page] |= mask;
      continue;
    }
    inode->durable.CopySectors(page, mask, inode->content);
    const auto unsynced = inode->unsynced.find(page);
    if (unsynced != inode->unsynced.end()) {
      unsynced->second = static_cast<uint8_t>(unsynced->second & ~mask);
    }
  }
  if (durable && end > inode->durable.size()) inode->durable.Resize(end);
  return absl::OkStatus();
}

absl::Status SimDisk::Truncate(Inode* inode, uint64_t size) {
  STELE_TRY_OK(Charge(inode, size));
  if (size < inode->content.size()) {
    const uint64_t boundary = size / kPageBytes;
    for (uint64_t page = inode->durable.NextPage(boundary); page != UINT64_MAX;
         page = inode->durable.NextPage(page + 1)) {
      inode->unsynced[page] |= SectorMask(page, size, (page + 1) * kPageBytes);
    }
  }
  inode->content.Resize(size);
  return absl::OkStatus();
}

void SimDisk::SyncFile(Inode* inode) {
  for (const auto& [page, mask] : inode->unsynced) {
    inode->durable.CopySectors(page, mask, inode->content);
  }
  inode->durable.Resize(inode->content.size());
  inode->unsynced.clear();
}

// ---- Crashes

void SimDisk::Watch(SimProcess* process) {
  if (std::find(watched_.begin(), watched_.end(), process) != watched_.end()) return;
  watched_.push_back(process);
  process->AtCrash([this, process] { OnProcessCrash(process); });
}

SimDisk::WriteTicket SimDisk::BeginWrite(WriteInFlight write) {
  Watch(write.process);
  return writes_in_flight_.insert(writes_in_flight_.end(), std::move(write));
}

void SimDisk::OnProcessCrash(SimProcess* process) {
  for (auto write = writes_in_flight_.begin(); write != writes_in_flight_.end();) {
    if (write->process != process) {
      ++write;
      continue;
    }
    const uint64_t pages = (write->bytes.size() + kPageBytes - 1) / kPageBytes;
    const uint64_t landed =
        power_failing_
            ? write->bytes.size()
            : std::min<uint64_t>(write->bytes.size(), random_.Below(pages + 1) * kPageBytes);
    // No space: then it lands nowhere.
    Write(write->inode.get(), write->offset, write->bytes.view().substr(0, landed),
          OpenOptions::Sync::kExplicit)
        .IgnoreError();
    write = writes_in_flight_.erase(write);
  }
}

void SimDisk::PowerCut() {
  STELE_CHECK(power_failing_);
  power_failing_ = false;
  STELE_CHECK(writes_in_flight_.empty());
  static constexpr uint64_t kSurvivalEighths[] = {0, 1, 4, 7, 8};
  const uint64_t names_survival = kSurvivalEighths[random_.Below(std::size(kSurvivalEighths))];
  const uint64_t sectors_survival = kSurvivalEighths[random_.Below(std::size(kSurvivalEighths))];
  scheduler_->trace().Record(TraceKind::kDisk, device_, names_survival * 16 + sectors_survival);
  scheduler_->faults().Count("disk.power_cut");
  DecideNames(names_survival);
  used_bytes_ = 0;
  std::set<uint64_t> seen;
  DecideTree(root_, sectors_survival, &seen);
}

void SimDisk::DecideNames(uint64_t survival_eighths) {
  std::set<std::pair<uint64_t, std::string>> lost;
  const bool ordered = power_cut_mode_ == PowerCutMode::kOrdered;
  const uint64_t in_order = random_.Below(unsynced_names_.size() + 1);
  uint64_t taken = 0;
  for (const NameStep& step : unsynced_names_) {
    if (ordered) {
      if (taken++ < in_order) MakeDurable(step);
      continue;
    }
    const bool possible = std::none_of(step.begin(), step.end(), [&](const NameChange& change) {
      return lost.contains({change.directory->id, change.name});
    });
    if (possible && random_.Chance(survival_eighths, 8)) {
      MakeDurable(step);
    } else {
      for (const NameChange& change : step) lost.insert({change.directory->id, change.name});
    }
  }
  unsynced_names_.clear();
}

void SimDisk::DecideTree(const InodeRef& directory, uint64_t survival_eighths,
                         std::set<uint64_t>* seen) {
  directory->names = directory->durable_names;
  directory->locked = false;
  for (const auto& [name, inode] : directory->names) {
    const bool first = seen->insert(inode->id).second;
    inode->links = first ? 1 : inode->links + 1;
    if (!first) continue;
    inode->open_files = 0;
    if (inode->is_directory) {
      DecideTree(inode, survival_eighths, seen);
    } else {
      DecideContent(inode.get(), survival_eighths);
    }
  }
}

void SimDisk::DecideContent(Inode* inode, uint64_t survival_eighths) {
  if (power_cut_mode_ == PowerCutMode::kOrdered) {
    return DecideContentOrdered(inode, survival_eighths);
  }
  SectorImage& image = inode->durable;
  for (const auto& [page, mask] : inode->unsynced) {
    uint8_t survives = 0;
    for (int sector = 0; sector < kSectorsPerPage; ++sector) {
      if ((mask >> sector & 1) != 0 && random_.Chance(survival_eighths, 8)) {
        survives = static_cast<uint8_t>(survives | 1u << sector);
      }
    }
    image.CopySectors(page, survives, inode->content);
  }
  const uint64_t before = image.size();
  const uint64_t after = inode->content.size();
  uint64_t size = random_.Chance(1, 2) ? before : after;
  if (after > before && random_.Chance(1, 3)) size = before + random_.Below(after - before + 1);
  // First up, then down: no surviving sector may hide behind the end.
  image.Resize(std::max(before, after));
  image.Resize(size);
  inode->unsynced.clear();
  Recharge(inode);
}

void SimDisk::DecideContentOrdered(Inode* inode, uint64_t survival_eighths) {
  SectorImage& image = inode->durable;
  const uint64_t before = image.size();
  const uint64_t after = inode->content.size();
  const uint64_t size = after > before ? before + random_.Below(after - before + 1)
                        : random_.Chance(survival_eighths, 8) ? after
                                                              : before;
  for (const auto& [page, mask] : inode->unsynced) {
    uint8_t survives = 0;
    for (int sector = 0; sector < kSectorsPerPage; ++sector) {
      if ((mask >> sector & 1) == 0) continue;
      const uint64_t at = page * kPageBytes + static_cast<uint64_t>(sector) * kSectorBytes;
      // Where the file has grown, all data below its new end are there.
      if (at >= before ? at < size : random_.Chance(survival_eighths, 8)) {
        survives = static_cast<uint8_t>(survives | 1u << sector);
      }
    }
    image.CopySectors(page, survives, inode->content);
  }
  image.Resize(std::max(before, after));
  image.Resize(size);
  inode->unsynced.clear();
  Recharge(inode);
}

void SimDisk::Recharge(Inode* inode) {
  inode->content = inode->durable;
  inode->charged_bytes = (inode->content.size() + kPageBytes - 1) / kPageBytes * kPageBytes;
  used_bytes_ += inode->charged_bytes;
}

}  // namespace stele::simulation
