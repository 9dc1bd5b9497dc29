// PendingAppend: the acknowledgements of one entry. Pure: replies in, decision out; it never waits
// and never sends.
//
// Source: docs/PROTOCOL.md "Append"; Apache BookKeeper's pending add.
#pragma once

#include "common/base/ids.h"
#include "common/quorum/ack_set.h"
#include "common/quorum/write_set.h"

namespace stele::client {

// Acknowledgements are counted by position in the *current* ensemble. Whoever replaces the bookie
// at a position must call OnBookieReplaced for every pending append before any of them is
// acknowledged: an entry may count as stored only where a reader, who knows nothing but the
// metadata, will look for it.
class PendingAppend {
 public:
  PendingAppend(EntryId entry, const quorum::Replication& replication)
      : entry_(entry),
        write_set_(entry, replication),
        ack_quorum_size_(replication.ack_quorum_size),
        failures_max_(replication.write_quorum_size - replication.ack_quorum_size) {}

  EntryId entry() const { return entry_; }
  const quorum::WriteSet& write_set() const { return write_set_; }

  // True from the ack quorum on, until a replacement takes an acknowledgement back.
  bool is_complete() const { return is_complete_; }

  // More failures than the write set can bear without losing its ack quorum.
  bool IsQuorumAtRisk() const { return failures_.count() > failures_max_; }
  bool HasFailed(BookieIndex index) const { return failures_.Contains(write_set_, index); }

  // The bookie at `index`, which is in the write set, has stored the entry. It counts once.
  void OnStored(BookieIndex index) {
    acks_.Add(write_set_, index);
    failures_.Remove(write_set_, index);
    if (acks_.count() >= ack_quorum_size_) is_complete_ = true;
  }

  // The bookie at `index` did not confirm the entry. It may have it all the same.
  void OnFailure(BookieIndex index) { failures_.Add(write_set_, index); }

  // Another bookie has the position now: what the old one said no longer counts. True when the
  // entry must be sent there.
  bool OnBookieReplaced(BookieIndex index) {
    if (!write_set_.Contains(index)) return false;
    acks_.Remove(write_set_, index);
    failures_.Remove(write_set_, index);
    if (acks_.count() < ack_quorum_size_) is_complete_ = false;
    return true;
  }

 private:
  EntryId entry_;
  quorum::WriteSet write_set_;
  int ack_quorum_size_;
  int failures_max_;
  quorum::AckSet acks_;
  quorum::AckSet failures_;
  bool is_complete_ = false;
};

}  // namespace stele::client
