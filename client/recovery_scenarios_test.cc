// The acceptance scenarios of recovery, against fake bookies: docs/PROTOCOL.md lists them. Unless a
// scenario says otherwise: three copies and two acknowledgements on b1, b2, b3; W writes, R
// recovers, T follows the tail.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "client/client.h"
#include "client/testing/test_cluster.h"
#include "common/wire/entry_packet.h"

namespace stele::client {
namespace {

using metadata::Ensemble;
using metadata::LedgerMetadata;
using metadata::LedgerState;
using AppendFuture = std::future<absl::StatusOr<EntryId>>;
using OpenFuture = std::future<absl::StatusOr<ReadHandle>>;

constexpr quorum::Replication kThreeTwo{3, 3, 2};

bool IsFencingReadOf(const wire::Request& request, int64_t entry) {
  return IsFencing(request) && IsReadOf(request, EntryId(entry));
}
bool IsRecoveryAdd(const wire::Request& request) {
  const auto* add = std::get_if<wire::AddRequest>(&request.body);
  return add != nullptr && add->recovery;
}

class RecoveryScenarios : public testing::TestWithParam<uint64_t> {
 protected:
  RecoveryScenarios() : cluster(GetParam()) {}

  static BookieId Id(int number) { return TestCluster::Id(number); }
  void Settle() { cluster.RunFor(absl::Milliseconds(100)); }

  // Puts entries that the writer has acknowledged up to `lac` on these bookies.
  void Store(std::vector<int> bookies, LedgerId ledger, int64_t entry, int64_t lac) {
    for (int number : bookies) {
      cluster.Store(Id(number), ledger, entry, lac, 10 * (entry + 1), "0123456789");
    }
  }
  OpenFuture Recover(Client& client, LedgerId ledger) {
    return client.OpenLedger(ledger).Recover().Open(UseFuture());
  }
  absl::StatusOr<ReadHandle> RecoverNow(LedgerId ledger, ClientOptions options = {}) {
    const std::string name = "recoverer" + std::to_string(++recoverers_);
    return cluster.Get(Recover(cluster.NewClient(name, options), ledger));
  }
  LedgerMetadata Metadata(LedgerId ledger) { return cluster.ReadMetadata(ledger).value; }
  // How many of the bookies that the metadata names for the entry have it.
  int Copies(LedgerId ledger, int64_t entry) {
    const LedgerMetadata metadata = Metadata(ledger);
    int copies = 0;
    for (const BookieId& bookie : metadata.FragmentOf(EntryId(entry)).ensemble) {
      copies += cluster.bookie(bookie).Has(ledger, EntryId(entry)) ? 1 : 0;
    }
    return copies;
  }

  TestCluster cluster;

 private:
  int recoverers_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Seeds, RecoveryScenarios, testing::Values(1, 2, 3));

// The writer of scenarios 25 and 26: e0 and e1 are everywhere, e2 is on the last bookie of the
// ensemble and on its way to the others.
class HalfWrittenTail : public RecoveryScenarios {
 protected:
  void Write() {
    cluster.AddBookies(3);
    Client& client = cluster.NewClient("writer", {.add_timeout = absl::Minutes(1)});
    writer.emplace(
        cluster.Get(client.CreateLedger().Replication(kThreeTwo).Create(UseFuture())).value());
    ensemble = cluster.LastEnsemble(writer->id());
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(cluster.Get(writer->Append(Buffer::CopyOf("0123456789"), UseFuture())).ok());
    }
    Settle();
    // The first bookie holds the writer's e2. The second one loses the fence, too.
    at(0).SetScript([](const wire::Request& request) {
      return IsAddOf(request, EntryId(2)) && !IsRecoveryAdd(request) ? FakeBookie::kHoldRequest
                                                                     : FakeBookie::kServe;
    });
    e2 = writer->Append(Buffer::CopyOf("0123456789"), UseFuture());
  }
  FakeBookie& at(size_t index) { return cluster.bookie(ensemble[index]); }

