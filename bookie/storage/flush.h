// Flush: writes one generation to entry logs and index files.
//   1 entries, by ledger and id, to entry logs; logs durable
//   2 locations and headers to the index files; files durable
//   3 names of new index files durable
// A generation is kept until all three have succeeded. A failed step 1 is done again as a whole, in
// a log elsewhere; a failed step 2 or 3 with the same locations.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "bookie/storage/entry_log_writer.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/memtable.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::bookie {

// A ledger's part of a flush.
struct LedgerFlush {
  LedgerId ledger;
  const Memtable::Ledger* entries = nullptr;  // null: only its header
  std::vector<int64_t> ids;                   // ascending
  std::vector<int64_t> locations;             // of these, packed
};

struct Generation {
  Generation(uint64_t generation_number, MemtableChunks* spare)
      : number(generation_number), entries(spare) {}

  bool empty() const { return entries.empty() && dirty.empty(); }
  // The ledger was deleted.
  void Drop(LedgerId ledger) {
    entries.Drop(ledger);
    dirty.erase(ledger);
  }

  uint64_t number;
  Memtable entries;
  absl::btree_set<LedgerId> dirty;  // key, fence or explicit LAC changed
  bool flush_was_asked_for = false;
  // Set when the entries are durable in entry logs.
  std::optional<std::vector<LedgerFlush>> plan;
};

// The header of a ledger as it is now.
using HeaderOf = absl::FunctionRef<IndexHeader(LedgerId)>;

struct FlushParts {
  EntryLogWriter* writer;
  IndexStore* index;
};

// One at a time. Errors: those of the file system; the generation is as good as before.
Task<absl::Status> FlushGeneration(FlushParts parts, Generation* generation, HeaderOf header_of);

}  // namespace stele::bookie
