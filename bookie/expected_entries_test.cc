#include "bookie/expected_entries.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/quorum/write_set.h"

namespace stele::bookie {
namespace {

using metadata::LedgerMetadata;

BookieId Bookie(int number) { return BookieId("b" + std::to_string(number) + ":3181"); }

// Two fragments, [0, 9] on b0 .. and [10, 24] on b1 ..; what quorum::WriteSet says, entry by entry.
TEST(ExpectedEntriesTest, AgreesWithTheWriteSetOfEachEntry) {
  for (int size = 1; size <= 5; ++size) {
    for (int quorum = 1; quorum <= size; ++quorum) {
      metadata::LedgerMetadataFields fields{
          .replication = {.ensemble_size = size, .write_quorum_size = quorum, .ack_quorum_size = 1},
          .state = metadata::LedgerState::kClosed,
          .last_entry = EntryId(24),
          .length_bytes = 25};
      for (int fragment = 0; fragment < 2; ++fragment) {
        metadata::Fragment made{.first_entry = EntryId(10 * fragment)};
        for (int i = 0; i < size; ++i) made.ensemble.push_back(Bookie(i + fragment));
        fields.fragments.push_back(made);
      }
      const auto metadata = LedgerMetadata::Create(fields);
      ASSERT_TRUE(metadata.ok()) << metadata.status();
      for (int bookie = 0; bookie <= size; ++bookie) {
        std::vector<int64_t> expected;
        for (int64_t entry = 0; entry <= 24; ++entry) {
          const quorum::WriteSet set(EntryId(entry), metadata->replication());
          const auto& ensemble = metadata->FragmentOf(EntryId(entry)).ensemble;
          for (int offset = 0; offset < set.size(); ++offset) {
            if (ensemble[static_cast<size_t>(set[offset])] == Bookie(bookie)) {
              expected.push_back(entry);
            }
          }
        }
        std::vector<int64_t> found;
        const ExpectedEntries entries(&*metadata, Bookie(bookie));
        for (EntryId next = entries.AtOrAfter(EntryId(0)); !next.IsNone();
             next = entries.AtOrAfter(next.Next())) {
          found.push_back(next.value());
        }
        EXPECT_EQ(found, expected) << size << "/" << quorum << " b" << bookie;
        EXPECT_TRUE(entries.are_all());
      }
    }
  }
}

TEST(ExpectedEntriesTest, OfTheLastFragmentOfAnOpenLedgerNothingIsKnown) {
  const auto metadata = LedgerMetadata::Create(
      {.replication = {.ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1},
       .fragments = {{.first_entry = EntryId(0), .ensemble = {Bookie(0)}},
                     {.first_entry = EntryId(5), .ensemble = {Bookie(1)}}}});
  ASSERT_TRUE(metadata.ok());
  const ExpectedEntries of_before(&*metadata, Bookie(0));
  EXPECT_EQ(of_before.AtOrAfter(EntryId(0)), EntryId(0));
  EXPECT_EQ(of_before.AtOrAfter(EntryId(4)), EntryId(4));
  EXPECT_TRUE(of_before.AtOrAfter(EntryId(5)).IsNone());
  EXPECT_TRUE(of_before.are_all());
  const ExpectedEntries of_now(&*metadata, Bookie(1));
  EXPECT_TRUE(of_now.AtOrAfter(EntryId(0)).IsNone());
  EXPECT_FALSE(of_now.are_all());
  EXPECT_TRUE(ExpectedEntries(&*metadata, Bookie(2)).are_all());
}

// Its copies are written before metadata names the bookies that have them.
TEST(ExpectedEntriesTest, DuringARecoveryThereMayBeOthersOnAnyBookie) {
  const auto metadata = LedgerMetadata::Create(
      {.replication = {.ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1},
       .state = metadata::LedgerState::kInRecovery,
       .fragments = {{.first_entry = EntryId(0), .ensemble = {Bookie(0)}},
                     {.first_entry = EntryId(5), .ensemble = {Bookie(1)}}}});
  ASSERT_TRUE(metadata.ok());
  const ExpectedEntries of_before(&*metadata, Bookie(0));
  EXPECT_EQ(of_before.AtOrAfter(EntryId(4)), EntryId(4));
  EXPECT_FALSE(of_before.are_all());
  EXPECT_FALSE(ExpectedEntries(&*metadata, Bookie(1)).are_all());
  EXPECT_FALSE(ExpectedEntries(&*metadata, Bookie(2)).are_all());
}

}  // namespace
}  // namespace stele::bookie
