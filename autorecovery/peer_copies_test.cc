// What a bookie gets from its peers, and that a scrub mends rot with it.
#include "autorecovery/peer_copies.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/entry_packet.h"

namespace stele::autorecovery {
namespace {

constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};

template <typename T>
Task<void> Keep(Task<T> task, std::optional<T>* into) {
  into->emplace(co_await std::move(task));
}

Task<bool> Stopped(PeerCopies* peers) {
  co_await peers->Stop();
  co_return true;
}

// A process beside the cluster that has the peers of one bookie.
class PeerCopiesTest : public testing::Test {
 protected:
  // Of bookie `number`.
  void Connect(int number) {
    auto cluster = Run(metadata::OpenCluster(store_, "/ledgers", std::nullopt));
    ASSERT_TRUE(cluster.ok());
    peers_ = process_->Own(
        std::make_unique<PeerCopies>(repair_.world().env(process_), store_, *std::move(cluster),
                                     RepairCluster::Id(number), client::ClientOptions{}));
  }
  template <typename T>
  T Run(Task<T> task) {
    std::optional<T> result;
    process_->Spawn(Keep(std::move(task), &result));
    repair_.cluster().RunUntil([&] { return result.has_value(); });
    return *std::move(result);
  }
  absl::StatusOr<Buffer> Fetch(LedgerId ledger, int64_t entry) {
    return Run(peers_->Fetch(ledger, EntryId(entry)));
  }
  void ExpectCopy(LedgerId ledger, int64_t entry) {
    const absl::StatusOr<Buffer> packet = Fetch(ledger, entry);
    ASSERT_TRUE(packet.ok()) << packet.status();
    const metadata::LedgerMetadata metadata = repair_.Metadata(ledger);
    const auto verified =
        wire::VerifyEntry(*packet, wire::Digester(metadata.digest_type(), *metadata.password()),
                          ledger, EntryId(entry));
    ASSERT_TRUE(verified.ok()) << verified.status();
    EXPECT_EQ(verified->payload.ToString(), RepairCluster::PayloadOf(ledger, entry));
  }

  RepairCluster repair_{1, 4};
  simulation::SimProcess* process_ =
      repair_.world().AddProcess(repair_.world().AddMachine("beside"), "beside");
  metadata::MetadataStore* store_ = process_->Own(repair_.world().NewMetadataStore(process_));
  PeerCopies* peers_ = nullptr;
};

TEST_F(PeerCopiesTest, ACopyIsThePacketThatBookiesStore) {
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 5);
  const LedgerId other = repair_.WriteLedger(kThreeTwo, 3);
  Connect(repair_.BookieAt(ledger, 0, 0));
  for (int64_t entry = 0; entry < 5; ++entry) ExpectCopy(ledger, entry);
  ExpectCopy(other, 2);
}

TEST_F(PeerCopiesTest, TheBookieItselfIsNotAsked) {
  const LedgerId ledger =
      repair_.WriteLedger({.ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1}, 1);
  Connect(repair_.BookieAt(ledger, 0, 0));
  const absl::Status status = Fetch(ledger, 0).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kReadFailed);
  EXPECT_NE(status.message().find("there is none"), std::string::npos) << status;
}

TEST_F(PeerCopiesTest, ABookieThatIsDownIsPassedOver) {
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 3);
  Connect(repair_.BookieAt(ledger, 0, 0));
  repair_.cluster().Kill(repair_.BookieAt(ledger, 0, 1));
  for (int64_t entry = 0; entry < 3; ++entry) ExpectCopy(ledger, entry);
}

TEST_F(PeerCopiesTest, WhenNobodyHasItTheErrorSaysWhoSaidWhat) {
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 3);
  Connect(repair_.BookieAt(ledger, 0, 0));
  const absl::Status status = Fetch(ledger, 7).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kReadFailed);
  for (BookieIndex peer = 1; peer < 3; ++peer) {
    const BookieId id = RepairCluster::Id(repair_.BookieAt(ledger, 0, peer));
    EXPECT_NE(status.message().find(StrCat(id.value(), ": NoSuchEntry")), std::string::npos)
        << status;
  }
  ExpectCopy(ledger, 2);
  EXPECT_EQ(CodeOf(Fetch(LedgerId(ledger.value() + 1), 0).status()),
            ErrorCode::kNoSuchLedgerMetadata);
}

TEST_F(PeerCopiesTest, WithoutAPasswordNothingIsBelieved) {
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 3);
  Connect(repair_.BookieAt(ledger, 0, 0));
  const std::string old_format =
      "BookieMetadataFormatVersion\t1\n3\n3\n0\n0\tb1:3181\tb2:3181\tb3:3181\n";
  ASSERT_TRUE(Run(store_->Put(StrCat("/ledgers/00/0000/L000", ledger.value()), old_format,
                              metadata::kAnyVersion))
                  .ok());
  EXPECT_EQ(CodeOf(Fetch(ledger, 0).status()), ErrorCode::kUnsupported);
}

TEST_F(PeerCopiesTest, StopEndsTheFetchThatWaits) {
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 3);
  Connect(repair_.BookieAt(ledger, 0, 0));
  ExpectCopy(ledger, 0);
  for (BookieIndex peer = 1; peer < 3; ++peer) {
    repair_.cluster().process(repair_.BookieAt(ledger, 0, peer))->Pause();
  }
  std::optional<absl::StatusOr<Buffer>> fetched;
  process_->Spawn(Keep(peers_->Fetch(ledger, EntryId(1)), &fetched));
  repair_.cluster().RunFor(absl::Seconds(1));
  EXPECT_FALSE(fetched.has_value());
  EXPECT_TRUE(Run(Stopped(peers_)));
  repair_.cluster().RunFor(absl::Seconds(1));
  ASSERT_TRUE(fetched.has_value());
  EXPECT_FALSE(fetched->ok());
}

}  // namespace
}  // namespace stele::autorecovery
