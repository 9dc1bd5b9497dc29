// The whole product in one thread and virtual time: real bookies, a writer that dies, bookies that
// die with it, a recoverer that must find everything that was acknowledged.
#include "simulation/cluster.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::simulation {
namespace {

using client::Entry;
using client::ReadHandle;

using client::WriteHandle;

constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};

std::string PayloadOf(int64_t entry) {
  return StrCat("entry ", entry, " ", std::string(entry * 37 % 2'000, 'p'));
}

// What a writer was told, kept outside of the cluster.
struct Oracle {
  EntryId acknowledged = kNoEntry;  // and all before it
  int64_t failed = 0;
};

// Keeps `window` appends in flight until one fails.
class Writer {
 public:
  Writer(WriteHandle handle, Oracle* oracle) : handle_(std::move(handle)), oracle_(oracle) {}

  void Start(int window) {
    for (int i = 0; i < window; ++i) AppendNext();
  }
  WriteHandle& handle() { return handle_; }

 private:
  void AppendNext() {
    const int64_t entry = next_++;
    handle_.Append(Buffer::FromString(PayloadOf(entry)),
                   [this, entry](absl::StatusOr<EntryId> appended) {
                     if (!appended.ok()) {
                       ++oracle_->failed;
                       return;
                     }
                     EXPECT_EQ(appended->value(), entry);
                     EXPECT_EQ(oracle_->acknowledged.Next(), *appended);
                     oracle_->acknowledged = *appended;
                     AppendNext();
                   });
  }

  WriteHandle handle_;
  Oracle* oracle_;
  int64_t next_ = 0;
};

void ExpectAllReadable(Cluster& cluster, client::Client& reader_client, LedgerId ledger,
                       const Oracle& oracle) {
  auto opened = cluster.Get(reader_client.OpenLedger(ledger).Recover().Open(UseFuture()));
  ASSERT_TRUE(opened.ok()) << opened.status();
  ReadHandle reader = *std::move(opened);
  EXPECT_TRUE(reader.is_closed());
  ASSERT_GE(reader.last_add_confirmed(), oracle.acknowledged);
  if (reader.last_add_confirmed().IsNone()) return;
  auto entries = cluster.Get(reader.Read(EntryId(0), reader.last_add_confirmed(), UseFuture()));
  ASSERT_TRUE(entries.ok()) << entries.status();
  for (const Entry& entry : *entries) {
    ASSERT_EQ(entry.payload.view(), PayloadOf(entry.id.value())) << entry.id.value();
  }
}

// One story by its seed: a bookie dies under the writer, the writer dies, somebody recovers.
uint64_t RunStory(uint64_t seed) {
  Cluster cluster(seed, 4);
  EXPECT_EQ(cluster.failures(), std::vector<std::string>{});
  auto random = cluster.world().scheduler().random().Fork("story");
  Oracle oracle;
  client::Client& writer_client = cluster.NewClient("writer");
  auto created =
      cluster.Get(writer_client.CreateLedger().Replication(kThreeTwo).Create(UseFuture()));
  EXPECT_TRUE(created.ok()) << created.status();
  const LedgerId ledger = created->id();
  auto writer = std::make_unique<Writer>(*std::move(created), &oracle);
  writer->Start(1 + static_cast<int>(random->Below(8)));
  cluster.RunFor(absl::Milliseconds(20 + static_cast<int64_t>(random->Below(100))));

  const int victim = 1 + static_cast<int>(random->Below(4));
  const bool power = random->Below(2) == 0;
  power ? cluster.PowerCut(victim) : cluster.Kill(victim);
  cluster.RunFor(absl::Milliseconds(static_cast<int64_t>(random->Below(300))));
  const bool comes_back = random->Below(2) == 0;
  if (comes_back) cluster.Restart(victim);
  cluster.RunFor(absl::Milliseconds(static_cast<int64_t>(random->Below(300))));
  EXPECT_EQ(oracle.failed, 0);

  cluster.CrashClient("writer");
  writer.reset();
  client::Client& recoverer = cluster.NewClient("recoverer");
  ExpectAllReadable(cluster, recoverer, ledger, oracle);
  EXPECT_GT(oracle.acknowledged.value(), 10);
  EXPECT_EQ(cluster.failures(), std::vector<std::string>{});
  return cluster.trace_hash();
}

class ClusterTest : public testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, ClusterTest, testing::Range<uint64_t>(1, 9));

TEST_P(ClusterTest, WhatWasAcknowledgedIsRecoveredAfterBookieAndWriterDied) {
  RunStory(GetParam());
}

TEST(ClusterTraceTest, OneSeedGivesOneTraceHash) {
  const uint64_t first = RunStory(42);
  EXPECT_EQ(RunStory(42), first);
  EXPECT_NE(RunStory(43), first);
}

TEST(ClusterFenceTest, ALivingWriterIsStoppedByRecovery) {
  Cluster cluster(7, 3);
  Oracle oracle;
  client::Client& writer_client = cluster.NewClient("writer");
  auto created =
      cluster.Get(writer_client.CreateLedger().Replication(kThreeTwo).Create(UseFuture()));
  ASSERT_TRUE(created.ok()) << created.status();
  const LedgerId ledger = created->id();
  Writer writer(*std::move(created), &oracle);
  writer.Start(5);
  cluster.RunFor(absl::Milliseconds(200));
  client::Client& recoverer = cluster.NewClient("recoverer");
  auto opened = cluster.Get(recoverer.OpenLedger(ledger).Recover().Open(UseFuture()));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const EntryId end = opened->last_add_confirmed();
  cluster.RunFor(absl::Seconds(10));
  EXPECT_GT(oracle.failed, 0);
  EXPECT_LE(oracle.acknowledged, end);
  auto late = cluster.Get(writer.handle().Append(Buffer::CopyOf("late"), UseFuture()));
  EXPECT_FALSE(late.ok());
  ExpectAllReadable(cluster, recoverer, ledger, oracle);
}

TEST(ClusterScrubTest, BookiesMendRotWithEachOthersCopies) {
  const auto scrub = [](int, bookie::BookieOptions* options) {
    options->scrub = {.enabled = true, .pause = absl::Seconds(5), .first = absl::Seconds(5)};
  };
  Cluster cluster({.bookies = 3, .scheduler = {.seed = 1}, .adjust_bookie = scrub});
  Oracle oracle;
  {
    client::Client& client = cluster.NewClient("writer");
    auto created = cluster.Get(client.CreateLedger().Replication(kThreeTwo).Create(UseFuture()));
    ASSERT_TRUE(created.ok()) << created.status();
    Writer writer(*std::move(created), &oracle);
    writer.Start(5);
    cluster.RunFor(absl::Milliseconds(500));
    cluster.CrashClient("writer");
  }
  cluster.RunFor(absl::Seconds(3));  // the entries go to entry logs
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(cluster.machine(1)->disk().Rot("/data/ledgers/current/0.log").has_value());
  }
  cluster.RunUntil([&] { return cluster.bookie(1)->Status().scrub.passes >= 2; });
  const bookie::ScrubStats found = cluster.bookie(1)->Status().scrub;
  EXPECT_GT(found.damaged, 0);
  EXPECT_EQ(found.repaired, found.damaged);
  cluster.RunUntil([&] { return cluster.bookie(1)->Status().scrub.passes >= 4; });
  EXPECT_EQ(cluster.bookie(1)->Status().scrub.damaged, found.damaged);
  EXPECT_EQ(cluster.bookie(2)->Status().scrub.damaged, 0);
}

}  // namespace
}  // namespace stele::simulation
