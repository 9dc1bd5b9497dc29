// A whole bookie on simulated disks, network and metadata: what it answers, and what it still knows
// after it was killed, lost its power, or was stopped.
#include "bookie/bookie.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/availability.h"
#include "common/wire/entry_packet.h"

namespace stele::bookie {
namespace {

using wire::ProtocolVersion;
using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};

class BookieTest : public testing::TestWithParam<uint64_t> {
 protected:
  void SetUp() override { ASSERT_TRUE(Started()); }
  testing::AssertionResult Started() {
    const absl::Status started = world_.Start();
    if (started.ok()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << started;
  }
  void Add(int64_t entry, std::string_view payload, int64_t lac = -1) {
    EXPECT_EQ(world_.CodeOfCall(kRequests.Add(entry, payload, lac)), ReplyCode::kOk) << entry;
  }
  std::string Read(int64_t entry, ProtocolVersion version = ProtocolVersion::kV3) {
    return world_.PayloadOfRead(kRequests, entry, version);
  }

  BookieWorld world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Seeds, BookieTest, testing::Range<uint64_t>(1, 4));

TEST_P(BookieTest, StoresAndServesInBothVersions) {
  for (const ProtocolVersion version : {ProtocolVersion::kV2, ProtocolVersion::kV3}) {
    const int64_t entry = version == ProtocolVersion::kV2 ? 0 : 1;
    const wire::Reply reply = world_.Call(version, kRequests.Add(entry, "hello", entry - 1));
    EXPECT_EQ(reply.code, ReplyCode::kOk);
    EXPECT_EQ(std::get<wire::AddReply>(reply.body).ledger, kLedger);
    EXPECT_EQ(std::get<wire::AddReply>(reply.body).entry, EntryId(entry));
  }
  EXPECT_EQ(Read(0, ProtocolVersion::kV2), "hello");
  EXPECT_EQ(Read(1, ProtocolVersion::kV3), "hello");
  EXPECT_EQ(Read(2), NameOf(ReplyCode::kNoSuchEntry));
  const LedgerRequests other{LedgerId(8)};
  EXPECT_EQ(world_.CodeOfCall(other.Read(0)), ReplyCode::kNoSuchLedger);
}

TEST_P(BookieTest, ReadOfTheLastEntryEchoesMinusOne) {
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(-1)), ReplyCode::kNoSuchEntry);
  const LedgerRequests other{LedgerId(8)};
  EXPECT_EQ(world_.CodeOfCall(other.Add(3, "three", 2)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(other.Add(1, "one", 0)), ReplyCode::kOk);
  const wire::Reply reply = world_.Call(ProtocolVersion::kV3, other.Read(-1));
  const auto& read = std::get<wire::ReadReply>(reply.body);
  EXPECT_EQ(read.entry, kNoEntry);
  EXPECT_EQ(other.PayloadOf(read.body, 3), "three");
  EXPECT_EQ(read.max_lac, EntryId(2));
}

TEST_P(BookieTest, AcknowledgedEntriesSurviveKillAndPowerCut) {
  for (int64_t entry = 0; entry < 50; ++entry) Add(entry, StrCat("payload ", entry), entry - 1);
  world_.Kill();
  ASSERT_TRUE(Started());
  for (int64_t entry = 50; entry < 100; ++entry) Add(entry, StrCat("payload ", entry), entry - 1);
  world_.PowerCut();
  ASSERT_TRUE(Started());
  EXPECT_TRUE(world_.bookie()->Status().was_unclean);
  for (int64_t entry = 0; entry < 100; ++entry) EXPECT_EQ(Read(entry), StrCat("payload ", entry));
}

TEST_P(BookieTest, ACleanStopLeavesNothingToReplay) {
  for (int64_t entry = 0; entry < 20; ++entry) Add(entry, "x", entry - 1);
  ASSERT_TRUE(world_.Stop().ok());
  world_.PowerCut();
  ASSERT_TRUE(Started());
  EXPECT_FALSE(world_.bookie()->Status().was_unclean);
  EXPECT_EQ(world_.bookie()->Status().recovered.records, 0);
  EXPECT_EQ(Read(19), "x");
  // The LAC is that of the last entry, also after a restart.
  const wire::Reply reply = world_.Call(ProtocolVersion::kV3, kRequests.Read(0));
  EXPECT_EQ(std::get<wire::ReadReply>(reply.body).max_lac, EntryId(18));
}

Task<void> SendOne(WireClient* client, Endpoint to, wire::Request request) {
  EXPECT_TRUE((co_await client->Connect(std::move(to))).ok());
  client->Send(std::move(request));
}

TEST_P(BookieTest, AFenceThatWaitsForItsLedgerComesTooLateForAStop) {
  Add(0, "zero");
  ASSERT_TRUE(world_.Stop().ok());
  ASSERT_TRUE(Started());
  // A checkpoint is made: the stop has nothing to write before it comes to the requests.
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(5)).ok());
  world_.machine()->disk().StallFor(absl::Seconds(1));
  WireClient client(world_.peer_env(), ProtocolVersion::kV3);
  world_.Run(SendOne(&client, world_.endpoint(), kRequests.FencingRead(0)));
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Milliseconds(100)).ok());
  EXPECT_TRUE(world_.Stop().ok());
  ASSERT_TRUE(Started());
  EXPECT_FALSE(world_.bookie()->Status().was_unclean);
  Add(1, "one");
}

