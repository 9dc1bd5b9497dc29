// The acceptance scenarios of the reading side, against fake bookies: docs/PROTOCOL.md lists them.
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client/client.h"
#include "client/testing/test_cluster.h"

namespace stele::client {
namespace {

using metadata::Ensemble;
using metadata::LedgerMetadata;

constexpr quorum::Replication kThreeTwo{3, 3, 2};

FakeBookie::Action IgnoreReads(const wire::Request& request) {
  return std::holds_alternative<wire::ReadRequest>(request.body) ? FakeBookie::kIgnore
                                                                 : FakeBookie::kServe;
}
bool IsRead(const wire::Request& request) {
  return std::holds_alternative<wire::ReadRequest>(request.body);
}

class ReadScenarios : public testing::TestWithParam<uint64_t> {
 protected:
  ReadScenarios() : cluster(GetParam()) {}

  static BookieId Id(int number) { return TestCluster::Id(number); }
  void Settle() { cluster.RunFor(absl::Milliseconds(100)); }
  void Store(std::vector<int> bookies, LedgerId ledger, int64_t entry, int64_t lac) {
    for (int number : bookies) {
      cluster.Store(Id(number), ledger, entry, lac, 10 * (entry + 1), "0123456789");
    }
  }
  // A closed ledger whose entries are wherever the test puts them.
  LedgerId ClosedLedger(quorum::Replication replication, std::vector<int> bookies, int64_t last) {
    const LedgerId ledger = cluster.CreateLedger(replication, std::move(bookies));
    const LedgerMetadata now = cluster.ReadMetadata(ledger).value;
    cluster.WriteMetadata(ledger, now.WithClosed(EntryId(last), 10 * (last + 1)).value());
    return ledger;
  }
  ReadHandle Open(Client& client, LedgerId ledger) {
    return cluster.Get(client.OpenLedger(ledger).Open(UseFuture())).value();
  }
  absl::StatusOr<std::vector<Entry>> Read(ReadHandle& reader, int64_t first, int64_t last) {
    return cluster.Get(reader.Read(EntryId(first), EntryId(last), UseFuture()));
  }

  TestCluster cluster;
};
INSTANTIATE_TEST_SUITE_P(Seeds, ReadScenarios, testing::Values(1, 2, 3));

TEST_P(ReadScenarios, Scenario35_WhatAReadReportsWhenNoReplicaHasTheEntry) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("reader");
  const LedgerId ledger = ClosedLedger(kThreeTwo, {1, 2, 3}, 2);
  Store({1}, ledger, 2, 1);
  Store({2, 3}, ledger, 1, 0);  // entry 0 is nowhere
  ReadHandle reader = Open(client, ledger);
  EXPECT_EQ(CodeOf(Read(reader, 0, 0).status()), ErrorCode::kNoSuchEntry);

  // A digest error, then a good copy.
  cluster.bookie(1).ledger(ledger).entries[EntryId(1)] = Buffer::CopyOf(std::string(80, 'r'));
  EXPECT_EQ(Read(reader, 1, 1).value().front().payload.view(), "0123456789");
  // Nothing but rot.
  for (int number : {2, 3}) {
    cluster.bookie(number).ledger(ledger).entries[EntryId(1)] =
        Buffer::CopyOf(std::string(80, 'r'));
  }
  EXPECT_EQ(CodeOf(Read(reader, 1, 1).status()), ErrorCode::kDigestMismatch);

  cluster.Kill(Id(2));
  EXPECT_EQ(CodeOf(Read(reader, 0, 0).status()), ErrorCode::kConnectionLost);
}

TEST_P(ReadScenarios, Scenario36_Defect4680_ASlowReplicaIsOvertakenAndAskedLastFromThenOn) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("reader", {.read_timeout = absl::Seconds(8)});
  const LedgerId ledger = ClosedLedger(kThreeTwo, {1, 2, 3}, 8);
  for (int64_t entry = 0; entry <= 8; ++entry) Store({1, 2, 3}, ledger, entry, entry - 1);
  ReadHandle reader = Open(client, ledger);
  cluster.bookie(1).SetScript([](const wire::Request& request) {
    return IsRead(request) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
  });
  const MonotonicTime before = cluster.Now();
  EXPECT_EQ(Read(reader, 0, 0).value().size(), 1u);  // b1 is the first to be asked for entry 0
  EXPECT_GE(cluster.Now() - before, absl::Seconds(2));
  EXPECT_LT(cluster.Now() - before, absl::Seconds(3));
  EXPECT_EQ(cluster.bookie(1).CountRequests(IsRead), 1u);
  const MonotonicTime again = cluster.Now();
  EXPECT_EQ(Read(reader, 0, 8).value().size(), 9u);
  EXPECT_LT(cluster.Now() - again, absl::Seconds(1));
  EXPECT_EQ(cluster.bookie(1).CountRequests(IsRead), 1u);
  cluster.bookie(1).ledger(ledger).entries.clear();
  cluster.bookie(1).Release();  // the late answer, an error now, changes nothing
  Settle();
  // It is forgiven after a while.
  cluster.bookie(1).SetScript(nullptr);
  Store({1}, ledger, 0, -1);
  cluster.RunFor(absl::Seconds(60));
  EXPECT_TRUE(Read(reader, 0, 0).ok());
  EXPECT_EQ(cluster.bookie(1).CountRequests(IsRead), 2u);
}

