#include "autorecovery/restart_gate.h"

#include <vector>

#include <gtest/gtest.h>

#include "common/base/strings.h"

namespace stele::autorecovery {
namespace {

using metadata::LedgerMetadata;
using metadata::LedgerState;

BookieId B(int number) { return BookieId(StrCat("b", number, ":1")); }

// Counts copies entry by entry.
std::set<RefusalKind> BruteForce(const LedgerMetadata& metadata, const std::set<BookieId>& away,
                                 int copies_min) {
  const quorum::Replication& replication = metadata.replication();
  std::set<RefusalKind> refusals;
  const bool is_open = !metadata.IsClosed();
  const int64_t end =
      is_open ? metadata.last_fragment().first_entry.value() + 20 : metadata.last_entry().value();
  for (int64_t e = 0; e <= end; ++e) {
    const auto& ensemble = metadata.FragmentOf(EntryId(e)).ensemble;
    const bool is_tail = is_open && e >= metadata.last_fragment().first_entry.value();
    int alive = 0;
    for (int64_t offset = 0; offset < replication.write_quorum_size; ++offset) {
      const auto index = static_cast<size_t>((e + offset) % replication.ensemble_size);
      alive += away.count(ensemble[index]) == 0 ? 1 : 0;
    }
    if (alive == 0) refusals.insert(RefusalKind::kUnreadable);
    if (is_tail && alive < replication.write_quorum_size - replication.ack_quorum_size + 1) {
      refusals.insert(RefusalKind::kUnrecoverable);
    }
    if (alive < std::min(copies_min, replication.write_quorum_size)) {
      refusals.insert(RefusalKind::kTooFewCopies);
    }
  }
  return refusals;
}

// T40
TEST(RestartGateTest, TheVerdictIsThatOfACountOverAllEntries) {
  int64_t cases = 0;
  for (int e = 1; e <= 4; ++e) {
    for (int qw = 1; qw <= e; ++qw) {
      for (int qa = 1; qa <= qw; ++qa) {
        for (int64_t second : {0, 1, 2, 7}) {          // where a second fragment begins; 0: none
          for (int64_t last : {-2, -1, 0, 1, 6, 9}) {  // -2: open
            metadata::LedgerMetadataFields fields;
            fields.replication = {e, qw, qa};
            fields.state = last == -2 ? LedgerState::kOpen : LedgerState::kClosed;
            if (last >= -1) fields.last_entry = EntryId(last);
            metadata::Ensemble ensemble;
            for (int i = 0; i < e; ++i) ensemble.push_back(B(i));
            fields.fragments.push_back({EntryId(0), ensemble});
            ensemble[0] = B(4);
            if (second > 0) fields.fragments.push_back({EntryId(second), ensemble});
            const auto metadata = LedgerMetadata::Create(fields);
            ASSERT_TRUE(metadata.ok()) << metadata.status();
            for (unsigned down = 0; down < 32; ++down) {
              std::set<BookieId> away;
              for (int i = 0; i < 5; ++i) {
                if ((down >> i & 1U) != 0) away.insert(B(i));
              }
              ASSERT_EQ(RefusalsFor(*metadata, away, {.copies_min = 2}),
                        BruteForce(*metadata, away, 2))
                  << e << qw << qa << " second " << second << " last " << last << " down " << down;
              ++cases;
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(cases, 20 * 4 * 6 * 32);
}

TEST(RestartGateTest, LabelsAreThoseOfThePage) {
  EXPECT_EQ(LabelOf(RefusalKind::kUnreadable), "G1");
  EXPECT_EQ(LabelOf(RefusalKind::kUnderReplicated), "G5");
}

}  // namespace
}  // namespace stele::autorecovery