TEST_P(BookieTest, AnAddThatWaitsForItsComparisonIsKeptByAStop) {
  Add(0, "zero");
  Add(2'000, "far away");
  ASSERT_TRUE(world_.Stop().ok());
  ASSERT_TRUE(Started());
  EXPECT_EQ(Read(2'000), "far away");
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(5)).ok());  // a checkpoint is made
  world_.machine()->disk().StallFor(absl::Seconds(1));
  WireClient client(world_.peer_env(), ProtocolVersion::kV3);
  world_.Run(SendOne(&client, world_.endpoint(), kRequests.Add(3, "three")));
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Milliseconds(100)).ok());
  EXPECT_TRUE(world_.Stop().ok());
  ASSERT_TRUE(Started());
  EXPECT_FALSE(world_.bookie()->Status().was_unclean);
  EXPECT_EQ(Read(3), "three");
}

TEST_P(BookieTest, FenceOfALedgerNeverSeenIsDurableBeforeItIsAnswered) {
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(0)), ReplyCode::kNoSuchEntry);
  world_.PowerCut();
  ASSERT_TRUE(Started());
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "late")), ReplyCode::kFenced);
  EXPECT_EQ(world_.CodeOfCall(kRequests.RecoveryAdd(0, "recovered")), ReplyCode::kOk);
  EXPECT_EQ(Read(0), "recovered");
  const LedgerRequests wrong{kLedger, "other password"};
  EXPECT_EQ(world_.CodeOfCall(wrong.RecoveryAdd(1, "x")), ReplyCode::kUnauthorized);
}

TEST_P(BookieTest, FenceStopsTheWriterAndSurvivesACheckpoint) {
  Add(0, "zero");
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(0)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "late")), ReplyCode::kFenced);
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(5)).ok());
  world_.PowerCut();
  ASSERT_TRUE(Started());
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "late")), ReplyCode::kFenced);
  EXPECT_EQ(Read(1), NameOf(ReplyCode::kNoSuchEntry));
}

TEST_P(BookieTest, AWrongKeyChangesNothing) {
  Add(0, "zero");
  const LedgerRequests wrong{kLedger, "other password"};
  EXPECT_EQ(world_.CodeOfCall(wrong.Add(1, "x")), ReplyCode::kUnauthorized);
  EXPECT_EQ(world_.CodeOfCall(wrong.FencingRead(0)), ReplyCode::kUnauthorized);
  EXPECT_EQ(world_.CodeOfCall(wrong.WriteLac(0)), ReplyCode::kUnauthorized);
  ASSERT_TRUE(world_.Stop().ok());
  ASSERT_TRUE(Started());
  EXPECT_EQ(world_.CodeOfCall(wrong.Add(1, "x")), ReplyCode::kUnauthorized);
  Add(1, "one");
}

TEST_P(BookieTest, ReAddKeepsTheFirstBytes) {
  Add(0, "first", -1);
  Add(0, "first", -1);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "other", -1)), ReplyCode::kBadRequest);
  // After a checkpoint and a restart the entry is on disk only, and is compared there.
  ASSERT_TRUE(world_.Stop().ok());
  ASSERT_TRUE(Started());
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "other", -1)), ReplyCode::kBadRequest);
  // A recovery's copy has another LAC in its header, and another digest.
  EXPECT_EQ(world_.CodeOfCall(kRequests.RecoveryAdd(0, "first", 5)), ReplyCode::kOk);
  EXPECT_EQ(Read(0), "first");
}