TEST_P(ReadScenarios, Scenario37_AnIdleWriterTellsItsLastEntry) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("writer", {.explicit_lac_interval = absl::Milliseconds(100)});
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication(kThreeTwo).Create(UseFuture())).value();
  // The first attempts are lost.
  const auto lose_lac = [](const wire::Request& request) {
    return std::holds_alternative<wire::WriteLacRequest>(request.body)
               ? FakeBookie::Refuse(wire::ReplyCode::kIoError)
               : FakeBookie::kServe;
  };
  for (int number : {1, 2, 3}) cluster.bookie(number).SetScript(lose_lac);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(cluster.Get(writer.Append(Buffer::CopyOf("x"), UseFuture())).ok());
  }
  ReadHandle reader = Open(cluster.NewClient("reader"), writer.id());
  cluster.RunFor(absl::Milliseconds(500));
  EXPECT_EQ(cluster.Get(reader.ReadLastAddConfirmed(UseFuture())).value(), EntryId(2));
  for (int number : {1, 2, 3}) cluster.bookie(number).SetScript(nullptr);
  cluster.RunFor(absl::Milliseconds(210));
  EXPECT_EQ(cluster.Get(reader.ReadLastAddConfirmed(UseFuture())).value(), EntryId(3));
  EXPECT_EQ(reader.last_add_confirmed(), EntryId(3));
  // It is told once.
  const auto is_lac = [](const wire::Request& request) {
    return std::holds_alternative<wire::WriteLacRequest>(request.body);
  };
  const size_t told = cluster.bookie(1).CountRequests(is_lac);
  cluster.RunFor(absl::Seconds(2));
  EXPECT_EQ(cluster.bookie(1).CountRequests(is_lac), told);
}

TEST_P(ReadScenarios, Scenario38_ANewLacWithoutTheEntryIsReadElsewhere) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger({3, 2, 2}, {1, 2, 3});
  for (int64_t entry = 0; entry < 5; ++entry) {
    const int first = static_cast<int>(entry % 3);
    Store({first + 1, (first + 1) % 3 + 1}, ledger, entry, entry - 1);
  }
  ReadHandle reader = Open(cluster.NewClient("reader"), ledger);
  ASSERT_EQ(reader.last_add_confirmed(), EntryId(3));
  // e5 is on b3 and b1. b2 hears of it by e6, of which it has a copy.
  Store({1, 3}, ledger, 5, 4);
  std::future<absl::StatusOr<LacAndEntry>> poll =
      reader.WaitForEntry(EntryId(5), absl::Seconds(10), UseFuture());
  Settle();
  EXPECT_FALSE(cluster.IsReady(poll));
  for (int number : {1, 3}) cluster.bookie(number).SetScript(IgnoreReads);
  cluster.RunFor(absl::Seconds(4));  // b2 is asked too
  Store({2}, ledger, 7, 6);
  absl::StatusOr<LacAndEntry> news = cluster.Get(std::move(poll));
  ASSERT_TRUE(news.ok()) << news.status();
  EXPECT_EQ(news->last_add_confirmed, EntryId(6));
  EXPECT_FALSE(news->entry.has_value());
  for (int number : {1, 3}) cluster.bookie(number).SetScript(nullptr);
  EXPECT_EQ(Read(reader, 5, 5).value().front().payload.view(), "0123456789");
  // Where the bookie has the entry, it comes with the news.
  absl::StatusOr<LacAndEntry> known =
      cluster.Get(reader.WaitForEntry(EntryId(5), absl::Seconds(1), UseFuture()));
  ASSERT_TRUE(known.ok());
  EXPECT_TRUE(known->entry.has_value());
}

