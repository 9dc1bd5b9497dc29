// LedgerTable: the ledgers whose state is in memory. When there are too many, idle ones are
// forgotten.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/memtable.h"
#include "common/base/ids.h"

namespace stele::bookie {

struct LedgerRecord {
  LedgerState state;
  int32_t other_state_bits = 0;  // of the index header: not ours, kept
  EntryId last_on_disk;          // no entry above it is in the index
  bool lac_is_known = true;      // false: the last entry on disk may carry a higher one
  uint32_t record_size_guess_bytes = 4096;
  EntryId read_end{0};  // behind the entry that was last asked for: is somebody reading in order?
  // The entries of the active generation, when that has the number beside it.
  Memtable::Ledger* active = nullptr;
  uint64_t active_generation = 0;
  bool used = true;  // since the last round of EvictIdle
};

class LedgerTable {
 public:
  explicit LedgerTable(size_t records_max) : records_max_(records_max) {}

  // Null: not in memory. A record stays where it is until it is erased or evicted.
  LedgerRecord* Find(LedgerId ledger) {
    const auto found = by_ledger_.find(ledger);
    if (found == by_ledger_.end()) return nullptr;
    found->second->used = true;
    return &*found->second;
  }
  // The ledger has no record yet.
  LedgerRecord* Insert(LedgerId ledger);
  void Erase(LedgerId ledger);

  // Makes room for one more record, if those that `may_evict` accepts allow it: second chance.
  // Looks at no more than `steps_max` records, because it runs between requests.
  void EvictIdle(size_t steps_max, absl::FunctionRef<bool(const LedgerRecord&)> may_evict);

  size_t size() const { return records_.size(); }

 private:
  using Records = std::list<LedgerRecord>;

  size_t records_max_;
  Records records_;  // a ring for the hand
  Records::iterator hand_ = records_.end();
  absl::flat_hash_map<LedgerId, Records::iterator> by_ledger_;  // looked up only
};

}  // namespace stele::bookie
