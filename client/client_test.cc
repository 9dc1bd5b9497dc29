// The public API from end to end, against fake bookies.
#include "client/client.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client/testing/test_cluster.h"

namespace stele::client {
namespace {

TEST(ClientTest, AppendsReadsAndCloses) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app");
  WriteHandle writer =
      cluster
          .Get(client.CreateLedger().Replication({3, 3, 2}).Password("secret").Create(UseFuture()))
          .value();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(cluster.Get(writer.Append(Buffer::CopyOf("entry " + std::to_string(i)), UseFuture()))
                  .value(),
              EntryId(i));
  }
  EXPECT_EQ(writer.last_add_confirmed(), EntryId(9));
  EXPECT_EQ(writer.length_bytes(), 70);
  std::vector<Entry> own = cluster.Get(writer.Read(EntryId(3), EntryId(4), UseFuture())).value();
  ASSERT_EQ(own.size(), 2u);
  EXPECT_EQ(own[1].payload.view(), "entry 4");
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());

  ReadHandle reader =
      cluster.Get(client.OpenLedger(writer.id()).Password("secret").Open(UseFuture())).value();
  EXPECT_TRUE(reader.is_closed());
  EXPECT_EQ(reader.last_add_confirmed(), EntryId(9));
  EXPECT_EQ(reader.length_bytes(), 70);
  std::vector<Entry> entries =
      cluster.Get(reader.Read(EntryId(0), EntryId(9), UseFuture())).value();
  ASSERT_EQ(entries.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(entries[static_cast<size_t>(i)].id, EntryId(i));
    EXPECT_EQ(entries[static_cast<size_t>(i)].payload.view(), "entry " + std::to_string(i));
    EXPECT_EQ(entries[static_cast<size_t>(i)].length_bytes, 7 * (i + 1));
  }
}

TEST(ClientTest, AnEntryThatFitsIntoNoFrameIsRefusedBeforeItIsSent) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app", {.frame_size_max_bytes = 64 << 10});
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication({3, 3, 2}).Create(UseFuture())).value();
  const auto append = [&](size_t size) {
    return cluster.Get(writer.Append(Buffer::FromString(std::string(size, 'x')), UseFuture()));
  };
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<EntryId> refused = append(64 << 10);
    EXPECT_EQ(CodeOf(refused.status()), ErrorCode::kInvalidArgument);
    EXPECT_EQ(EffectOf(refused.status()), Effect::kNone);
  }
  // It took no id, and cost no bookie its place.
  EXPECT_EQ(append(60 << 10).value(), EntryId(0));
  EXPECT_EQ(cluster.Get(client.ReadMetadata(writer.id(), UseFuture())).value().fragments().size(),
            1u);
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
}

TEST(ClientTest, AnEntryAboveTheBookiesLimitFailsTheWriterAndCostsNoBookieItsPlace) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app", {.frame_size_max_bytes = 16 << 20});
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication({3, 3, 2}).Create(UseFuture())).value();
  cluster.AddBookies(3);
  std::future<absl::StatusOr<EntryId>> small = writer.Append(Buffer::CopyOf("x"), UseFuture());
  std::future<absl::StatusOr<EntryId>> large =
      writer.Append(Buffer::FromString(std::string(6 << 20, 'x')), UseFuture());
  EXPECT_EQ(cluster.Get(std::move(small)).value(), EntryId(0));
  const absl::Status refused = cluster.Get(std::move(large)).status();
  EXPECT_EQ(CodeOf(refused), ErrorCode::kInvalidArgument);
  EXPECT_EQ(EffectOf(refused), Effect::kUnknown);
  EXPECT_NE(refused.message().find("nettyMaxFrameSizeBytes"), std::string_view::npos) << refused;
  EXPECT_EQ(cluster.Get(client.ReadMetadata(writer.id(), UseFuture())).value().fragments().size(),
            1u);
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
}

