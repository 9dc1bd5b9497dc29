// Apache's administration tools on a cluster of our bookies.
#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "common/base/strings.h"
#include "integration_tests/java/cluster.h"

namespace stele::integration {
namespace {

class ShellTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster({.bookies = {BookieKind::kStele, BookieKind::kStele, BookieKind::kStele,
                                        BookieKind::kStele}});
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  // A closed ledger of ten entries, written by our client.
  static std::string Ledger() {
    const auto client = cluster_->Connect(ClientKind::kStele);
    std::string ledger = client->Must("create w e=3 w=3 a=2").text;
    client->Must("append w 10 10 1");
    client->Must("close w");
    return ledger;
  }

  static void ExpectShell(const std::vector<std::string>& command, const std::string& wanted) {
    const Cluster::Output output = cluster_->RunShell(command);
    EXPECT_EQ(output.exit_code, 0) << command[0] << ": " << output.text;
    EXPECT_TRUE(absl::StrContains(output.text, wanted)) << command[0] << ": " << output.text;
  }

  static Cluster* cluster_;
};

Cluster* ShellTest::cluster_ = nullptr;

TEST_F(ShellTest, ListsBookiesAndTheCluster) {
  ExpectShell({"listbookies", "-rw"}, cluster_->bookie_id(3));
  ExpectShell({"whatisinstanceid"}, "InstanceId: ");
  ExpectShell({"bookieinfo"}, cluster_->bookie_id(2));
  ExpectShell({"endpointinfo", "-b", cluster_->bookie_id(1)}, "bookie-rpc");
}

TEST_F(ShellTest, ReadsAndDeletesLedgers) {
  const std::string ledger = Ledger();
  ExpectShell({"listledgers"}, ledger);
  ExpectShell({"ledgermetadata", "-ledgerid", ledger}, "state=CLOSED");
  ExpectShell({"readledger", "-ledgerid", ledger}, "Eid=9");
  ExpectShell({"deleteledger", "-ledgerid", ledger, "-force"}, "");
  const auto client = cluster_->Connect(ClientKind::kStele);
  EXPECT_EQ(client->Do("metadata " + ledger).error, "NoSuchLedgerMetadata");
}

TEST_F(ShellTest, RunsItsOwnTest) {
  ExpectShell({"simpletest", "-ensemble", "3", "-writeQuorum", "3", "-ackQuorum", "2",
               "-numEntries", "100"},
              "100 entries written");
}

TEST_F(ShellTest, ReadsTheFilesOfOurBookie) {
  // The shell reads the directories of bookie 0.
  const auto client = cluster_->Connect(ClientKind::kStele);
  const auto is_on_it = [&](const std::string& ledger) {
    return absl::StrContains(client->Must("metadata " + ledger).Value("fragments"),
                             cluster_->bookie_id(0));
  };
  while (!is_on_it(Ledger())) {
  }
  // All that was written is in entry logs and indexes then.
  cluster_->Stop(0);
  ExpectShell({"lastmark"}, "LastLogMark");
  const std::string files =
      cluster_->RunShell({"listfilesondisc", "-journal", "-entrylog", "-index"}).text;
  std::smatch log;
  ASSERT_TRUE(std::regex_search(files, log, std::regex("([0-9a-f]+)\\.log"))) << files;
  ExpectShell({"readlogmetadata", StrCat(std::stoll(log[1], nullptr, 16))}, "entryLogId");
  ExpectShell({"cookie_get", cluster_->bookie_id(0)}, cluster_->bookie_id(0));
  cluster_->Start(0);
}

TEST_F(ShellTest, RecoversADeadBookie) {
  const std::string ledger = Ledger();
  const auto client = cluster_->Connect(ClientKind::kJavaV3);
  const auto fragments = [&] { return client->Must("metadata " + ledger).Value("fragments"); };
  size_t victim = 0;
  while (!absl::StrContains(fragments(), cluster_->bookie_id(victim))) ++victim;
  cluster_->Kill(victim);
  ExpectShell({"recover", "-f", "-sk", cluster_->bookie_id(victim)}, "");
  EXPECT_FALSE(absl::StrContains(fragments(), cluster_->bookie_id(victim))) << fragments();
  const auto ours = cluster_->Connect(ClientKind::kStele);
  ours->Must("open r " + ledger);
  EXPECT_EQ(ours->Must("read r 0 9").text, "10 100");
  cluster_->Start(victim);
}

}  // namespace
}  // namespace stele::integration