  std::optional<WriteHandle> writer;
  Ensemble ensemble;
  AppendFuture e2;
};
INSTANTIATE_TEST_SUITE_P(Seeds, HalfWrittenTail, testing::Values(1, 2, 3));

TEST_P(HalfWrittenTail, Scenario25_Defect2614_TheReadsOfRecoveryFence) {
  Write();
  at(1).SetScript([](const wire::Request& request) {
    if (IsFencingReadOf(request, -1)) return FakeBookie::kIgnore;
    return IsAddOf(request, EntryId(2)) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
  });
  at(2).SetScript([](const wire::Request& request) {
    return IsFencingReadOf(request, 2) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
  });
  Settle();
  // No reads ahead: nothing but the read of e2 itself fences.
  absl::StatusOr<ReadHandle> reader = RecoverNow(writer->id(), {.recovery_read_ahead = 1});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->last_add_confirmed(), EntryId(1));
  EXPECT_FALSE(cluster.IsReady(e2));
  at(1).Release();  // now the writer's e2 arrives where the fence was lost
  at(0).Release();
  EXPECT_EQ(CodeOf(cluster.Get(std::move(e2)).status()), ErrorCode::kLedgerFenced);
  EXPECT_FALSE(at(1).Has(writer->id(), EntryId(2)));
  EXPECT_EQ(Metadata(writer->id()).last_entry(), EntryId(1));
  EXPECT_EQ(Metadata(writer->id()).length_bytes(), 20);
}

TEST_P(HalfWrittenTail, Scenario26_AnEntryThatArrivesBeforeTheReadIsKept) {
  Write();
  at(1).SetScript([](const wire::Request& request) {
    if (IsFencingReadOf(request, -1)) return FakeBookie::kIgnore;
    const bool is_held =
        (IsAddOf(request, EntryId(2)) && !IsRecoveryAdd(request)) || IsFencingReadOf(request, 2);
    return is_held ? FakeBookie::kHoldRequest : FakeBookie::kServe;
  });
  at(2).SetScript([](const wire::Request& request) {
    return IsFencingReadOf(request, 2) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
  });
  Settle();
  Client& recoverer = cluster.NewClient("recoverer", {.recovery_read_ahead = 1});
  OpenFuture open = Recover(recoverer, writer->id());
  Settle();
  EXPECT_FALSE(cluster.IsReady(open));
  at(1).Release();  // the writer's add first, then the read
  absl::StatusOr<ReadHandle> reader = cluster.Get(std::move(open));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->last_add_confirmed(), EntryId(2));
  EXPECT_GE(Copies(writer->id(), 2), 2);
  // Two bookies had it unfenced: the writer may say so.
  EXPECT_TRUE(cluster.Get(std::move(e2)).ok());
}

// Three fragments; the last is on b4 and b5.
class ThreeFragments : public RecoveryScenarios {
 protected:
  LedgerId Create() {
    cluster.AddBookies(6);
    metadata::LedgerMetadataFields fields;
    fields.replication = {2, 2, 2};
    fields.fragments = {{EntryId(0), {Id(1), Id(2)}},
                        {EntryId(1000), {Id(2), Id(3)}},
                        {EntryId(2000), {Id(4), Id(5)}}};
    const LedgerId ledger =
        cluster.CreateMetadata(LedgerMetadata::Create(std::move(fields)).value());
    Store({2, 3}, ledger, 1999, 1998);
    return ledger;
  }
  void ExpectNoFencingReadBelow2000() {
    for (int number = 1; number <= 6; ++number) {
      EXPECT_EQ(cluster.bookie(number).CountRequests([](const wire::Request& request) {
        const auto* read = std::get_if<wire::ReadRequest>(&request.body);
        return IsFencing(request) && !read->entry.IsNone() && read->entry < EntryId(2000);
      }),
                0u);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Seeds, ThreeFragments, testing::Values(1, 2, 3));

TEST_P(ThreeFragments, Scenario27_Defect2615_AnEmptyLastFragmentEndsTheOneBefore) {
  const LedgerId ledger = Create();
  ASSERT_TRUE(RecoverNow(ledger).ok());
  EXPECT_EQ(Metadata(ledger).last_entry(), EntryId(1999));
  EXPECT_EQ(Metadata(ledger).length_bytes(), 20000);
  EXPECT_EQ(Metadata(ledger).fragments().size(), 3u);
  ExpectNoFencingReadBelow2000();
}

TEST_P(ThreeFragments, Scenario27_AReplacementInTheLastFragmentIsInPlace) {
  const LedgerId ledger = Create();
  Store({4}, ledger, 2000, 1999);
  cluster.Unregister(Id(1));
  cluster.Unregister(Id(2));
  cluster.Unregister(Id(3));
  // One of the two denies the entry; that is enough here, unless the copy is seen first.
  cluster.bookie(5).SetScript([](const wire::Request& request) {
    if (IsAdd(request)) return FakeBookie::Refuse(wire::ReplyCode::kIoError);
    return IsReadOf(request, EntryId(2000)) ? FakeBookie::kIgnore : FakeBookie::kServe;
  });
  ASSERT_TRUE(RecoverNow(ledger).ok());
  const LedgerMetadata metadata = Metadata(ledger);
  EXPECT_EQ(metadata.last_entry(), EntryId(2000));
  EXPECT_EQ(metadata.length_bytes(), 20010);
  ASSERT_EQ(metadata.fragments().size(), 3u);
  EXPECT_EQ(metadata.last_fragment().first_entry, EntryId(2000));
  EXPECT_EQ(metadata.last_fragment().ensemble, (Ensemble{Id(4), Id(6)}));
  EXPECT_EQ(Copies(ledger, 2000), 2);
  ExpectNoFencingReadBelow2000();
}

TEST_P(RecoveryScenarios, Scenario28_Defect365_AHungBookieDoesNotHoldUpTheEnd) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  Store({1}, ledger, 0, -1);
  cluster.bookie(1).SetScript([](const wire::Request& request) {
    return IsFencingReadOf(request, 0) ? FakeBookie::kIgnore : FakeBookie::kServe;
  });
  const MonotonicTime before = cluster.Now();
  ASSERT_TRUE(RecoverNow(ledger).ok());
  EXPECT_LT(cluster.Now() - before, absl::Seconds(1));
  EXPECT_TRUE(Metadata(ledger).last_entry().IsNone());
  EXPECT_EQ(Metadata(ledger).length_bytes(), 0);
}

TEST_P(RecoveryScenarios, Scenario28_OneDenialAndSilenceEndNothing) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  Store({1}, ledger, 0, -1);
  for (int number : {1, 3}) {
    cluster.bookie(number).SetScript([](const wire::Request& request) {
      return IsFencingReadOf(request, 0) ? FakeBookie::kIgnore : FakeBookie::kServe;
    });
  }
  EXPECT_EQ(CodeOf(RecoverNow(ledger).status()), ErrorCode::kDeadline);
  EXPECT_EQ(Metadata(ledger).state(), LedgerState::kInRecovery);
  cluster.bookie(1).SetScript(nullptr);
  cluster.bookie(3).SetScript(nullptr);
  EXPECT_TRUE(RecoverNow(ledger).ok());
}

