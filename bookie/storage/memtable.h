// Memtable: one generation of entries that are not in entry logs yet. Entries of a ledger arrive
// almost in order, so each ledger has a vector that is appended to and a small map for the rest.
//
// Memory. The bytes of an entry are copied into chunks of this memtable. A view into the block that
// the network read would be cheaper by one copy (about 60 ns for 1 KiB, storage_bench), but a
// single entry that stays would keep a block of 256 KiB. So bytes() is what a generation takes, but
// for the unused rest of its last chunk and spare room of its vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"

namespace stele::bookie {

inline constexpr size_t kMemtableChunkBytes = 1 << 20;
// Larger entries get a block of their own.
inline constexpr size_t kEntryInChunkMaxBytes = 128 << 10;
// What an entry and a ledger cost besides the bytes.
inline constexpr size_t kMemtableEntryOverheadBytes = 48;
inline constexpr size_t kMemtableLedgerOverheadBytes = 256;

// Chunks of memtables that are gone, for the next ones. Fresh memory costs a page fault and 4 KiB
// of zeroes for each page, which is more than the copy of the entries into it.
class MemtableChunks {
 public:
  MutableBuffer Take();
  // Keeps at most so many as are given now, so that a bookie that became idle gives memory back.
  void Give(std::vector<MutableBuffer> chunks);

  size_t size() const { return spare_.size(); }

 private:
  std::vector<MutableBuffer> spare_;
};

class Memtable {
 public:
  struct Entry {
    int64_t id = 0;
    uint32_t size = 0;
    uint32_t chunk = 0;
    size_t offset = 0;  // in the chunk
  };

  // The entries of one ledger. At one address as long as the memtable lives.
  class Ledger {
   public:
    // Null: no such entry.
    const Entry* Find(EntryId entry) const;
    // All entries, ascending.
    std::vector<Entry> Sorted() const;
    EntryId last() const;
    bool empty() const { return in_order_.empty(); }
    // True: deleted while it was being flushed. It has no entries any more for anybody.
    bool dropped() const { return dropped_; }

   private:
    friend class Memtable;
    std::vector<Entry> in_order_;
    absl::btree_map<int64_t, Entry> out_of_order_;
    bool dropped_ = false;
  };

  // `spare` outlives the memtable.
  explicit Memtable(MemtableChunks* spare) : spare_(spare) {}
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;
  ~Memtable() { spare_->Give(std::move(chunks_)); }

  // What Add would add to bytes(), at most.
  static size_t CostOf(size_t entry_size) {
    return entry_size + kMemtableEntryOverheadBytes + kMemtableLedgerOverheadBytes;
  }

  // Null: no entries of this ledger.
  Ledger* Find(LedgerId ledger);
  Ledger* FindOrMake(LedgerId ledger);
  // `entry` is not in `ledger` yet. Copies `body`.
  void Add(Ledger* ledger, EntryId entry, std::string_view body);
  // The entries are as if never put; their memory goes with the memtable.
  void Drop(LedgerId ledger);

  // The bytes of an entry of this memtable; the Buffer keeps its chunk alive.
  Buffer BodyOf(const Entry& entry) const {
    return chunks_[entry.chunk].Share(entry.offset, entry.size);
  }
  std::string_view ViewOf(const Entry& entry) const {
    return {chunks_[entry.chunk].data() + entry.offset, entry.size};
  }

  // The ledgers that have entries here, ascending.
  std::vector<LedgerId> SortedLedgers() const;

  bool empty() const { return ledgers_.empty(); }
  uint64_t bytes() const { return bytes_; }

 private:
  MemtableChunks* const spare_;
  absl::flat_hash_map<LedgerId, std::unique_ptr<Ledger>> ledgers_;  // never iterated unsorted
  std::vector<MutableBuffer> chunks_;
  size_t open_chunk_ = 0;  // where small entries go; chunk_left_ bytes of it are free
  size_t chunk_left_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace stele::bookie