TEST(ClientTest, ARecoveryFencesTheWriterAndKeepsWhatWasAcknowledged) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app");
  Client& other = cluster.NewClient("other");
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication({3, 3, 2}).Create(UseFuture())).value();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(cluster.Get(writer.Append(Buffer::CopyOf("12345678"), UseFuture())).ok());
  }
  ReadHandle reader =
      cluster.Get(other.OpenLedger(writer.id()).Recover().Open(UseFuture())).value();
  EXPECT_TRUE(reader.is_closed());
  EXPECT_EQ(reader.last_add_confirmed(), EntryId(4));
  EXPECT_EQ(reader.length_bytes(), 40);
  EXPECT_EQ(cluster.Get(reader.Read(EntryId(0), EntryId(4), UseFuture())).value().size(), 5u);

  absl::StatusOr<EntryId> late = cluster.Get(writer.Append(Buffer::CopyOf("x"), UseFuture()));
  EXPECT_EQ(CodeOf(late.status()), ErrorCode::kLedgerFenced);
  EXPECT_EQ(EffectOf(late.status()), Effect::kUnknown);
  absl::StatusOr<EntryId> later = cluster.Get(writer.Append(Buffer::CopyOf("x"), UseFuture()));
  EXPECT_EQ(CodeOf(later.status()), ErrorCode::kLedgerFenced);
  EXPECT_EQ(EffectOf(later.status()), Effect::kNone);
  // The recovery ended the ledger where the writer stood.
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
}

TEST(ClientTest, ATailSeesEntriesAsTheyAreAcknowledgedAndTheEnd) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app", {.explicit_lac_interval = absl::Milliseconds(50)});
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication({3, 2, 2}).Create(UseFuture())).value();
  ReadHandle reader = cluster.Get(client.OpenLedger(writer.id()).Open(UseFuture())).value();
  TailStream tail = reader.Tail(EntryId(0));
  std::future<absl::StatusOr<std::optional<Entry>>> next = tail.Next(UseFuture());
  cluster.RunFor(absl::Seconds(1));
  EXPECT_FALSE(cluster.IsReady(next));
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(cluster.Get(writer.Append(Buffer::CopyOf(std::to_string(i)), UseFuture())).ok());
    absl::StatusOr<std::optional<Entry>> entry = cluster.Get(std::move(next));
    ASSERT_TRUE(entry.ok()) << entry.status();
    ASSERT_TRUE(entry->has_value());
    EXPECT_EQ((*entry)->id, EntryId(i));
    EXPECT_EQ((*entry)->payload.view(), std::to_string(i));
    next = tail.Next(UseFuture());
  }
  ASSERT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  absl::StatusOr<std::optional<Entry>> end = cluster.Get(std::move(next));
  ASSERT_TRUE(end.ok());
  EXPECT_FALSE(end->has_value());
}

TEST(ClientTest, ListsReadsMetadataAndDeletes) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app");
  std::vector<LedgerId> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(cluster
                      .Get(client.CreateLedger()
                               .CustomMetadata({{"application", "test"}})
                               .Digest(DigestType::kCrc32c)
                               .Create(UseFuture()))
                      .value()
                      .id());
  }
  EXPECT_EQ(cluster.Get(client.ListLedgers(UseFuture())).value(), ids);
  const metadata::LedgerMetadata metadata =
      cluster.Get(client.ReadMetadata(ids[1], UseFuture())).value();
  EXPECT_EQ(metadata.custom_metadata().at("application"), "test");
  EXPECT_EQ(metadata.digest_type(), DigestType::kCrc32c);
  EXPECT_EQ(metadata.replication(), (quorum::Replication{3, 2, 2}));
  EXPECT_TRUE(cluster.Get(client.DeleteLedger(ids[1], UseFuture())).ok());
  EXPECT_TRUE(cluster.Get(client.DeleteLedger(ids[1], UseFuture())).ok());
  EXPECT_EQ(cluster.Get(client.ListLedgers(UseFuture())).value(),
            (std::vector<LedgerId>{ids[0], ids[2]}));
  EXPECT_EQ(CodeOf(cluster.Get(client.OpenLedger(ids[1]).Open(UseFuture())).status()),
            ErrorCode::kNoSuchLedgerMetadata);
}

