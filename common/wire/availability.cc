#include "common/wire/availability.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::wire {
namespace {

constexpr size_t kHeaderSize = 64;
constexpr size_t kGroupSize = 24;
constexpr int32_t kFormatVersion = 0;
// Fewer equal runs stay groups of their own, as Java writes them.
constexpr size_t kRunsOfPeriodicGroupMin = 3;

absl::Status Corrupt(std::string_view detail) {
  return MakeError(ErrorCode::kCorruptData, StrCat("entry availability: ", detail));
}

}  // namespace

void AvailabilityBuilder::AddRun(EntryId first, EntryId last) {
  STELE_CHECK_OP(first.value(), <=, last.value());
  STELE_CHECK_OP(first.value(), >, run_last_);
  if (has_run_ && first.value() - 1 == run_last_) {
    run_last_ = last.value();
    return;
  }
  CloseRun();
  has_run_ = true;
  run_first_ = first.value();
  run_last_ = last.value();
}

// A size is 32 bits in the blob, so a giant run becomes several groups.
void AvailabilityBuilder::CloseRun() {
  constexpr int64_t kSizeMax = std::numeric_limits<int32_t>::max();
  if (!has_run_) return;
  while (run_last_ - run_first_ >= kSizeMax) {
    PushRun(run_first_, kSizeMax);
    run_first_ += kSizeMax;
  }
  PushRun(run_first_, static_cast<int32_t>(run_last_ - run_first_ + 1));
}

void AvailabilityBuilder::PushRun(int64_t first, int32_t size) {
  if (!groups_.empty()) {
    Group& group = groups_.back();
    if (group.period != 0 && group.size == size && first - group.last_start == group.period) {
      group.last_start = first;
      return;
    }
  }
  groups_.push_back({.first_start = first, .last_start = first, .size = size, .period = 0});
  if (groups_.size() < kRunsOfPeriodicGroupMin) return;
  Group* const three = &groups_[groups_.size() - kRunsOfPeriodicGroupMin];
  const int64_t period = three[1].first_start - three[0].first_start;
  for (size_t i = 0; i < kRunsOfPeriodicGroupMin; ++i) {
    const bool fits =
        three[i].period == 0 && three[i].size == size &&
        three[i].first_start - three[0].first_start == static_cast<int64_t>(i) * period;
    if (!fits || period > std::numeric_limits<int32_t>::max()) return;
  }
  three[0].last_start = first;
  three[0].period = static_cast<int32_t>(period);
  groups_.resize(groups_.size() - kRunsOfPeriodicGroupMin + 1);
}

Buffer AvailabilityBuilder::Finish() && {
  CloseRun();
  MutableBuffer blob(kHeaderSize + groups_.size() * kGroupSize);
  std::memset(blob.data(), 0, kHeaderSize);
  StoreBigEndian(blob.data(), kFormatVersion);
  StoreBigEndian(blob.data() + 4, static_cast<int32_t>(groups_.size()));
  char* to = blob.data() + kHeaderSize;
  for (const Group& group : groups_) {
    StoreBigEndian(to, group.first_start);
    StoreBigEndian(to + 8, group.last_start);
    StoreBigEndian(to + 16, group.size);
    StoreBigEndian(to + 20, group.period);
    to += kGroupSize;
  }
  return std::move(blob).Freeze();
}

struct Availability::Group {
  int64_t first_start;
  int64_t last_start;
  int64_t size;
  int64_t period;

  // Numbers that mean something, and a last entry that has a number.
  bool IsValid() const {
    if (first_start < 0 || size <= 0 || last_start < first_start) return false;
    if (last_start > std::numeric_limits<int64_t>::max() - (size - 1)) return false;
    if (last_start == first_start) return true;
    return period >= size && (last_start - first_start) % period == 0;
  }
  int64_t last_entry() const { return last_start + (size - 1); }

  // The smallest entry of the group that is >= `from`, which lies in [first_start, last_entry()].
  int64_t FirstAtOrAfter(int64_t from) const {
    if (last_start == first_start) return from;
    const int64_t start = std::min(from - (from - first_start) % period, last_start);
    return from - start < size ? from : start + period;
  }
};

absl::StatusOr<Availability> Availability::Parse(Buffer blob) {
  if (blob.size() < kHeaderSize) return Corrupt(StrCat("only ", blob.size(), " bytes"));
  const auto version = LoadBigEndian<int32_t>(blob.data());
  if (version != kFormatVersion) return Corrupt(StrCat("format version ", version));
  const auto group_count = LoadBigEndian<uint32_t>(blob.data() + 4);
  if (group_count > (blob.size() - kHeaderSize) / kGroupSize) {
    return Corrupt(StrCat(group_count, " groups in ", blob.size(), " bytes"));
  }
  Availability result(std::move(blob), group_count);
  int64_t last_entry = -1;
  for (size_t i = 0; i < group_count; ++i) {
    const Group group = result.GroupAt(i);
    if (!group.IsValid()) return Corrupt(StrCat("group ", i, " makes no sense"));
    if (group.first_start <= last_entry) return Corrupt(StrCat("group ", i, " overlaps"));
    last_entry = group.last_entry();
  }
  return result;
}

Availability::Availability(Buffer blob, size_t group_count)
    : blob_(std::move(blob)), group_count_(group_count) {}

Availability::Group Availability::GroupAt(size_t index) const {
  const char* const from = blob_.data() + kHeaderSize + index * kGroupSize;
  return {.first_start = LoadBigEndian<int64_t>(from),
          .last_start = LoadBigEndian<int64_t>(from + 8),
          .size = LoadBigEndian<int32_t>(from + 16),
          .period = LoadBigEndian<int32_t>(from + 20)};
}

EntryId Availability::FirstAtOrAfter(EntryId from) const {
  // The first group that ends at or behind `from`: groups ascend.
  size_t low = 0;
  size_t high = group_count_;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (GroupAt(middle).last_entry() < from.value()) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == group_count_) return kNoEntry;
  const Group group = GroupAt(low);
  return EntryId(group.FirstAtOrAfter(std::max(from.value(), group.first_start)));
}

bool Availability::Contains(EntryId entry) const {
  return !entry.IsNone() && FirstAtOrAfter(entry) == entry;
}

}  // namespace stele::wire