TEST_P(RecoveryScenarios, Scenario29_Defect355_AFailedRecoveryLeavesNothingForTheNextToTripOver) {
  cluster.AddBookies(5);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  for (int64_t entry = 0; entry <= 20; ++entry) Store({1, 2}, ledger, entry, -1);
  cluster.bookie(1).SetScript([](const wire::Request& request) {
    return IsAdd(request) ? FakeBookie::Refuse(wire::ReplyCode::kIoError) : FakeBookie::kServe;
  });
  // One read at a time: most of them begin after b1 was replaced, and must ask b1 all the same.
  Client& first = cluster.NewClient("first", {.recovery_read_ahead = 1});
  OpenFuture open = Recover(first, ledger);
  cluster.RunUntil([&] { return Metadata(ledger).state() == LedgerState::kInRecovery; });
  cluster.store("first").HoldPuts();
  cluster.RunUntil([&] { return cluster.store("first").puts_waiting() == 1; });
  cluster.Crash("first");  // about to close
  EXPECT_EQ(Metadata(ledger).fragments().size(), 1u);
  EXPECT_EQ(Metadata(ledger).last_fragment().ensemble, (Ensemble{Id(1), Id(2), Id(3)}));
  cluster.Kill(Id(2));
  cluster.bookie(1).SetScript(nullptr);
  ASSERT_TRUE(RecoverNow(ledger, {.recovery_read_ahead = 1}).ok());
  EXPECT_EQ(Metadata(ledger).last_entry(), EntryId(20));
  for (int64_t entry = 0; entry <= 20; ++entry) EXPECT_GE(Copies(ledger, entry), 2);
}

