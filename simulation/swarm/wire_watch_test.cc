// What WireWatch objects to, and what it lets pass, in frames and metadata made by hand.
#include "simulation/swarm/wire_watch.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/wire_client.h"
#include "common/base/strings.h"
#include "metadata/ledger_metadata_codec.h"

namespace stele::simulation {
namespace {

constexpr LedgerId kLedger(7);

// Ledger 7 on b1, b2 and b3, ack quorum 2.
class WireWatchTest : public testing::Test {
 protected:
  WireWatchTest() : stage_(scenario_), scheduler_({.seed = 1}), watch_(&stage_, &scheduler_) {
    stage_.SetScheduler(&scheduler_);
    metadata::LedgerMetadataFields fields;
    fields.replication = {.ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};
    fields.fragments = {
        {EntryId(0), {BookieId("b1:3181"), BookieId("b2:3181"), BookieId("b3:3181")}}};
    metadata_ = metadata::LedgerMetadata::Create(fields).value();
    Write(metadata_.value(), MetadataOperation::kCreate);
  }

  void Tick() {
    scheduler_.CallAfter(scheduler_.world(), absl::Milliseconds(1), [] {});
    EXPECT_TRUE(scheduler_.RunFor(absl::Milliseconds(2)).ok());
  }
  void Write(const metadata::LedgerMetadata& metadata, MetadataOperation operation) {
    const metadata::LedgerLayout layout("/ledgers", metadata::LayoutType::kHierarchical);
    watch_.OnWritten("client", {.operation = operation,
                                .path = layout.PathOf(kLedger).value(),
                                .value = metadata::SerializeLedgerMetadata(metadata).value(),
                                .expected = 0});
  }
  void MarkInRecovery() {
    metadata_ = metadata_->WithInRecovery().value();
    Write(*metadata_, MetadataOperation::kPut);
  }
  void CloseAt(int64_t last) {
    Write(metadata_->WithClosed(EntryId(last), 0).value(), MetadataOperation::kPut);
  }

  // The request reaches the bookie.
  void Deliver(std::string_view bookie, wire::Request request, std::string_view from = "client") {
    Tick();
    request.header.version = wire::ProtocolVersion::kV3;
    request.header.txn_id = ++txn_;
    const wire::OutgoingFrame frame = wire::EncodeRequest(request).value();
    watch_.OnDelivered(1, std::string(from), std::string(bookie),
                       Buffer::FromString(StrCat(frame.head, frame.body.view())));
    last_ = std::move(request);
  }
  // The bookie answers the request that was delivered last.
  void Answer(std::string_view bookie, wire::ReplyCode code) {
    Tick();
    const auto frame = code == wire::ReplyCode::kOk ? wire::EncodeReply(last_.header, code, Body())
                                                    : wire::EncodeError(last_, code).value();
    watch_.OnSent(1, std::string(bookie), "client",
                  Buffer::FromString(StrCat(frame.head, frame.body.view())));
  }
  void Ask(std::string_view bookie, const wire::Request& request,
           wire::ReplyCode code = wire::ReplyCode::kOk) {
    Deliver(bookie, request);
    Answer(bookie, code);
  }

  // The checkers that objected.
  std::vector<std::string> broken() const {
    std::vector<std::string> names;
    for (const Stage::Violation& violation : stage_.violations())
      names.push_back(violation.checker);
    return names;
  }
  using Names = std::vector<std::string>;

  wire::ReplyBody Body() const {
    if (const auto* add = std::get_if<wire::AddRequest>(&last_.body)) {
      return wire::AddReply{.ledger = add->ledger, .entry = add->entry};
    }
    const auto& read = std::get<wire::ReadRequest>(last_.body);
    return wire::ReadReply{.ledger = read.ledger, .entry = read.entry};
  }

