// Apache's administration tools on a cluster of our bookies. What they print differs between
// releases: 4.17 writes sentences, 4.18 the attributes of an event, "{count=4}".
#include <filesystem>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "common/base/strings.h"
#include "integration_tests/java/cluster.h"

namespace stele::integration {
namespace {

class ShellTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster({.bookies = {BookieKind::kStele, BookieKind::kStele, BookieKind::kStele,
                                        BookieKind::kStele}});
    ours_ = cluster_->Connect(ClientKind::kStele).release();
  }
  static void TearDownTestSuite() {
    delete ours_;
    delete cluster_;
  }

  static std::string Fragments(const std::string& ledger) {
    return ours_->Must("metadata " + ledger).Value("fragments");
  }

  // A closed ledger of ten entries, written by our client, of which this bookie has copies.
  static std::string LedgerOn(size_t bookie) {
    for (;;) {
      const std::string ledger = ours_->Must("create w e=3 w=3 a=3").text;
      ours_->Must("append w 10 10 1");
      ours_->Must("close w");
      if (absl::StrContains(Fragments(ledger), cluster_->bookie_id(bookie))) return ledger;
    }
  }
  static void ExpectReadable(const std::string& ledger) {
    ours_->Must("open r " + ledger);
    EXPECT_EQ(ours_->Must("read r 0 9").text, "10 100");
  }

  // What the command prints, in which this regular expression is found.
  static std::string ExpectShell(const std::vector<std::string>& command,
                                 const std::string& wanted) {
    const Cluster::Output output = cluster_->RunShell(command);
    EXPECT_EQ(output.exit_code, 0) << command[0] << ": " << output.text;
    EXPECT_TRUE(std::regex_search(output.text, std::regex(wanted)))
        << command[0] << ": no " << wanted << " in " << output.text;
    return output.text;
  }
  static std::string Stele(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--metadata", cluster_->metadata_uri()});
    const Cluster::Output output = cluster_->RunStele(arguments);
    EXPECT_EQ(output.exit_code, 0) << arguments[0] << ": " << output.text;
    return output.text;
  }

  // The command ends with an error while nobody audits, and says all the same.
  static std::string AutorecoveryStatus() {
    return cluster_->RunStele({"autorecovery", "status", "--metadata", cluster_->metadata_uri()})
        .text;
  }

  static Cluster* cluster_;
  static Driver* ours_;
};

Cluster* ShellTest::cluster_ = nullptr;
Driver* ShellTest::ours_ = nullptr;

TEST_F(ShellTest, ListsBookiesAndTheCluster) {
  ExpectShell({"listbookies", "-rw"}, cluster_->bookie_id(3));
  ExpectShell({"whatisinstanceid"}, "InstanceId.*[0-9a-f]{8}-[0-9a-f]{4}-");
  ExpectShell({"clusterinfo"}, "\"writableBookiesCount\" : 4");
  ExpectShell({"bookieinfo"}, cluster_->bookie_id(2));
  ExpectShell({"endpointinfo", "-b", cluster_->bookie_id(1)}, "bookie-rpc");
}

TEST_F(ShellTest, ReadsAndDeletesLedgers) {
  const std::string ledger = LedgerOn(0);
  ExpectShell({"listledgers"}, ledger);
  ExpectShell({"ledgermetadata", "-ledgerid", ledger}, "state=CLOSED");
  ExpectShell({"readledger", "-ledgerid", ledger}, "(Eid|entryId)=9");
  ExpectShell({"deleteledger", "-ledgerid", ledger, "-force"}, "");
  EXPECT_EQ(ours_->Do("metadata " + ledger).error, "NoSuchLedgerMetadata");
}

TEST_F(ShellTest, RunsItsOwnTests) {
  ExpectShell({"simpletest", "-ensemble", "3", "-writeQuorum", "3", "-ackQuorum", "2",
               "-numEntries", "100"},
              "100 entries written");
  ExpectShell({"bookiesanity"}, "succeeded");
}

TEST_F(ShellTest, ReadsTheFilesOfOurBookie) {
  const std::string ledger = LedgerOn(0);  // whose directories the shell reads
  // All that was written is in entry logs and indexes then.
  cluster_->Stop(0);
  ExpectShell({"lastmark"}, "LastLogMark");
  const std::string files = ExpectShell({"listfilesondisc", "-journal", "-entrylog", "-index"},
                                        StrCat("/", ledger, "\\.idx"));
  std::smatch name;
  ASSERT_TRUE(std::regex_search(files, name, std::regex("([0-9a-f]+)\\.log"))) << files;
  const std::string log = StrCat(std::stoll(name[1], nullptr, 16));
  // Ten entries: payloads of 10 bytes behind headers of 32 and digests of 8, and lengths of 4.
  ExpectShell({"readlogmetadata", log},
              StrCat("(Lid=", ledger, ", TotalSizeOfEntriesOfLedger=540 |ledgerId=", ledger,
                     ", size=540})"));
  const std::string last = StrCat("(Lid=", ledger, ", Eid=9, ByteOffset=[0-9]+, EntrySize=50 |",
                                  "entryId=9, entrySize=50, ledgerId=", ledger, ",)");
  ExpectShell({"readlog", "-ledgerid", ledger, log}, last);
  ExpectShell({"ledger", ledger}, "entry 9\t:\t\\(log:" + log);
  ExpectShell({"localconsistencycheck"}, "Check passed");
  ExpectShell({"cookie_get", cluster_->bookie_id(0)}, cluster_->bookie_id(0));
  ASSERT_TRUE(std::regex_search(files, name, std::regex("/([0-9a-f]+\\.txn)"))) << files;
  const std::string journal = StrCat(cluster_->journal_directory(0), "/current/", name[1].str());
  ExpectShell({"readjournal", journal}, last);
  cluster_->Start(0);
}