TEST_P(RecoveryScenarios, Scenario30_ReplacementsBecomeVisibleWithTheClose) {
  cluster.AddBookies(4);
  const LedgerId ledger = cluster.CreateLedger({3, 3, 3}, {1, 2, 3});
  for (int64_t entry : {0, 1}) Store({1, 2, 3}, ledger, entry, -1);
  cluster.bookie(2).SetScript([](const wire::Request& request) {
    return IsAddOf(request, EntryId(1)) ? FakeBookie::kIgnore : FakeBookie::kServe;
  });
  Client& client = cluster.NewClient("recoverer", {.add_timeout = absl::Seconds(1)});
  OpenFuture open = Recover(client, ledger);
  cluster.RunUntil([&] { return Metadata(ledger).state() == LedgerState::kInRecovery; });
  Settle();
  cluster.store("recoverer").HoldPuts();
  cluster.RunUntil([&] { return cluster.store("recoverer").puts_waiting() == 1; });
  EXPECT_EQ(Metadata(ledger).fragments().size(), 1u);
  EXPECT_EQ(Metadata(ledger).last_fragment().ensemble, (Ensemble{Id(1), Id(2), Id(3)}));
  cluster.store("recoverer").ReleasePuts();
  ASSERT_TRUE(cluster.Get(std::move(open)).ok());
  const LedgerMetadata metadata = Metadata(ledger);
  ASSERT_EQ(metadata.fragments().size(), 2u);
  EXPECT_EQ(metadata.fragments()[0].ensemble, (Ensemble{Id(1), Id(2), Id(3)}));
  EXPECT_EQ(metadata.fragments()[1].first_entry, EntryId(1));
  EXPECT_EQ(metadata.fragments()[1].ensemble, (Ensemble{Id(1), Id(4), Id(3)}));
  EXPECT_EQ(metadata.last_entry(), EntryId(1));
}

TEST_P(RecoveryScenarios, DeadBookiesDoNotTakeTurnsAsReplacements) {
  cluster.AddBookies(5);
  const LedgerId ledger = cluster.CreateLedger({3, 3, 3}, {1, 2, 3});
  Store({1, 2}, ledger, 0, -1);
  // They are still registered, and refuse every connection.
  for (int number : {3, 4, 5}) cluster.Kill(Id(number));
  EXPECT_EQ(CodeOf(RecoverNow(ledger).status()), ErrorCode::kRecoveryFailed);
  EXPECT_EQ(Metadata(ledger).state(), LedgerState::kInRecovery);
  cluster.Revive(Id(5));
  cluster.RunFor(absl::Seconds(15));
  EXPECT_TRUE(RecoverNow(ledger).ok());
}

TEST_P(RecoveryScenarios, Scenario31_Defect2612_ABookieInLimboDeniesNothing) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  Store({2}, ledger, 0, -1);
  cluster.bookie(1).ledger(ledger).is_in_limbo = true;  // it had e0, too
  cluster.bookie(1).ledger(ledger).master_key = wire::MakeMasterKey("");
  cluster.Kill(Id(2));
  EXPECT_FALSE(RecoverNow(ledger).ok());
  EXPECT_EQ(Metadata(ledger).state(), LedgerState::kInRecovery);
  cluster.Revive(Id(2));
  cluster.RunFor(absl::Seconds(2));
  absl::StatusOr<ReadHandle> reader = RecoverNow(ledger);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->last_add_confirmed(), EntryId(0));
}

TEST_P(RecoveryScenarios, Scenario32_TwoRecoverersAgreeAndNoReaderIsDeceived) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  for (int64_t entry = 0; entry < 5; ++entry) Store({1, 2, 3}, ledger, entry, entry - 1);
  for (int64_t entry : {5, 6}) Store({1}, ledger, entry, 4);
  Client& tailing = cluster.NewClient("tail");
  ReadHandle tail_reader = cluster.Get(tailing.OpenLedger(ledger).Open(UseFuture())).value();
  TailStream tail = tail_reader.Tail(EntryId(0));
  for (int64_t entry = 0; entry < 5; ++entry) {
    EXPECT_EQ(cluster.Get(tail.Next(UseFuture())).value()->id, EntryId(entry));
  }
  std::future<absl::StatusOr<std::optional<Entry>>> next = tail.Next(UseFuture());

  // R1 sees e5 on b1. Its write-backs are on their way, and e6 it has not seen yet.
  cluster.bookie(1).SetScript([](const wire::Request& request) {
    return IsFencingReadOf(request, 6) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
  });
  for (int number : {2, 3}) {
    cluster.bookie(number).SetScript([](const wire::Request& request) {
      if (IsFencingReadOf(request, 5) || IsFencingReadOf(request, 6)) return FakeBookie::kIgnore;
      return IsAddOf(request, EntryId(5)) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
    });
  }
  OpenFuture first = Recover(cluster.NewClient("first"), ledger);
  Settle();
  cluster.store("first").HoldPuts();
  // R2 sees two denials of e5, and is about to close.
  cluster.bookie(1).SetScript([](const wire::Request& request) {
    return IsFencingReadOf(request, 5) ? FakeBookie::kIgnore : FakeBookie::kServe;
  });
  for (int number : {2, 3}) cluster.bookie(number).SetScript(nullptr);
  Client& client = cluster.NewClient("second");
  cluster.store("second").HoldPuts();
  OpenFuture second = Recover(client, ledger);
  cluster.RunUntil([&] { return cluster.store("second").puts_waiting() == 1; });
  // R1 goes on: e5 is on all bookies now, and e6 after it.
  for (int number : {2, 3}) cluster.bookie(number).Release();
  Settle();
  cluster.bookie(1).Release();
  cluster.RunUntil([&] { return cluster.store("first").puts_waiting() == 1; });
  Settle();
  for (int number : {1, 2, 3}) EXPECT_EQ(cluster.EntriesOf(Id(number), ledger), "0-6");
  cluster.RunFor(absl::Seconds(5));
  EXPECT_FALSE(cluster.IsReady(next));
  EXPECT_LE(tail_reader.last_add_confirmed(), EntryId(4));

  cluster.store("second").ReleasePuts();
  EXPECT_EQ(cluster.Get(std::move(second)).value().last_add_confirmed(), EntryId(4));
  cluster.store("first").ReleasePuts();
  EXPECT_EQ(cluster.Get(std::move(first)).value().last_add_confirmed(), EntryId(4));
  EXPECT_EQ(Metadata(ledger).last_entry(), EntryId(4));
  absl::StatusOr<std::optional<Entry>> end = cluster.Get(std::move(next));
  ASSERT_TRUE(end.ok());
  EXPECT_FALSE(end->has_value());
}

