#include "client/internal/entry_numbers.h"

#include <map>

#include <gtest/gtest.h>

#include "common/base/stable_hash.h"

namespace stele::client {
namespace {

TEST(EntryNumbersTest, RepliesInOrderAreMatchedAndForgotten) {
  EntryNumbers numbers;
  EXPECT_TRUE(numbers.empty());
  for (int64_t entry = 0; entry < 100; ++entry) {
    EXPECT_TRUE(numbers.Insert(EntryId(entry), static_cast<uint64_t>(1000 + entry)));
    if (entry < 10) continue;
    EXPECT_EQ(numbers.Take(EntryId(entry - 10)), static_cast<uint64_t>(990 + entry));
    EXPECT_EQ(numbers.Take(EntryId(entry - 10)), std::nullopt);
  }
  EXPECT_FALSE(numbers.empty());
  for (int64_t entry = 90; entry < 100; ++entry) EXPECT_TRUE(numbers.Take(EntryId(entry)));
  EXPECT_TRUE(numbers.empty());
}

TEST(EntryNumbersTest, OneThatWaitsIsNotReplaced) {
  EntryNumbers numbers;
  for (const int64_t entry : {3, 5, 7}) {
    EXPECT_TRUE(numbers.Insert(EntryId(entry), static_cast<uint64_t>(entry)));
  }
  for (const int64_t entry : {3, 5, 7}) EXPECT_FALSE(numbers.Insert(EntryId(entry), 99));
  EXPECT_EQ(numbers.Take(EntryId(4)), std::nullopt);
  EXPECT_EQ(numbers.Take(EntryId(8)), std::nullopt);
  EXPECT_EQ(numbers.Take(EntryId(5)), 5);
  EXPECT_TRUE(numbers.Insert(EntryId(5), 55));
  EXPECT_EQ(numbers.Take(EntryId(7)), 7);
  EXPECT_EQ(numbers.Take(EntryId(3)), 3);
  EXPECT_EQ(numbers.Take(EntryId(5)), 55);
  EXPECT_TRUE(numbers.empty());
}

// Entries are sent again after a change of the ensemble, and some callers choose their ids.
TEST(EntryNumbersTest, AnyOrderIsWhatAMapWouldDo) {
  uint64_t random = 7;
  EntryNumbers numbers;
  std::map<EntryId, uint64_t> model;
  for (uint64_t number = 0; number < 100'000; ++number) {
    random = StableHash(random + 1);
    const EntryId entry(static_cast<int64_t>(random / 2 % 60));
    if (random % 2 == 0) {
      EXPECT_EQ(numbers.Insert(entry, number), model.try_emplace(entry, number).second);
    } else {
      const auto place = model.find(entry);
      const std::optional<uint64_t> taken = numbers.Take(entry);
      ASSERT_EQ(taken.has_value(), place != model.end());
      if (!taken.has_value()) continue;
      EXPECT_EQ(*taken, place->second);
      model.erase(place);
    }
    EXPECT_EQ(numbers.empty(), model.empty());
  }
}

TEST(LedgerEntryNumbersTest, ALedgerForWhichNothingWaitsIsForgotten) {
  LedgerEntryNumbers numbers;
  EXPECT_EQ(numbers.Take(LedgerId(1), EntryId(0)), std::nullopt);
  EXPECT_EQ(numbers.ledgers(), 0u);
  for (int64_t ledger = 1; ledger <= 1'000; ++ledger) {
    EXPECT_TRUE(numbers.Insert(LedgerId(ledger), EntryId(0), 10));
    EXPECT_TRUE(numbers.Insert(LedgerId(ledger), EntryId(1), 11));
    EXPECT_FALSE(numbers.Insert(LedgerId(ledger), EntryId(1), 12));
    EXPECT_EQ(numbers.Take(LedgerId(ledger), EntryId(1)), 11);
    EXPECT_EQ(numbers.Take(LedgerId(ledger), EntryId(1)), std::nullopt);
    EXPECT_EQ(numbers.ledgers(), 1u);
    EXPECT_EQ(numbers.Take(LedgerId(ledger), EntryId(0)), 10);
    EXPECT_EQ(numbers.ledgers(), 0u);
  }
}

}  // namespace
}  // namespace stele::client
