#include "bookie/disk_rules.h"

#include <algorithm>

namespace stele::bookie {
namespace {

int64_t UsedPpm(const DiskSpace& space) {
  if (space.total_bytes == 0) return 1'000'000;  // a disk without bytes has none to give
  const uint64_t used = space.total_bytes - std::min(space.free_bytes, space.total_bytes);
  return static_cast<int64_t>(static_cast<unsigned __int128>(used) * 1'000'000 / space.total_bytes);
}

}  // namespace

bool DiskRules::IsFull(const DirectorySpace& directory) {
  const auto known = std::find(full_.begin(), full_.end(), directory.directory);
  const int64_t used = UsedPpm(directory.space);
  if (known != full_.end()) {
    if (used >= options_.recovered_below_ppm) return true;
    full_.erase(known);
    return false;
  }
  if (used <= options_.full_above_ppm) return false;
  full_.push_back(directory.directory);
  return true;
}

DiskDecision DiskRules::Decide(const std::vector<DirectorySpace>& ledgers,
                               const std::vector<DirectorySpace>& journals) {
  DiskDecision decision;
  size_t full_ledgers = 0;
  bool reserve_left = false;
  for (const DirectorySpace& directory : ledgers) {
    if (IsFull(directory)) {
      ++full_ledgers;
      decision.full.push_back(directory.directory);
    }
    reserve_left |= directory.space.free_bytes > options_.high_priority_reserve_bytes;
  }
  bool journal_full = false;
  for (const DirectorySpace& directory : journals) {
    if (!IsFull(directory)) continue;
    journal_full = true;
    decision.full.push_back(directory.directory);
  }
  decision.read_only = journal_full || (full_ledgers > 0 && options_.read_only_on_any_full) ||
                       full_ledgers == ledgers.size();
  decision.high_priority_allowed = reserve_left && !journal_full;
  return decision;
}

}  // namespace stele::bookie