TEST_P(BookieTest, ImpossibleIdsAreRefusedAndJournalNothing) {
  for (const int64_t entry : {int64_t{-1}, int64_t{-2}, int64_t{-0x1000}, int64_t{-0x8000},
                              INT64_MIN, kEntryIdMax + 1, INT64_MAX}) {
    EXPECT_EQ(world_.CodeOfCall(kRequests.Add(entry, "x")), ReplyCode::kBadRequest) << entry;
  }
  const LedgerRequests negative{LedgerId(-1)};
  EXPECT_EQ(world_.CodeOfCall(negative.Add(0, "x")), ReplyCode::kBadRequest);
  const LedgerRequests largest{LedgerId(INT64_MAX)};
  EXPECT_EQ(world_.CodeOfCall(largest.Add(0, "x")), ReplyCode::kOk);
  world_.Kill();
  ASSERT_TRUE(Started());
  EXPECT_EQ(world_.bookie()->Status().recovered.records, 2);  // the key and the entry of `largest`
}

TEST_P(BookieTest, DamagedOnTheWayIsRefusedOnceTheDigestIsKnown) {
  Add(0, "zero");
  wire::Request damaged = kRequests.Add(1, "one", 0);
  auto& add = std::get<wire::AddRequest>(damaged.body);
  std::string bytes = add.body.ToString();
  bytes.back() ^= 1;
  add.body = Buffer::FromString(bytes);
  EXPECT_EQ(world_.CodeOfCall(damaged), ReplyCode::kBadRequest);
  EXPECT_EQ(Read(1), NameOf(ReplyCode::kNoSuchEntry));
}

TEST_P(BookieTest, LacIsMonotonicAndSurvives) {
  Add(0, "zero", -1);
  Add(1, "one", 0);
  EXPECT_EQ(world_.CodeOfCall(kRequests.WriteLac(1)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kRequests.WriteLac(0)), ReplyCode::kOk);  // older: ignored
  const auto lac_of = [&] {
    const wire::Reply reply = world_.Call(ProtocolVersion::kV3, kRequests.Read(0));
    return std::get<wire::ReadReply>(reply.body).max_lac;
  };
  EXPECT_EQ(lac_of(), EntryId(1));
  world_.PowerCut();
  ASSERT_TRUE(Started());
  EXPECT_EQ(lac_of(), EntryId(1));
  ASSERT_TRUE(world_.Stop().ok());
  ASSERT_TRUE(Started());
  EXPECT_EQ(lac_of(), EntryId(1));
  const wire::Reply reply = world_.Call(ProtocolVersion::kV3, kRequests.ReadLac());
  EXPECT_EQ(reply.code, ReplyCode::kOk);
  const auto& lac = std::get<wire::ReadLacReply>(reply.body);
  ASSERT_TRUE(lac.lac_body.has_value() && lac.last_entry_body.has_value());
  EXPECT_EQ(wire::ParseExplicitLac(lac.lac_body->view())->lac, EntryId(1));
  EXPECT_EQ(kRequests.PayloadOf(*lac.last_entry_body, 1), "one");
}

TEST_P(BookieTest, ReadLacOfNothing) {
  EXPECT_EQ(world_.CodeOfCall(kRequests.ReadLac()), ReplyCode::kNoSuchEntry);
  EXPECT_EQ(world_.CodeOfCall(kRequests.WriteLac(3)), ReplyCode::kOk);  // creates the ledger
  EXPECT_EQ(world_.CodeOfCall(kRequests.ReadLac()), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Force()), ReplyCode::kOk);
}