TEST_P(ReadScenarios, Scenario39_AMovedEntryIsFoundAlthoughTheReadersMetadataIsOld) {
  cluster.AddBookies(4);
  Client& client = cluster.NewClient("reader");
  const LedgerId ledger = ClosedLedger({2, 2, 2}, {1, 2}, 0);
  ReadHandle reader = Open(client, ledger);
  // A closed ledger is not watched: its fragment moves to b3 and b4, and the old copies go.
  const LedgerMetadata now = cluster.ReadMetadata(ledger).value;
  cluster.WriteMetadata(ledger, now.WithReplacedEnsemble(EntryId(0), {Id(3), Id(4)}).value());
  Store({3, 4}, ledger, 0, -1);
  EXPECT_EQ(Read(reader, 0, 0).value().size(), 1u);
  // From then on it asks the right ones at once.
  const size_t asked = cluster.bookie(1).CountRequests(IsRead);
  EXPECT_EQ(Read(reader, 0, 0).value().size(), 1u);
  EXPECT_EQ(cluster.bookie(1).CountRequests(IsRead), asked);
}

// The bookies of the old ensemble do not have it, which proves nothing: it may lie elsewhere.
TEST_P(ReadScenarios, Scenario39_NothingIsSaidToBeMissingByMetadataThatMayBeOld) {
  cluster.AddBookies(4);
  const LedgerId ledger = ClosedLedger({2, 2, 2}, {1, 2}, 0);
  ReadHandle reader = Open(cluster.NewClient("reader"), ledger);
  const LedgerMetadata now = cluster.ReadMetadata(ledger).value;
  cluster.WriteMetadata(ledger, now.WithReplacedEnsemble(EntryId(0), {Id(3), Id(4)}).value());
  Store({3, 4}, ledger, 0, -1);
  cluster.store("reader").FailLedgerGets(ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(CodeOf(Read(reader, 0, 0).status()), ErrorCode::kMetadataUnavailable);
  cluster.store("reader").FailLedgerGets(ErrorCode::kOk);
  EXPECT_EQ(Read(reader, 0, 0).value().size(), 1u);
}

// Another error of the read says more than that the metadata could not be read again.
TEST_P(ReadScenarios, Scenario39_AnUnreachableBookieIsToldWhateverTheStoreSays) {
  cluster.AddBookies(2);
  const LedgerId ledger = ClosedLedger({2, 2, 2}, {1, 2}, 0);
  ReadHandle reader = Open(cluster.NewClient("reader"), ledger);
  cluster.store("reader").FailLedgerGets(ErrorCode::kMetadataUnavailable);
  cluster.Kill(Id(1));
  cluster.Kill(Id(2));
  EXPECT_EQ(CodeOf(Read(reader, 0, 0).status()), ErrorCode::kConnectionLost);
}

TEST_P(ReadScenarios, Scenario39_AFollowingReaderSeesTheNewEnsemble) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("writer");
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication(kThreeTwo).Create(UseFuture())).value();
  ReadHandle reader = Open(cluster.NewClient("reader"), writer.id());
  const Ensemble before = cluster.LastEnsemble(writer.id());
  cluster.AddBookies(1);
  cluster.Kill(before[1]);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(cluster.Get(writer.Append(Buffer::CopyOf("x"), UseFuture())).ok());
  }
  Settle();
  const LedgerMetadata seen = cluster.Get(reader.Metadata(UseFuture())).value();
  EXPECT_EQ(seen.last_fragment().ensemble, cluster.LastEnsemble(writer.id()));
  EXPECT_GE(cluster.Get(reader.ReadLastAddConfirmed(UseFuture())).value(), EntryId(3));
  EXPECT_EQ(Read(reader, 0, 3).value().size(), 4u);
}

