// LimboTest: a bookie that comes back with less than it had.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_operator.h"
#include "bookie/testing/bookie_world.h"
#include "bookie/testing/fake_peers.h"
#include "common/base/strings.h"

namespace stele::bookie {

inline constexpr LedgerId kLedger{7};
inline constexpr LedgerId kLater{8};
inline const LedgerRequests kRequests{kLedger};
inline const LedgerRequests kLaterRequests{kLater};
inline constexpr char kJournalAge[] = "/data/journal/current/age";
inline constexpr char kLedgersAge[] = "/data/ledgers/current/age";
inline constexpr char kIndexFile[] = "/data/ledgers/current/0/7/7.idx";
inline constexpr char kEntryLog[] = "/data/ledgers/current/0.log";
inline constexpr char kMark[] = "/data/ledgers/current/limbo";

// With either index.
class LimboTest : public testing::TestWithParam<IndexFormat> {
 protected:
  static BookieOptions Options(FakePeers* peers) {
    BookieOptions options = BookieWorld::DefaultOptions();
    options.entry_source = peers->AsSource();
    options.index_format = GetParam();
    return options;
  }
  // A bookie of its first day, with a snapshot of that, has stored a ledger of five entries since,
  // and was started anew.
  void SetUp() override {
    Start();
    operator_ = std::make_unique<BookieOperator>(&world_);
    first_day_ = disk().TakeSnapshot();
    store_of_first_day_ = world_.world().metadata().TakeBackup();
    Restart();
    operator_->CreateLedger(kLedger);
    for (int64_t entry = 0; entry < 5; ++entry) {
      const wire::Request add = kRequests.Add(entry, Payload(entry), entry - 1);
      peers_.copies[{kLedger, EntryId(entry)}] = std::get<wire::AddRequest>(add.body).body;
      ASSERT_EQ(world_.CodeOfCall(add), wire::ReplyCode::kOk);
    }
  }
  static std::string Payload(int64_t entry) { return StrCat("payload ", entry); }
  simulation::SimDisk& disk() { return world_.machine()->disk(); }
  void Start() {
    const absl::Status started = world_.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  void Restart() {
    world_.Kill();
    Start();
  }
  void SetBack() {
    world_.Kill();
    disk().RestoreSnapshot(first_day_);
    Start();
  }
  void RunFor(absl::Duration duration) {
    ASSERT_TRUE(world_.world().scheduler().RunFor(duration).ok());
  }
  wire::ReplyCode CodeOfRead(int64_t entry) { return world_.CodeOfCall(kRequests.Read(entry)); }
  // Where the metadata store has something of this bookie.
  std::string PathOf(std::string_view what) {
    return StrCat("/stele/", operator_->ReadNode("/ledgers/INSTANCEID"), "/", what, "/bookie:3181");
  }
  int64_t LedgersInLimbo() { return world_.bookie()->Status().limbo.ledgers; }
  void ExpectAll() {
    for (int64_t entry = 0; entry < 5; ++entry) {
      EXPECT_EQ(world_.PayloadOfRead(kRequests, entry), Payload(entry));
    }
  }
  bool HasLogged(std::string_view text) {
    return std::ranges::any_of(world_.log().lines(), [text](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }

  FakePeers peers_;
  BookieWorld world_{1, Options(&peers_)};
  std::unique_ptr<BookieOperator> operator_;
  std::shared_ptr<const simulation::Inode> first_day_;
  simulation::SimMetadataTree store_of_first_day_;
};

}  // namespace stele::bookie