TEST(ClientTest, AWrongPasswordIsRefusedWithoutAskingABookie) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app");
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Password("right").Create(UseFuture())).value();
  EXPECT_EQ(
      CodeOf(
          cluster.Get(client.OpenLedger(writer.id()).Password("wrong").Recover().Open(UseFuture()))
              .status()),
      ErrorCode::kUnauthorized);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(cluster.bookie(i).requests().empty());
}

TEST(ClientTest, ClosingTheClientStopsEverythingAndHandlesSurviveIt) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app");
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication({3, 3, 3}).Create(UseFuture())).value();
  ReadHandle reader = cluster.Get(client.OpenLedger(writer.id()).Open(UseFuture())).value();
  TailStream tail = reader.Tail(EntryId(0));
  cluster.bookie(2).SetScript([](const wire::Request&) { return FakeBookie::kIgnore; });
  std::future<absl::StatusOr<EntryId>> pending = writer.Append(Buffer::CopyOf("x"), UseFuture());
  std::future<absl::StatusOr<std::optional<Entry>>> waiting = tail.Next(UseFuture());
  cluster.RunFor(absl::Milliseconds(100));
  EXPECT_TRUE(cluster.Get(client.Close(UseFuture())).ok());
  EXPECT_EQ(CodeOf(cluster.Get(std::move(pending)).status()), ErrorCode::kStopped);
  EXPECT_EQ(CodeOf(cluster.Get(std::move(waiting)).status()), ErrorCode::kStopped);
  EXPECT_EQ(CodeOf(cluster.Get(writer.Append(Buffer::CopyOf("y"), UseFuture())).status()),
            ErrorCode::kStopped);
  EXPECT_EQ(CodeOf(cluster.Get(writer.Close(UseFuture()))), ErrorCode::kStopped);
  EXPECT_EQ(CodeOf(cluster.Get(client.CreateLedger().Create(UseFuture())).status()),
            ErrorCode::kStopped);
  EXPECT_TRUE(cluster.Get(client.Close(UseFuture())).ok());
  EXPECT_EQ(cluster.ReadMetadata(writer.id()).value.state(), metadata::LedgerState::kOpen);
  cluster.Crash("app");  // handles outlive their client
}

TEST(ClientTest, OneWriterClaimsALedgerThatWaitsForIt) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app");
  LedgerId id;
  {
    const WriteHandle unused = cluster
                                   .Get(client.CreateLedger()
                                            .Password("secret")
                                            .CustomMetadata({{kUnclaimedMark, "1"}, {"a", "b"}})
                                            .Create(UseFuture()))
                                   .value();
    id = unused.id();
  }
  const auto claim = [&](std::string password) {
    return cluster.Get(client.OpenLedger(id).Password(std::move(password)).Claim(UseFuture()));
  };
  EXPECT_EQ(CodeOf(claim("wrong").status()), ErrorCode::kUnauthorized);
  WriteHandle writer = claim("secret").value();
  EXPECT_EQ(CodeOf(claim("secret").status()), ErrorCode::kMetadataConflict);
  EXPECT_EQ(cluster.Get(writer.Append(Buffer::CopyOf("hello"), UseFuture())).value(), EntryId(0));
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  const metadata::LedgerMetadata metadata =
      cluster.Get(client.ReadMetadata(id, UseFuture())).value();
  EXPECT_EQ(metadata.custom_metadata(), (std::map<std::string, std::string>{{"a", "b"}}));
  EXPECT_EQ(metadata.last_entry(), EntryId(0));
}

TEST(ClientTest, ALedgerThatWasRecoveredIsNotClaimed) {
  TestCluster cluster;
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("app");
  const WriteHandle unused =
      cluster.Get(client.CreateLedger().CustomMetadata({{kUnclaimedMark, "1"}}).Create(UseFuture()))
          .value();
  ASSERT_TRUE(cluster.Get(client.OpenLedger(unused.id()).Recover().Open(UseFuture())).ok());
  EXPECT_EQ(CodeOf(cluster.Get(client.OpenLedger(unused.id()).Claim(UseFuture())).status()),
            ErrorCode::kMetadataConflict);
}

}  // namespace
}  // namespace stele::client