TEST_P(ReadScenarios, ConfirmedReadsStopAtTheLac) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  for (int64_t entry = 0; entry <= 5; ++entry) Store({1, 2, 3}, ledger, entry, entry - 1);
  ReadHandle reader = Open(cluster.NewClient("reader"), ledger);
  EXPECT_EQ(reader.last_add_confirmed(), EntryId(4));
  EXPECT_EQ(CodeOf(Read(reader, 0, 5).status()), ErrorCode::kReadFailed);
  EXPECT_EQ(CodeOf(Read(reader, 3, 2).status()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Read(reader, -1, 2).status()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(cluster.Get(reader.ReadUnconfirmed(EntryId(0), EntryId(5), UseFuture())).value().size(),
            6u);
  EXPECT_EQ(
      CodeOf(cluster.Get(reader.ReadUnconfirmed(EntryId(0), EntryId(6), UseFuture())).status()),
      ErrorCode::kNoSuchEntry);
}

TEST_P(ReadScenarios, LongRangesAreReadInOrderAcrossStripesAndDeadBookies) {
  cluster.AddBookies(5);
  Client& client = cluster.NewClient("reader", {.read_entries_in_flight_max = 16});
  const LedgerId ledger = ClosedLedger({5, 3, 2}, {1, 2, 3, 4, 5}, 299);
  for (int64_t entry = 0; entry < 300; ++entry) {
    std::vector<int> bookies;
    for (int i = 0; i < 3; ++i) bookies.push_back(static_cast<int>((entry + i) % 5) + 1);
    Store(bookies, ledger, entry, entry - 1);
  }
  cluster.Kill(Id(2));
  ReadHandle reader = Open(client, ledger);
  const std::vector<Entry> entries = Read(reader, 0, 299).value();
  ASSERT_EQ(entries.size(), 300u);
  for (size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].id, EntryId(static_cast<int64_t>(i)));
    EXPECT_EQ(entries[i].length_bytes, 10 * (static_cast<int64_t>(i) + 1));
  }
}

TEST_P(ReadScenarios, ABatchIsOneRequestWhereEveryBookieHasEverything) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("reader");
  const LedgerId ledger = ClosedLedger(kThreeTwo, {1, 2, 3}, 9);
  for (int64_t entry = 0; entry <= 9; ++entry) Store({1, 2, 3}, ledger, entry, entry - 1);
  ReadHandle reader = Open(client, ledger);
  const auto batch = [&](int64_t first, int32_t count, int64_t size_bytes) {
    return cluster.Get(reader.ReadBatch(EntryId(first), count, size_bytes, UseFuture()));
  };
  EXPECT_EQ(batch(0, 0, 0).value().size(), 10u);
  EXPECT_EQ(batch(4, 3, 0).value().size(), 3u);
  EXPECT_EQ(batch(4, 3, 0).value().front().id, EntryId(4));
  EXPECT_EQ(batch(0, 0, 1).value().size(), 1u);  // one always comes
  EXPECT_EQ(batch(8, 100, 0).value().size(), 2u);
  EXPECT_EQ(CodeOf(batch(10, 1, 0).status()), ErrorCode::kReadFailed);
  EXPECT_EQ(cluster.bookie(1).CountRequests(IsRead), 0u);
  // A rotten entry ends the batch before it; a bookie without batches is read one by one.
  for (int number : {1, 2, 3}) {
    cluster.bookie(number).ledger(ledger).entries[EntryId(6)] =
        Buffer::CopyOf(std::string(80, 'r'));
  }
  EXPECT_EQ(batch(4, 5, 0).value().size(), 2u);
  for (int number : {1, 2, 3}) {
    cluster.bookie(number).SetScript([](const wire::Request& request) {
      return std::holds_alternative<wire::BatchReadRequest>(request.body) ? FakeBookie::kHangUp
                                                                          : FakeBookie::kServe;
    });
  }
  EXPECT_EQ(batch(0, 4, 0).value().size(), 4u);
}

TEST_P(ReadScenarios, AWaitForTheFirstEntryIsLikeAnyOther) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("client");
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  ReadHandle reader = Open(client, ledger);
  // No bookie knows the ledger, and each says so at once: it is asked again, now and then.
  const auto nothing = cluster.Get(reader.WaitForEntry(EntryId(0), absl::Seconds(2), UseFuture()));
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_FALSE(nothing->entry.has_value());
  EXPECT_GT(cluster.bookie(1).CountRequests(IsRead), 5u);
  EXPECT_LT(cluster.bookie(1).CountRequests(IsRead), 30u);
  auto first = reader.WaitForEntry(EntryId(0), absl::Seconds(30), UseFuture());
  Settle();
  Store({1, 2, 3}, ledger, 0, -1);
  Store({1, 2, 3}, ledger, 1, 0);
  const auto found = cluster.Get(std::move(first));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->last_add_confirmed, EntryId(0));
  ASSERT_TRUE(found->entry.has_value());
  EXPECT_EQ(found->entry->id, EntryId(0));
}