TEST_P(BookieTest, BatchReadGivesAPrefix) {
  for (int64_t entry = 0; entry < 10; ++entry) {
    if (entry != 6) Add(entry, StrCat("payload ", entry), entry - 1);
  }
  const auto batch = [&](int64_t first, int32_t count, int64_t size) {
    const wire::Reply reply =
        world_.Call(ProtocolVersion::kV2, kRequests.BatchRead(first, count, size));
    const auto& body = std::get<wire::BatchReadReply>(reply.body);
    return reply.code == ReplyCode::kOk ? static_cast<int>(body.bodies.size())
                                        : -static_cast<int>(reply.code);
  };
  EXPECT_EQ(batch(0, 4, 1 << 20), 4);
  EXPECT_EQ(batch(0, 0, 1 << 20), 6);  // up to the hole
  EXPECT_EQ(batch(7, 100, 1 << 20), 3);
  EXPECT_EQ(batch(0, 4, 0), 1);  // the first is always given
  EXPECT_EQ(batch(0, 4, 36 + 2 * (4 + 36 + 9)), 2);
  EXPECT_EQ(batch(6, 4, 1 << 20), -static_cast<int>(ReplyCode::kNoSuchEntry));
  EXPECT_EQ(batch(-1, 5, 1 << 20), 1);  // the last entry alone
}

TEST_P(BookieTest, ListsItsEntries) {
  for (const int64_t entry : {0, 1, 2, 5, 1024}) Add(entry, "x", -1);
  const wire::Reply reply = world_.Call(ProtocolVersion::kV3, kRequests.ListEntries());
  ASSERT_EQ(reply.code, ReplyCode::kOk);
  const auto list =
      wire::Availability::Parse(std::get<wire::ListEntriesReply>(reply.body).availability);
  ASSERT_TRUE(list.ok());
  for (int64_t entry = 0; entry < 1030; ++entry) {
    const bool stored = entry <= 2 || entry == 5 || entry == 1024;
    EXPECT_EQ(list->Contains(EntryId(entry)), stored) << entry;
  }
}

Task<void> PollAndAdd(BookieWorld* world, std::vector<std::string>* seen) {
  WireClient poller(world->peer_env(), ProtocolVersion::kV3);
  WireClient writer(world->peer_env(), ProtocolVersion::kV3);
  EXPECT_TRUE((co_await poller.Connect(world->endpoint())).ok());
  EXPECT_TRUE((co_await writer.Connect(world->endpoint())).ok());
  // A ledger without any entry is waited for too.
  const LedgerRequests other{LedgerId(8)};
  const MonotonicTime begin = world->peer_env().clock->Now();
  auto reply = co_await poller.Call(other.LongPoll(-1, 50));
  EXPECT_EQ(reply->code, ReplyCode::kNoSuchLedger);
  EXPECT_GE(world->peer_env().clock->Now() - begin, absl::Milliseconds(50));
  poller.Send(other.LongPoll(-1, 3'600'000));
  co_await SleepFor(world->peer_env().executor, world->peer_env().clock, absl::Seconds(1));
  EXPECT_TRUE((co_await writer.Call(other.Add(0, "zero", -1))).ok());
  EXPECT_TRUE((co_await writer.Call(other.Add(1, "one", 0))).ok());
  reply = co_await poller.Receive();
  EXPECT_EQ(other.PayloadOf(std::get<wire::ReadReply>(reply->body).body, 0), "zero");
  // Nothing new: the poll ends by its time.
  EXPECT_TRUE((co_await writer.Call(kRequests.Add(0, "zero", -1))).ok());
  reply = co_await poller.Call(kRequests.LongPoll(0, 50));
  EXPECT_EQ(reply->code, ReplyCode::kOk);
  EXPECT_EQ(std::get<wire::ReadReply>(reply->body).entry, kNoEntry);
  // An add that carries a newer LAC wakes it, and brings the next entry.
  poller.Send(kRequests.LongPoll(-1, 3'600'000));
  EXPECT_TRUE((co_await writer.Call(kRequests.Add(1, "one", 0))).ok());
  reply = co_await poller.Receive();
  const auto& read = std::get<wire::ReadReply>(reply->body);
  seen->push_back(kRequests.PayloadOf(read.body, 0));
  EXPECT_EQ(read.entry, EntryId(0));
  EXPECT_EQ(read.max_lac, EntryId(0));
  // A fence wakes it too.
  poller.Send(kRequests.LongPoll(5, 3'600'000));
  co_await SleepFor(world->peer_env().executor, world->peer_env().clock, absl::Seconds(1));
  EXPECT_TRUE((co_await writer.Call(kRequests.FencingRead(-1))).ok());
  reply = co_await poller.Receive();
  EXPECT_EQ(reply->code, ReplyCode::kOk);
}

