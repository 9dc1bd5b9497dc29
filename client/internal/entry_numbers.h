// EntryNumbers: which request waits for the reply to an entry of one ledger. Made for replies that
// come in the order of the entries, as a bookie's mostly do: then neither call looks further than
// an end. Each stays correct in any other order, at the price of a search and a move.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "common/base/ids.h"

namespace stele::client {

class EntryNumbers {
 public:
  // False, and nothing is done, when a request for `entry` waits.
  bool Insert(EntryId entry, uint64_t number);
  // The number that Insert was given, which is forgotten. None: nothing waits for `entry`.
  std::optional<uint64_t> Take(EntryId entry);
  bool empty() const { return first_ == slots_.size(); }

 private:
  struct Slot {
    EntryId entry;
    uint64_t number;
  };
  using Slots = absl::InlinedVector<Slot, 2>;

  Slots::iterator Find(EntryId entry);  // the first that is not before it

  // By entry, from first_ on; what is before it was taken.
  Slots slots_;
  size_t first_ = 0;
};

// The same of many ledgers. One for which nothing waits is forgotten: there have been very many
// when a process has lived for long.
class LedgerEntryNumbers {
 public:
  bool Insert(LedgerId ledger, EntryId entry, uint64_t number) {
    return ledgers_[ledger].Insert(entry, number);
  }
  std::optional<uint64_t> Take(LedgerId ledger, EntryId entry);
  size_t ledgers() const { return ledgers_.size(); }

 private:
  absl::flat_hash_map<LedgerId, EntryNumbers> ledgers_;  // none is empty
};

}  // namespace stele::client