TEST_P(ReadScenarios, RangesAreReadInBatchesAndWhatABatchDoesNotBringOneByOne) {
  constexpr int64_t kLast = 1299;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("reader");
  const LedgerId ledger = ClosedLedger(kThreeTwo, {1, 2, 3}, kLast);
  for (int64_t entry = 0; entry <= kLast; ++entry) Store({1, 2, 3}, ledger, entry, entry - 1);
  ReadHandle reader = Open(client, ledger);
  const auto is_batch = [](const wire::Request& request) {
    return std::holds_alternative<wire::BatchReadRequest>(request.body);
  };
  const auto expect_all = [&] {
    const absl::StatusOr<std::vector<Entry>> entries = Read(reader, 0, kLast);
    ASSERT_TRUE(entries.ok()) << entries.status();
    ASSERT_EQ(std::ssize(*entries), kLast + 1);
    for (int64_t i = 0; i <= kLast; ++i) {
      ASSERT_EQ((*entries)[static_cast<size_t>(i)].id, EntryId(i));
    }
  };
  expect_all();
  EXPECT_EQ(cluster.bookie(1).CountRequests(is_batch), 3u);  // of 512 entries at most
  for (int number : {1, 2, 3}) EXPECT_EQ(cluster.bookie(number).CountRequests(IsRead), 0u);
  // Rot, and an entry that this bookie does not have.
  cluster.bookie(1).ledger(ledger).entries[EntryId(6)] = Buffer::CopyOf(std::string(80, 'r'));
  cluster.bookie(1).ledger(ledger).entries.erase(EntryId(700));
  expect_all();
  // A bookie that knows no batches is not asked for them again soon.
  cluster.bookie(1).SetScript([&](const wire::Request& request) {
    return is_batch(request) ? FakeBookie::kHangUp : FakeBookie::kServe;
  });
  const size_t before = cluster.bookie(1).CountRequests(is_batch);
  expect_all();
  const size_t asked = cluster.bookie(1).CountRequests(is_batch);
  EXPECT_GT(asked, before);
  expect_all();
  EXPECT_EQ(cluster.bookie(1).CountRequests(is_batch), asked);
  // One that does not answer is overtaken.
  cluster.bookie(2).SetScript([&](const wire::Request& request) {
    return is_batch(request) ? FakeBookie::kIgnore : FakeBookie::kServe;
  });
  expect_all();
  cluster.Kill(Id(3));
  expect_all();
  // An entry that nobody has.
  for (int number : {1, 2}) cluster.bookie(number).ledger(ledger).entries.erase(EntryId(600));
  EXPECT_EQ(CodeOf(Read(reader, 0, kLast).status()), ErrorCode::kConnectionLost);
  EXPECT_EQ(Read(reader, 0, 599).value().size(), 600u);
}

TEST_P(ReadScenarios, ADeletedLedgerEndsItsTail) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("client");
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  ReadHandle reader = Open(client, ledger);
  TailStream tail = reader.Tail(EntryId(0));
  auto next = tail.Next(UseFuture());
  Settle();
  ASSERT_TRUE(cluster.Get(client.DeleteLedger(ledger, UseFuture())).ok());
  EXPECT_EQ(CodeOf(cluster.Get(std::move(next)).status()), ErrorCode::kNoSuchLedgerMetadata);
}

TEST_P(ReadScenarios, ATailSurvivesItsReaderAndCatchesUpInBatches) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("client");
  const LedgerId ledger = ClosedLedger(kThreeTwo, {1, 2, 3}, 199);
  for (int64_t entry = 0; entry <= 199; ++entry) Store({1, 2, 3}, ledger, entry, entry - 1);
  TailStream tail = Open(client, ledger).Tail(EntryId(3));
  for (int64_t entry = 3; entry <= 199; ++entry) {
    ASSERT_EQ(cluster.Get(tail.Next(UseFuture())).value()->id, EntryId(entry));
  }
  EXPECT_FALSE(cluster.Get(tail.Next(UseFuture())).value().has_value());
}

TEST_P(ReadScenarios, OpeningWithoutRecoveryNeedsEnoughBookies) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  Store({1, 2, 3}, ledger, 0, -1);
  Client& client = cluster.NewClient("client");
  cluster.Kill(Id(1));
  EXPECT_TRUE(cluster.Get(client.OpenLedger(ledger).Open(UseFuture())).ok());
  cluster.Kill(Id(2));
  EXPECT_FALSE(cluster.Get(client.OpenLedger(ledger).Open(UseFuture())).ok());
  for (int number : {1, 2, 3}) EXPECT_FALSE(cluster.bookie(number).ledger(ledger).is_fenced);
}

}  // namespace
}  // namespace stele::client
