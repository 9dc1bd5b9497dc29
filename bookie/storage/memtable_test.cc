#include "bookie/storage/memtable.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace stele::bookie {
namespace {

constexpr LedgerId kLedger{7};

std::vector<int64_t> IdsOf(const Memtable::Ledger& ledger) {
  std::vector<int64_t> ids;
  for (const Memtable::Entry& entry : ledger.Sorted()) ids.push_back(entry.id);
  return ids;
}

TEST(MemtableTest, EntriesInAnyOrderAreFoundAndSorted) {
  MemtableChunks spare;
  Memtable memtable(&spare);
  Memtable::Ledger* ledger = memtable.FindOrMake(kLedger);
  EXPECT_TRUE(ledger->last().IsNone());
  EXPECT_EQ(ledger->Find(EntryId(0)), nullptr);
  // Deterministic disorder: 37 generates the numbers modulo 101.
  for (int64_t i = 1; i <= 100; ++i) {
    const int64_t id = i * 37 % 101;
    memtable.Add(ledger, EntryId(id), std::string(static_cast<size_t>(id), 'a'));
  }
  std::vector<int64_t> expected;
  for (int64_t id = 1; id <= 100; ++id) {
    expected.push_back(id);
    const Memtable::Entry* entry = ledger->Find(EntryId(id));
    ASSERT_NE(entry, nullptr) << id;
    EXPECT_EQ(memtable.BodyOf(*entry).ToString(), std::string(static_cast<size_t>(id), 'a'));
    EXPECT_EQ(memtable.ViewOf(*entry).size(), static_cast<size_t>(id));
  }
  EXPECT_EQ(IdsOf(*ledger), expected);
  EXPECT_EQ(ledger->last(), EntryId(100));
  EXPECT_EQ(ledger->Find(EntryId(0)), nullptr);
  EXPECT_EQ(ledger->Find(EntryId(101)), nullptr);
  EXPECT_EQ(ledger->Find(EntryId(INT64_MAX)), nullptr);
}

TEST(MemtableTest, GapsOfStripingAreNoEntries) {
  MemtableChunks spare;
  Memtable memtable(&spare);
  Memtable::Ledger* ledger = memtable.FindOrMake(kLedger);
  for (int64_t id = 10; id < 40; id += 3) memtable.Add(ledger, EntryId(id), "x");
  for (int64_t id = 0; id < 50; ++id) {
    EXPECT_EQ(ledger->Find(EntryId(id)) != nullptr, id >= 10 && id < 40 && id % 3 == 1) << id;
  }
}

TEST(MemtableTest, BodiesOutliveTheMemtable) {
  Buffer small;
  Buffer large;
  {
    MemtableChunks spare;
    Memtable memtable(&spare);
    Memtable::Ledger* ledger = memtable.FindOrMake(kLedger);
    memtable.Add(ledger, EntryId(0), "small");
    memtable.Add(ledger, EntryId(1), std::string(kEntryInChunkMaxBytes + 1, 'L'));
    memtable.Add(ledger, EntryId(2), "");
    small = memtable.BodyOf(*ledger->Find(EntryId(0)));
    large = memtable.BodyOf(*ledger->Find(EntryId(1)));
    EXPECT_EQ(memtable.BodyOf(*ledger->Find(EntryId(2))).size(), 0u);
  }
  EXPECT_EQ(small.view(), "small");
  EXPECT_EQ(large.ToString(), std::string(kEntryInChunkMaxBytes + 1, 'L'));
}

TEST(MemtableTest, ChunksAreFilledWithoutOverlap) {
  MemtableChunks spare;
  Memtable memtable(&spare);
  Memtable::Ledger* ledger = memtable.FindOrMake(kLedger);
  uint64_t payload = 0;
  for (int64_t id = 0; id < 3000; ++id) {
    // Sizes from 0 to the largest that goes into a chunk.
    const size_t size =
        static_cast<size_t>(id * 7919) % (id % 10 == 0 ? kEntryInChunkMaxBytes : 900);
    memtable.Add(ledger, EntryId(id), std::string(size, static_cast<char>('a' + id % 26)));
    payload += size;
  }
  for (int64_t id = 0; id < 3000; ++id) {
    const std::string_view body = memtable.ViewOf(*ledger->Find(EntryId(id)));
    EXPECT_EQ(body.find_first_not_of(static_cast<char>('a' + id % 26)), std::string_view::npos);
  }
  EXPECT_GE(memtable.bytes(), payload + 3000 * kMemtableEntryOverheadBytes);
  // A chunk that is left has less than the next entry free: at most an eighth of it.
  EXPECT_LE(memtable.bytes(), payload * 8 / 7 + 3000 * kMemtableEntryOverheadBytes +
                                  kMemtableLedgerOverheadBytes + kMemtableChunkBytes);
}

TEST(MemtableTest, ChunksAreUsedAgainUnlessSomebodyReadsThem) {
  MemtableChunks spare;
  Buffer kept;
  const auto fill = [&](int chunks) {
    Memtable memtable(&spare);
    Memtable::Ledger* ledger = memtable.FindOrMake(kLedger);
    for (int i = 0; i < 8 * chunks; ++i) {
      memtable.Add(ledger, EntryId(i), std::string(kEntryInChunkMaxBytes, 'x'));
    }
    memtable.Add(ledger, EntryId(1000), std::string(kEntryInChunkMaxBytes + 1, 'L'));
    kept = memtable.BodyOf(*ledger->Find(EntryId(0)));
  };
  fill(4);
  EXPECT_EQ(spare.size(), 3u);  // neither the one that is read nor that of the large entry
  fill(4);
  EXPECT_EQ(spare.size(), 3u);
  EXPECT_EQ(kept.ToString(), std::string(kEntryInChunkMaxBytes, 'x'));
  fill(1);  // a small memtable lets the chunks of larger ones go
  EXPECT_EQ(spare.size(), 2u);
}

TEST(MemtableTest, F38ADroppedLedgerIsGoneAndMayComeBack) {
  MemtableChunks spare;
  Memtable memtable(&spare);
  Memtable::Ledger* ledger = memtable.FindOrMake(kLedger);
  memtable.Add(ledger, EntryId(5), "old");
  memtable.Add(memtable.FindOrMake(LedgerId(3)), EntryId(0), "x");
  memtable.Drop(kLedger);
  EXPECT_TRUE(ledger->dropped());
  EXPECT_EQ(ledger->Find(EntryId(5)), nullptr);
  EXPECT_EQ(memtable.Find(kLedger), nullptr);
  EXPECT_EQ(memtable.SortedLedgers(), std::vector<LedgerId>{LedgerId(3)});
  Memtable::Ledger* again = memtable.FindOrMake(kLedger);
  EXPECT_FALSE(again->dropped());
  memtable.Add(again, EntryId(5), "new");
  EXPECT_EQ(memtable.BodyOf(*again->Find(EntryId(5))).view(), "new");
  EXPECT_EQ(memtable.SortedLedgers(), (std::vector<LedgerId>{LedgerId(3), kLedger}));
  memtable.Drop(LedgerId(99));
}

}  // namespace
}  // namespace stele::bookie