TEST_P(RecoveryScenarios, Scenario33_WhatLiesBehindTheFirstGapIsOfNoAccount) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  for (int64_t entry = 0; entry < 10; ++entry) Store({1, 2, 3}, ledger, entry, 4);
  Store({1, 2, 3}, ledger, 14, 4);
  for (int number : {1, 2, 3}) {
    cluster.bookie(number).SetScript([](const wire::Request& request) {
      return IsFencingReadOf(request, 12) ? FakeBookie::Refuse(wire::ReplyCode::kIoError)
                                          : FakeBookie::kServe;
    });
  }
  absl::StatusOr<ReadHandle> reader = RecoverNow(ledger, {.recovery_read_ahead = 10});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->last_add_confirmed(), EntryId(9));
  EXPECT_EQ(Metadata(ledger).length_bytes(), 100);
}

TEST_P(RecoveryScenarios, Scenario34_ALedgerThatWasNeverWrittenIsClosedEmptyAndStaysSo) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("writer");
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication(kThreeTwo).Create(UseFuture())).value();
  absl::StatusOr<ReadHandle> reader = RecoverNow(writer.id());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE(reader->last_add_confirmed().IsNone());
  EXPECT_EQ(reader->length_bytes(), 0);
  Settle();
  for (int number : {1, 2, 3}) EXPECT_TRUE(cluster.bookie(number).ledger(writer.id()).is_fenced);
  EXPECT_EQ(CodeOf(cluster.Get(writer.Append(Buffer::CopyOf("x"), UseFuture())).status()),
            ErrorCode::kLedgerFenced);
  for (int number : {1, 2, 3}) EXPECT_EQ(cluster.EntriesOf(Id(number), writer.id()), "");
}

// Apache's writer closes over a recovery; ours never does, but must live with it.
TEST_P(RecoveryScenarios, Scenario40_ARecoveryAdoptsTheEndOfAWriterThatOverridesIt) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  for (int64_t entry = 0; entry < 3; ++entry) Store({1, 2, 3}, ledger, entry, entry - 1);
  for (int number : {1, 2, 3}) {
    cluster.bookie(number).SetScript([](const wire::Request& request) {
      return IsAdd(request) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
    });
  }
  OpenFuture open = Recover(cluster.NewClient("recoverer"), ledger);
  Settle();
  ASSERT_EQ(Metadata(ledger).state(), LedgerState::kInRecovery);
  cluster.WriteMetadata(ledger, Metadata(ledger).WithClosed(EntryId(1), 20).value());
  for (int number : {1, 2, 3}) cluster.bookie(number).Release();
  absl::StatusOr<ReadHandle> reader = cluster.Get(std::move(open));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->last_add_confirmed(), EntryId(1));
  EXPECT_EQ(reader->length_bytes(), 20);
}