TEST_F(ShellTest, RecoversADeadBookie) {
  const size_t victim = 1;
  const std::string ledger = LedgerOn(victim);
  cluster_->Kill(victim);
  ExpectShell({"recover", "-f", "-sk", cluster_->bookie_id(victim)}, "");
  EXPECT_FALSE(absl::StrContains(Fragments(ledger), cluster_->bookie_id(victim)));
  ExpectReadable(ledger);
  cluster_->Start(victim);
}

TEST_F(ShellTest, RenamesABookieInMetadata) {
  const size_t moved = 2;
  const std::string old_id = cluster_->bookie_id(moved);
  const std::string new_id = "127.0.0.1:1";
  const std::string ledger = LedgerOn(moved);
  const std::string before = Fragments(ledger);
  cluster_->Stop(moved);  // one that is registered is not renamed
  ExpectShell({"updateBookieInLedger", "-srcBookie", old_id, "-destBookie", new_id}, "");
  EXPECT_TRUE(absl::StrContains(Fragments(ledger), new_id)) << Fragments(ledger);
  EXPECT_FALSE(absl::StrContains(Fragments(ledger), old_id)) << Fragments(ledger);
  ExpectReadable(ledger);  // from the two that are left
  ExpectShell({"updateBookieInLedger", "-srcBookie", new_id, "-destBookie", old_id}, "");
  EXPECT_EQ(Fragments(ledger), before);
  cluster_->Start(moved);
}

TEST_F(ShellTest, SteersAutorecovery) {
  ExpectShell({"autorecovery", "-disable"}, "");
  EXPECT_TRUE(std::regex_search(AutorecoveryStatus(), std::regex("enabled +no")));
  ExpectShell({"autorecovery"}, "disabled");
  ExpectShell({"autorecovery", "-enable"}, "");
  EXPECT_TRUE(std::regex_search(AutorecoveryStatus(), std::regex("enabled +yes")));
  ExpectShell({"lostbookierecoverydelay", "-set", "77"}, "");
  EXPECT_TRUE(absl::StrContains(Stele({"autorecovery", "delay"}), "77"));
  Stele({"autorecovery", "delay", "600"});
  ExpectShell({"lostbookierecoverydelay", "-get"}, "(: |delay=)600\\b");
}

TEST_F(ShellTest, DecommissionsABookieWithOurAuditor) {
  const size_t victim = 3;
  const std::string id = cluster_->bookie_id(victim);
  const std::string ledger = LedgerOn(victim);
  cluster_->Stop(victim);
  Stele({"recover", id, "--no-wait"});
  const std::string mark = StrCat("(^|\n|ledgerId=)", ledger, "[ }]");
  ExpectShell({"listunderreplicated", "-missingreplica", id, "-printmissingreplica"}, mark);
  ExpectShell({"listunderreplicated", "-missingreplica", cluster_->bookie_id(0)},
              "(: |count=)0\\b");

  const auto repair = cluster_->StartAutorecovery(BookieKind::kStele, {"--name", "ours"});
  const absl::Time give_up = absl::Now() + absl::Minutes(1);
  while (!std::regex_search(AutorecoveryStatus(), std::regex("auditor +ours"))) {
    ASSERT_LT(absl::Now(), give_up) << "nobody audits";
  }
  ExpectShell({"whoisauditor"}, "(: |auditor=)ours\\b");
  // It asks for an audit, waits half a minute for it, and then until no ledger names the bookie.
  ExpectShell({"decommissionbookie", "-bookieid", id}, "");
  EXPECT_FALSE(absl::StrContains(Fragments(ledger), id)) << Fragments(ledger);
  ExpectReadable(ledger);
  EXPECT_NE(cluster_->RunShell({"cookie_get", id}).exit_code, 0);
  ExpectShell({"listunderreplicated"}, "(: |count=)0\\b");

  // It may come back, empty.
  std::filesystem::remove_all(cluster_->journal_directory(victim));
  std::filesystem::remove_all(cluster_->ledger_directory(victim));
  cluster_->Configure(victim, {});
  cluster_->Start(victim);
}

}  // namespace
}  // namespace stele::integration
