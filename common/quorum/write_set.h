// Where the copies of an entry go: the placement arithmetic that every client of a ledger must
// agree on.
//
// Source: Apache BookKeeper's round-robin distribution, computed on 64 bits. (The Java writer
// truncates the entry id to 32 bits, so its own writers and readers disagree from entry 2^31 on;
// readers and this code agree everywhere.)
#pragma once

#include <cstdint>

#include "common/base/check.h"
#include "common/base/ids.h"

namespace stele::quorum {

// The largest write quorum: an AckSet keeps one bit per copy in one word.
inline constexpr int kWriteQuorumSizeMax = 64;
// The largest ensemble, a sanity limit for what comes out of metadata.
inline constexpr int kEnsembleSizeMax = 4096;

// How many copies of an entry there are, over how many bookies, and how many of them make it
// acknowledged.
struct Replication {
  int ensemble_size = 3;
  int write_quorum_size = 2;
  int ack_quorum_size = 2;

  // 1 <= ack_quorum_size <= write_quorum_size <= ensemble_size, within the limits above.
  constexpr bool IsValid() const {
    return 1 <= ack_quorum_size && ack_quorum_size <= write_quorum_size &&
           write_quorum_size <= ensemble_size && write_quorum_size <= kWriteQuorumSizeMax &&
           ensemble_size <= kEnsembleSizeMax;
  }
  // True when every bookie of an ensemble holds every entry.
  constexpr bool HoldsAllEverywhere() const { return ensemble_size == write_quorum_size; }

  friend constexpr bool operator==(const Replication&, const Replication&) = default;
};

// The bookies of one entry, as positions in the ensemble, in the order in which they are asked:
// entry mod E, entry + 1 mod E, ..., write_quorum_size of them.
class WriteSet {
 public:
  // `entry` is an entry's id, 0 or more; the sizes are those of a valid Replication.
  constexpr WriteSet(EntryId entry, int ensemble_size, int write_quorum_size)
      : ensemble_size_(ensemble_size), size_(write_quorum_size) {
    STELE_CHECK(!entry.IsNone());
    first_ = static_cast<int>(entry.value() % ensemble_size);
  }
  constexpr WriteSet(EntryId entry, const Replication& replication)
      : WriteSet(entry, replication.ensemble_size, replication.write_quorum_size) {}

  // The whole ensemble in the order that starts at the entry's first bookie (long polls, forces).
  static constexpr WriteSet EnsembleSet(EntryId entry, const Replication& replication) {
    return WriteSet(entry, replication.ensemble_size, replication.ensemble_size);
  }

  constexpr int size() const { return size_; }

  // The position in the ensemble of the copy number `offset`, 0 .. size()-1.
  constexpr BookieIndex operator[](int offset) const {
    const int index = first_ + offset;
    return index < ensemble_size_ ? index : index - ensemble_size_;
  }

  // The inverse of operator[]; size() or more when `index` holds no copy.
  constexpr int OffsetOf(BookieIndex index) const {
    const int offset = index - first_;
    return offset >= 0 ? offset : offset + ensemble_size_;
  }

  constexpr bool Contains(BookieIndex index) const { return OffsetOf(index) < size_; }

 private:
  int first_;
  int ensemble_size_;
  int size_;
};

}  // namespace stele::quorum