TEST_P(RecoveryScenarios, Scenario42_WithOneAckEveryBookieMustAnswer) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger({3, 3, 1}, {1, 2, 3});
  Store({1}, ledger, 0, -1);
  cluster.Kill(Id(3));
  const ErrorCode code = CodeOf(RecoverNow(ledger).status());
  EXPECT_TRUE(code == ErrorCode::kRecoveryFailed || code == ErrorCode::kDeadline) << NameOf(code);
  cluster.Revive(Id(3));
  absl::StatusOr<ReadHandle> reader = RecoverNow(ledger);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->last_add_confirmed(), EntryId(0));
}

// The check that finds a lost acknowledgement must be able to: here the bookie breaks its promise.
TEST_P(RecoveryScenarios, Scenario43_ABookieThatForgetsLosesAnAcknowledgedEntryAndIsCaught) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("writer");
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication(kThreeTwo).Create(UseFuture())).value();
  const Ensemble ensemble = cluster.LastEnsemble(writer.id());
  cluster.bookie(ensemble[2]).SetScript([](const wire::Request& request) {
    return IsAdd(request) ? FakeBookie::kIgnore : FakeBookie::kServe;
  });
  const EntryId acknowledged =
      cluster.Get(writer.Append(Buffer::CopyOf("0123456789"), UseFuture())).value();
  const auto is_kept = [&] { return acknowledged <= Metadata(writer.id()).last_entry(); };
  cluster.bookie(ensemble[0]).Forget();
  cluster.bookie(ensemble[1]).SetScript([](const wire::Request& request) {
    return IsFencing(request) ? FakeBookie::kIgnore : FakeBookie::kServe;
  });
  ASSERT_TRUE(RecoverNow(writer.id()).ok());
  EXPECT_FALSE(is_kept());
}

TEST_P(RecoveryScenarios, Scenario44_CopiesMayDifferInTheirHeaders) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  Store({1}, ledger, 0, -1);
  Store({2}, ledger, 0, 7);  // re-replicated: it carries the LAC of its copier
  Store({1}, ledger, 1, 0);
  Store({2}, ledger, 1, -1);
  absl::StatusOr<ReadHandle> reader = RecoverNow(ledger, {.recovery_read_ahead = 1});
  ASSERT_TRUE(reader.ok()) << reader.status();
  Client& client = cluster.NewClient("reader");
  ReadHandle other = cluster.Get(client.OpenLedger(ledger).Open(UseFuture())).value();
  std::vector<Entry> entries =
      cluster.Get(other.ReadUnconfirmed(EntryId(0), EntryId(1), UseFuture())).value();
  for (const Entry& entry : entries) EXPECT_EQ(entry.payload.view(), "0123456789");
}

TEST_P(RecoveryScenarios, AWrongPasswordNeverReachesTheEnd) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  for (int number : {1, 2, 3}) {
    cluster.bookie(number).ledger(ledger).master_key = wire::MakeMasterKey("another");
  }
  EXPECT_EQ(CodeOf(RecoverNow(ledger).status()), ErrorCode::kUnauthorized);
  EXPECT_EQ(Metadata(ledger).state(), LedgerState::kInRecovery);
}

TEST_P(RecoveryScenarios, ADeletedLedgerCannotBeRecovered) {
  cluster.AddBookies(3);
  const LedgerId ledger = cluster.CreateLedger(kThreeTwo, {1, 2, 3});
  Store({1, 2, 3}, ledger, 0, -1);
  for (int number : {1, 2, 3}) {
    cluster.bookie(number).SetScript([](const wire::Request& request) {
      return IsAdd(request) ? FakeBookie::kHoldRequest : FakeBookie::kServe;
    });
  }
  Client& client = cluster.NewClient("recoverer");
  OpenFuture open = Recover(client, ledger);
  Settle();
  ASSERT_TRUE(cluster.Get(client.DeleteLedger(ledger, UseFuture())).ok());
  for (int number : {1, 2, 3}) cluster.bookie(number).Release();
  EXPECT_EQ(CodeOf(cluster.Get(std::move(open)).status()), ErrorCode::kNoSuchLedgerMetadata);
}

// An earlier fragment that nobody can read must not keep the ledger open for ever.
TEST_P(ThreeFragments, AnUnreadableEarlierFragmentDoesNotPreventTheClose) {
  const LedgerId ledger = Create();
  cluster.Kill(Id(2));
  cluster.Kill(Id(3));
  ASSERT_TRUE(RecoverNow(ledger).ok());
  EXPECT_EQ(Metadata(ledger).last_entry(), EntryId(1999));
}

}  // namespace
}  // namespace stele::client
