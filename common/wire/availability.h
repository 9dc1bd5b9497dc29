// The set of entries of one ledger on one bookie, as a bookie answers it
// (availabilityOfEntriesOfLedger): runs of consecutive entry ids, and groups of equal runs at equal
// distances.
//
//   offset  size  field (big-endian)
//        0     4  format version, 0
//        4     4  number of groups
//        8    56  zeros
//     64+24i      group i: start of its first run (8), start of its last run (8), entries in each
//     run (4),
//                 distance of the starts (4; 0 when there is one run only)
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"

namespace stele::wire {

// Collects ascending entry ids into a blob. Three or more equal runs at equal distances become one
// group, so that a striped ledger's blob stays small (Java's encoder never does it; its decoder
// reads it).
class AvailabilityBuilder {
 public:
  // `entry` is above every entry before.
  void Add(EntryId entry) { AddRun(entry, entry); }
  // All entries first .. last.
  void AddRun(EntryId first, EntryId last);
  Buffer Finish() &&;

 private:
  struct Group {
    int64_t first_start;
    int64_t last_start;
    int32_t size;
    int32_t period;
  };
  void CloseRun();
  void PushRun(int64_t first, int32_t size);

  std::vector<Group> groups_;
  // The run that may still grow.
  bool has_run_ = false;
  int64_t run_first_ = 0;
  int64_t run_last_ = -1;
};

// Reads a blob. All look-ups are in place: no memory but the blob.
class Availability {
 public:
  // kCorruptData: another version, too short, or groups that overlap, descend or overflow.
  static absl::StatusOr<Availability> Parse(Buffer blob);

  bool Contains(EntryId entry) const;

  // The smallest entry of the set that is >= `from`; kNoEntry when there is none. A blob of 88
  // bytes may speak of 2^62 entries: who iterates also sets an end.
  EntryId FirstAtOrAfter(EntryId from) const;

  bool empty() const { return group_count_ == 0; }

 private:
  struct Group;
  explicit Availability(Buffer blob, size_t group_count);
  Group GroupAt(size_t index) const;

  Buffer blob_;
  size_t group_count_ = 0;
};

}  // namespace stele::wire
