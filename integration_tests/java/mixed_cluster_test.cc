// Two bookies of Apache's and two of ours in one cluster: writers that are killed, recovered by the
// other side; bookies that change kind under load.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "common/base/strings.h"
#include "integration_tests/java/cluster.h"
#include "integration_tests/java/load_log.h"

namespace stele::integration {
namespace {

constexpr BookieKind kOurs = BookieKind::kStele;
constexpr BookieKind kApaches = BookieKind::kJava;

// What the tests do so often by themselves, times STELE_ROUNDS of the environment.
int Rounds(int few) {
  const char* times = std::getenv("STELE_ROUNDS");
  return few * (times == nullptr ? 1 : std::atoi(times));
}

class MixedClusterTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ =
        new Cluster({.bookies = {kOurs, kApaches, kOurs, kApaches}, .initialised_by = kApaches});
  }
  static void TearDownTestSuite() {
    std::printf("entries acknowledged and compared on both sides: %lld; kills survived: %d\n",
                static_cast<long long>(entries_), kills_);
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override { cluster_->StartAllThatAreDown(); }

  // Both clients find the same end of a closed ledger, and all that was acknowledged, unchanged.
  static void ExpectSameForBoth(const std::string& ledger, Driver& one, Driver& two) {
    const int64_t acknowledged = CountAcknowledged(LogOf(ledger));
    const std::string metadata = one.Must("metadata " + ledger).text;
    EXPECT_EQ(two.Must("metadata " + ledger).text, metadata);
    const std::string opened = one.Must("open same " + ledger).text;
    EXPECT_TRUE(opened.ends_with(" closed")) << opened;
    EXPECT_EQ(two.Must("open same " + ledger).text, opened);
    const int64_t last = std::stoll(opened);
    EXPECT_GE(last + 1, acknowledged) << "acknowledged entries are lost";
    if (last < 0) return;
    const std::string read = one.Must(StrCat("read same 0 ", last)).text;
    EXPECT_EQ(std::stoll(read), last + 1);
    EXPECT_EQ(two.Must(StrCat("read same 0 ", last)).text, read);
    entries_ += acknowledged;
  }

  static void KillBookie(size_t victim) {
    cluster_->Kill(victim);
    ++kills_;
  }
  static void Kill(Driver& driver) {
    driver.Kill();
    ++kills_;
  }
  static std::string LogOf(const std::string& ledger) {
    return StrCat(cluster_->directory(), "/acks-", ledger);
  }

  static Cluster* cluster_;
  static int64_t entries_;
  static int kills_;
};

Cluster* MixedClusterTest::cluster_ = nullptr;
int64_t MixedClusterTest::entries_ = 0;
int MixedClusterTest::kills_ = 0;

// A writer dies at some point of its load; a client of the other side takes its ledger over.
TEST_F(MixedClusterTest, TheOtherSideRecoversAWriterThatWasKilled) {
  std::mt19937 random(20'261'127);
  const auto ours = cluster_->Connect(ClientKind::kStele);
  const auto apaches = cluster_->Connect(ClientKind::kJavaV3);
  const auto apaches_v2 = cluster_->Connect(ClientKind::kJavaV2);
  for (int round = 0; round < Rounds(12); ++round) {
    const bool writer_is_ours = round % 2 == 0;
    const auto writer = cluster_->Connect(writer_is_ours   ? ClientKind::kStele
                                          : round % 4 == 1 ? ClientKind::kJavaV3
                                                           : ClientKind::kJavaV2);
    const int a = 2 + static_cast<int>(random() % 2);
    const std::string ledger =
        writer->Must(StrCat("create w e=4 w=3 a=", a, " digest=crc32c")).text;
    const std::string log = LogOf(ledger);
    writer->Must(StrCat("load w ", 1 + random() % 2000, " ", 1 + random() % 100, " ", log));
    AwaitAcknowledged(log, 1 + static_cast<int64_t>(random() % 300));
    Kill(*writer);
    Driver& recoverer = !writer_is_ours ? *ours : round % 4 == 0 ? *apaches : *apaches_v2;
    recoverer.Must(StrCat("open r ", ledger, " digest=crc32c recover=1"));
    ExpectSameForBoth(ledger, *ours, *apaches);
  }
}

// The writer lives on, and bookies die, while both sides recover at once.
TEST_F(MixedClusterTest, BothSidesRecoverALedgerOfALivingWriterAtOnce) {
  const auto ours = cluster_->Connect(ClientKind::kStele);
  const auto apaches = cluster_->Connect(ClientKind::kJavaV3);
  const auto our_writer = cluster_->Connect(ClientKind::kStele);
  const auto apaches_writer = cluster_->Connect(ClientKind::kJavaV3);
  for (int round = 0; round < Rounds(6); ++round) {
    Driver& writer = round % 2 == 0 ? *our_writer : *apaches_writer;
    const std::string ledger = writer.Must("create w e=3 w=3 a=2").text;
    const std::string log = LogOf(ledger);
    writer.Must(StrCat("load w 100 20 ", log));
    AwaitAcknowledged(log, 100);
    const size_t victim = static_cast<size_t>(round) % cluster_->size();
    KillBookie(victim);
    ours->Send(StrCat("open r ", ledger, " recover=1"));
    apaches->Send(StrCat("open r ", ledger, " recover=1"));
    const Answer first = ours->Receive();
    const Answer second = apaches->Receive();
    EXPECT_TRUE(first.ok) << first.text;
    EXPECT_TRUE(second.ok) << second.text;
    writer.Must("load-stop w");
    cluster_->Start(victim);
    ExpectSameForBoth(ledger, *ours, *apaches);
  }
}

// A recovery that dies on its way is finished by the other side.
TEST_F(MixedClusterTest, TheOtherSideFinishesARecoveryThatWasKilled) {
  const auto ours = cluster_->Connect(ClientKind::kStele);
  const auto apaches = cluster_->Connect(ClientKind::kJavaV3);
  for (int round = 0; round < Rounds(6); ++round) {
    const auto writer = cluster_->Connect(round % 4 < 2 ? ClientKind::kStele : ClientKind::kJavaV3);
    const std::string ledger = writer->Must("create w e=3 w=3 a=2").text;
    const std::string log = LogOf(ledger);
    writer->Must(StrCat("load w 1000 500 ", log));
    AwaitAcknowledged(log, 500);
    Kill(*writer);
    const bool first_is_ours = round % 2 == 0;
    auto first = cluster_->Connect(first_is_ours ? ClientKind::kStele : ClientKind::kJavaV3);
    first->Send(StrCat("open r ", ledger, " recover=1"));
    absl::SleepFor(absl::Milliseconds(3 * round));
    Kill(*first);
    (first_is_ours ? *apaches : *ours).Must(StrCat("open r ", ledger, " recover=1"));
    ExpectSameForBoth(ledger, *ours, *apaches);
  }
}

// Each bookie is stopped and started as the other kind on the same directories, and back, while two
// writers write on.
TEST_F(MixedClusterTest, BookiesChangeKindUnderLoad) {
  const auto ours = cluster_->Connect(ClientKind::kStele);
  const auto apaches = cluster_->Connect(ClientKind::kJavaV3);
  std::vector<std::pair<Driver*, std::string>> loads;
  for (Driver* writer : {ours.get(), apaches.get()}) {
    const std::string ledger = writer->Must("create w e=3 w=3 a=2").text;
    writer->Must(StrCat("load w 200 5 ", LogOf(ledger)));
    loads.emplace_back(writer, ledger);
  }
  for (const bool back : {false, true}) {
    for (size_t i = 0; i < cluster_->size(); ++i) {
      for (const auto& [writer, ledger] : loads) AwaitAcknowledged(LogOf(ledger), 50);
      const bool is_ours = (i % 2 == 0) != back;
      cluster_->Stop(i);
      cluster_->Start(i, is_ours ? kApaches : kOurs);
    }
  }
  for (const auto& [writer, ledger] : loads) {
    AwaitAcknowledged(LogOf(ledger), 50);
    const std::string stopped = writer->Must("load-stop w").text;
    EXPECT_TRUE(stopped.ends_with(" -")) << stopped;
    writer->Must("close w");
    ExpectSameForBoth(ledger, *ours, *apaches);
  }
}

}  // namespace
}  // namespace stele::integration