TEST_P(BookieTest, LongPollWaitsForProgressFenceOrTime) {
  std::vector<std::string> seen;
  world_.Run(PollAndAdd(&world_, &seen));
  EXPECT_EQ(seen, std::vector<std::string>{"zero"});
}

TEST_P(BookieTest, FullDisksMakeItReadOnlyAndBack) {
  Add(0, "zero");
  const uint64_t size = world_.machine()->disk().used_bytes();
  world_.machine()->disk().set_size_bytes(size + size / 50);
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(3)).ok());
  EXPECT_EQ(world_.bookie()->Status().mode, metadata::BookieMode::kReadOnly);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "one")), ReplyCode::kReadOnly);
  EXPECT_EQ(Read(0), "zero");
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(0)), ReplyCode::kOk);
  world_.machine()->disk().set_size_bytes(uint64_t{1} << 40);
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(3)).ok());
  EXPECT_EQ(world_.bookie()->Status().mode, metadata::BookieMode::kWritable);
  const LedgerRequests other{LedgerId(8)};
  EXPECT_EQ(world_.CodeOfCall(other.Add(0, "x")), ReplyCode::kOk);
}

TEST_P(BookieTest, AnotherBookiesDirectoriesAreRefused) {
  ASSERT_TRUE(world_.Stop().ok());
  world_.options().id = BookieId("other:3181");
  EXPECT_EQ(CodeOf(world_.Start()), ErrorCode::kCookieMismatch);
  world_.options().id = BookieId("bookie:3181");
  world_.options().ledger_directories = {"/data/ledgers", "/data/more"};
  EXPECT_EQ(CodeOf(world_.Start()), ErrorCode::kCookieMismatch);
  world_.options().allow_storage_expansion = true;
  EXPECT_TRUE(Started());
}

Task<void> FloodWithReads(BookieWorld* world, int reads, int* answered) {
  WireClient client(world->peer_env(), ProtocolVersion::kV2);
  EXPECT_TRUE((co_await client.Connect(world->endpoint())).ok());
  for (int i = 0; i < reads; ++i) client.Send(kRequests.Read(0));
  for (; *answered < reads; ++*answered) {
    auto reply = co_await client.Receive();
    if (!reply.ok() || reply->code != ReplyCode::kOk) co_return;
  }
}