  const bookie::LedgerRequests requests_{.ledger = kLedger};
  Scenario scenario_;
  Stage stage_;
  Scheduler scheduler_;
  WireWatch watch_;
  absl::StatusOr<metadata::LedgerMetadata> metadata_ = absl::UnknownError("");
  wire::Request last_;
  uint64_t txn_ = 0;
};

TEST_F(WireWatchTest, ARecoveryTellsTheLacThatTheWriterTold) {
  Ask("b1", requests_.Add(0, "x", -1));
  Ask("b1", requests_.Add(1, "x", 0));
  MarkInRecovery();
  Ask("b2", requests_.RecoveryAdd(1, "x", 0));
  EXPECT_EQ(broken(), Names{});
  Ask("b2", requests_.RecoveryAdd(2, "x", 1));
  EXPECT_EQ(broken(), Names{"RecoveryLac"});
}

TEST_F(WireWatchTest, AnExplicitLacIsTheWritersToo) {
  Ask("b1", requests_.Add(0, "x", -1));
  Deliver("b1", requests_.WriteLac(0));
  MarkInRecovery();
  Ask("b2", requests_.RecoveryAdd(0, "x", 0));
  EXPECT_EQ(broken(), Names{});
}

// b4 was tried for entry 0 and lost; b1 and b2 are enough for it. b5 took its place behind.
TEST_F(WireWatchTest, ARecoveryMayNameABookieThatItTriedAndLostARepairMayNot) {
  for (const char* bookie : {"b1", "b2"}) {
    for (const int64_t entry : {0, 1}) Ask(bookie, requests_.Add(entry, "x"));
  }
  MarkInRecovery();
  for (const char* bookie : {"b1", "b2"})
    Ask(bookie, requests_.FencingRead(2), wire::ReplyCode::kNoSuchEntry);
  const BookieId b1("b1:3181");
  const BookieId b2("b2:3181");
  const auto tried = metadata_->WithEnsembleFrom(EntryId(0), {b1, b2, BookieId("b4:3181")}).value();
  metadata_ =
      tried.WithEnsembleFrom(EntryId(1), {b1, b2, BookieId("b5:3181")})->WithClosed(EntryId(1), 0);
  Write(*metadata_, MetadataOperation::kPut);
  EXPECT_EQ(broken(), Names{});
  Write(metadata_->WithReplacedEnsemble(EntryId(0), {b1, b2, BookieId("b6:3181")}).value(),
        MetadataOperation::kPut);
  EXPECT_EQ(broken(), Names{"RepairHarmless"});
}

TEST_F(WireWatchTest, AnEndIsFinalWhenAnAckQuorumOfTheNextEntryIsOutOfReach) {
  for (const char* bookie : {"b1", "b2"}) Ask(bookie, requests_.Add(0, "x"));
  MarkInRecovery();
  for (const char* bookie : {"b1", "b2"})
    Ask(bookie, requests_.FencingRead(1), wire::ReplyCode::kNoSuchEntry);
  CloseAt(0);
  EXPECT_EQ(broken(), Names{});
}

TEST_F(WireWatchTest, AnEndIsNotFinalWhileABookieIsNotFencedAndAnotherHasTheNextEntry) {
  for (const char* bookie : {"b1", "b2"}) Ask(bookie, requests_.Add(0, "x"));
  Ask("b1", requests_.Add(1, "x"));
  MarkInRecovery();
  for (const char* bookie : {"b1", "b2"}) Ask(bookie, requests_.FencingRead(-1));
  Ask("b3", requests_.Read(1), wire::ReplyCode::kNoSuchEntry);
  CloseAt(0);
  EXPECT_EQ(broken(), Names{"EndIsFinal"});
}

TEST_F(WireWatchTest, WhatABookieShowsAfterARestartItKeeps) {
  Deliver("b1", requests_.Add(0, "x"));
  watch_.OnRestart("b1");
  ASSERT_EQ(watch_.RollCall("b1").size(), 1u);
  EXPECT_EQ(watch_.RollCall("b2").size(), 0u);
  Ask("b1", requests_.Read(0));
  EXPECT_TRUE(watch_.Has("b1", kLedger, EntryId(0)));
  watch_.OnRestart("b1");
  Ask("b1", requests_.Read(0), wire::ReplyCode::kNoSuchEntry);
  EXPECT_EQ(broken(), Names{"NegativesWereTrue"});
}

TEST_F(WireWatchTest, WhatABookieShowsInTheSameLifeItMayLose) {
  Deliver("b1", requests_.Add(0, "x"));
  Ask("b1", requests_.Read(0));
  watch_.OnRestart("b1");
  Ask("b1", requests_.Read(0), wire::ReplyCode::kNoSuchEntry);
  EXPECT_EQ(broken(), Names{});
}

TEST_F(WireWatchTest, TheRollIsCalledOfWhatWasAcknowledgedLast) {
  for (int64_t entry = 0; entry < 100; ++entry) Ask("b1", requests_.Add(entry, "x"));
  watch_.OnRestart("b1");
  const auto roll = watch_.RollCall("b1");
  ASSERT_EQ(roll.size(), 4u);
  EXPECT_EQ(roll.front(), std::make_pair(kLedger, EntryId(99)));
}

// Nobody can know of a last write of a journal that a disk lost although it said that it was done.
TEST_F(WireWatchTest, ADamagedBookieMayForgetItsFenceWhenItStartsAgainAndNotBefore) {
  Ask("b1", requests_.FencingRead(0), wire::ReplyCode::kNoSuchEntry);
  watch_.MarkDamaged("b1");
  watch_.OnRestart("b1");
  Ask("b1", requests_.Add(0, "x"));
  EXPECT_EQ(broken(), Names{});
  Ask("b1", requests_.FencingRead(1), wire::ReplyCode::kNoSuchEntry);
  Ask("b1", requests_.Add(1, "x"));
  EXPECT_EQ(broken(), Names{"FenceMonotone"});
}

TEST_F(WireWatchTest, ABookieThatIsNotDamagedKeepsItsFence) {
  Ask("b1", requests_.FencingRead(0), wire::ReplyCode::kNoSuchEntry);
  watch_.OnRestart("b1");
  Ask("b1", requests_.Add(0, "x"));
  EXPECT_EQ(broken(), Names{"FenceMonotone"});
}

// ---- Peers of Apache's kind

TEST_F(WireWatchTest, ABookieThatForgotItsFenceMayTakeAnAddAndIsMarked) {
  for (const char* bookie : {"b1", "b2"}) Ask(bookie, requests_.Add(0, "x"));
  MarkInRecovery();
  for (const char* bookie : {"b1", "b2"})
    Ask(bookie, requests_.FencingRead(1), wire::ReplyCode::kNoSuchEntry);
  watch_.OnLostFence("b1", kLedger);
  Ask("b1", requests_.Add(1, "x"));
  Ask("b3", requests_.Add(1, "x"));
  CloseAt(0);
  watch_.OnAcknowledged(kLedger, EntryId(1));
  EXPECT_EQ(broken(), Names{});
  ASSERT_EQ(stage_.history().marks().size(), 1u);
  EXPECT_EQ(stage_.history().marks()[0].kind, history::Mark::Kind::kLateAck);
  EXPECT_EQ(stage_.history().marks()[0].text, "7 1");
  // It answers a fence again: this one counts.
  Ask("b1", requests_.FencingRead(2), wire::ReplyCode::kNoSuchEntry);
  Ask("b1", requests_.Add(2, "x"));
  EXPECT_EQ(broken(), Names{"FenceMonotone"});
}

TEST_F(WireWatchTest, WhatIsAcknowledgedBehindALateOneNeedsNoCopiesElsewhere) {
  for (const char* bookie : {"b1", "b2", "b4"}) Ask(bookie, requests_.Add(0, "x"));
  for (const char* bookie : {"b2", "b3"}) Ask(bookie, requests_.Add(2, "x"));
  MarkInRecovery();
  for (const char* bookie : {"b1", "b2"})
    Ask(bookie, requests_.FencingRead(1), wire::ReplyCode::kNoSuchEntry);
  watch_.OnLostFence("b1", kLedger);
  for (const char* bookie : {"b1", "b3"}) Ask(bookie, requests_.Add(1, "x"));
  for (const int64_t entry : {0, 1, 2}) watch_.OnAcknowledged(kLedger, EntryId(entry));
  metadata_ = metadata_->WithClosed(EntryId(0), 0).value();
  Write(*metadata_, MetadataOperation::kPut);
  const metadata::Ensemble repaired = {BookieId("b1:3181"), BookieId("b2:3181"),
                                       BookieId("b4:3181")};
  Write(metadata_->WithReplacedEnsemble(EntryId(0), repaired).value(), MetadataOperation::kPut);
  EXPECT_EQ(broken(), Names{});
}

TEST_F(WireWatchTest, AnAckThatNeededNoSuchBookieIsNotExcused) {
  Ask("b1", requests_.FencingRead(0), wire::ReplyCode::kNoSuchEntry);
  watch_.OnLostFence("b1", kLedger);
  for (const char* bookie : {"b1", "b2", "b3"}) Ask(bookie, requests_.Add(0, "x"));
  MarkInRecovery();
  watch_.OnAcknowledged(kLedger, EntryId(0));
  EXPECT_EQ(stage_.history().marks().size(), 0u);
}

TEST_F(WireWatchTest, AStrayReplyAnswersNothing) {
  Deliver("b1", requests_.Add(0, "x"));
  watch_.BeforeStray();
  Answer("b1", wire::ReplyCode::kOk);
  EXPECT_FALSE(watch_.Has("b1", kLedger, EntryId(0)));
  Answer("b1", wire::ReplyCode::kOk);
  EXPECT_TRUE(watch_.Has("b1", kLedger, EntryId(0)));
}

TEST_F(WireWatchTest, AWriterThatOverridesNeedsNoFence) {
  for (const char* bookie : {"b1", "b2"}) Ask(bookie, requests_.Add(0, "x"));
  MarkInRecovery();
  watch_.LetOverride("client");
  CloseAt(0);
  EXPECT_EQ(broken(), Names{});
  ASSERT_EQ(stage_.history().marks().size(), 1u);
  EXPECT_EQ(stage_.history().marks()[0].kind, history::Mark::Kind::kOverride);
}

TEST_F(WireWatchTest, NobodyElseEndsALedgerWithoutOne) {
  for (const char* bookie : {"b1", "b2"}) Ask(bookie, requests_.Add(0, "x"));
  MarkInRecovery();
  watch_.LetOverride("another");
  CloseAt(0);
  EXPECT_EQ(broken(), Names{"EndIsFinal"});
}

}  // namespace
}  // namespace stele::simulation