TEST_P(BookieTest, AFloodOfReadsIsAnsweredWithBoundedMemory) {
  Add(0, std::string(64 << 10, 'x'));
  int answered = 0;
  world_.Run(FloodWithReads(&world_, 2'000, &answered));
  EXPECT_EQ(answered, 2'000);
}

Task<void> SendFrameAndWait(BookieWorld* world, std::string frame, bool* closed) {
  WireClient client(world->peer_env(), ProtocolVersion::kV2);
  EXPECT_TRUE((co_await client.Connect(world->endpoint())).ok());
  client.SendFrame(Buffer::FromString(std::move(frame)));
  co_await client.UntilClosed();
  *closed = true;
}

TEST_P(BookieTest, UnreadableFramesCloseTheirConnectionOnly) {
  for (const std::string& frame :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\x02\x09\x00\x00", 4),
        std::string("\x16\x03\x01\x02\x00", 5), std::string("SSH-2.0-x\r\n")}) {
    bool closed = false;
    world_.Run(SendFrameAndWait(&world_, frame, &closed));
    EXPECT_TRUE(closed);
  }
  Add(0, "still here");
}

// Random adds, fences and crashes: whatever was acknowledged is there, whatever was fenced stays
// so.
class BookieCrashTest : public testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, BookieCrashTest, testing::Range<uint64_t>(100, 108));

struct Acknowledged {
  std::map<std::pair<int64_t, int64_t>, std::string> entries;
  std::set<int64_t> fenced;
};

Task<void> Write(BookieWorld* world, simulation::SimRandom* random, int64_t first,
                 Acknowledged* oracle) {
  WireClient client(world->peer_env(),
                    random->Below(2) == 0 ? ProtocolVersion::kV2 : ProtocolVersion::kV3);
  if (!(co_await client.Connect(world->endpoint())).ok()) co_return;
  for (int64_t entry = first;; ++entry) {
    const int64_t ledger = static_cast<int64_t>(random->Below(5));
    const LedgerRequests requests{LedgerId(ledger)};
    if (random->Below(40) == 0) {
      auto reply = co_await client.Call(requests.FencingRead(entry));
      if (!reply.ok()) co_return;
      oracle->fenced.insert(ledger);
      continue;
    }
    const bool recovery = oracle->fenced.contains(ledger);
    const std::string payload(random->Below(3'000), static_cast<char>('a' + entry % 26));
    auto reply = co_await client.Call(recovery ? requests.RecoveryAdd(entry, payload)
                                               : requests.Add(entry, payload));
    if (!reply.ok()) co_return;
    if (reply->code == ReplyCode::kOk) oracle->entries[{ledger, entry}] = payload;
  }
}

Task<void> CheckAll(BookieWorld* world, const Acknowledged* oracle) {
  WireClient client(world->peer_env(), ProtocolVersion::kV3);
  EXPECT_TRUE((co_await client.Connect(world->endpoint())).ok());
  for (const auto& [id, payload] : oracle->entries) {
    const LedgerRequests requests{LedgerId(id.first)};
    auto reply = co_await client.Call(requests.Read(id.second));
    EXPECT_TRUE(reply.ok() && reply->code == ReplyCode::kOk) << id.first << ":" << id.second;
    if (!reply.ok() || reply->code != ReplyCode::kOk) continue;
    EXPECT_EQ(requests.PayloadOf(std::get<wire::ReadReply>(reply->body).body, id.second), payload);
  }
  for (const int64_t ledger : oracle->fenced) {
    const LedgerRequests requests{LedgerId(ledger)};
    auto reply = co_await client.Call(requests.Add(1'000'000, "late"));
    EXPECT_TRUE(reply.ok() && reply->code == ReplyCode::kFenced) << ledger;
  }
}

TEST_P(BookieCrashTest, NothingAcknowledgedIsLostAndNoFenceForgotten) {
  BookieWorld world(GetParam());
  ASSERT_TRUE(world.Start().ok());
  auto random = world.world().scheduler().random().Fork("workload");
  auto* sim_random = static_cast<simulation::SimRandom*>(random.get());
  Acknowledged oracle;
  for (int round = 0; round < 4; ++round) {
    world.peer()->Spawn(Write(&world, sim_random, round * 10'000, &oracle));
    const auto time = absl::Milliseconds(50 + static_cast<int64_t>(sim_random->Below(3'000)));
    ASSERT_TRUE(world.world().scheduler().RunFor(time).ok());
    if (sim_random->Below(3) == 0) {
      world.Kill();
    } else {
      world.PowerCut();
    }
    world.peer()->Crash();
    world.peer()->Restart();
    const absl::Status started = world.Start();
    ASSERT_TRUE(started.ok()) << started;
    world.Run(CheckAll(&world, &oracle));
  }
  EXPECT_GT(oracle.entries.size(), 100u);
}

// Lets the sync of a directory fail, once.
class FailOneDirectorySync : public simulation::FileFaults {
 public:
  explicit FailOneDirectorySync(int number) : left_(number) {}
  absl::Status BeforeOperation(const simulation::FileRequest& request) override {
    if (request.operation != simulation::FileOperation::kSyncDirectory || left_-- != 0) {
      return absl::OkStatus();
    }
    return MakeError(ErrorCode::kIoError, "the disk");
  }

 private:
  int left_;
};

TEST(BookieFirstStartTest, WhatAFailedStartHasMadeIsMadeDurableByTheNext) {
  for (const uint64_t seed : {1, 2, 3}) {
    for (int failing = 0; failing < 12; ++failing) {
      BookieWorld world(seed);
      FailOneDirectorySync faults(failing);
      world.machine()->disk().set_faults(&faults);
      const absl::Status first = world.Start();
      world.machine()->disk().set_faults(nullptr);
      if (!first.ok()) ASSERT_TRUE(world.Start().ok());
      ASSERT_EQ(world.CodeOfCall(kRequests.Add(0, "kept")), ReplyCode::kOk);
      world.PowerCut();
      const absl::Status again = world.Start();
      ASSERT_TRUE(again.ok()) << "seed " << seed << ", sync " << failing << ": " << again;
      EXPECT_EQ(world.PayloadOfRead(kRequests, 0), "kept");
    }
  }
}

}  // namespace
}  // namespace stele::bookie
