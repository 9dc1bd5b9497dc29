// What one side writes into ZooKeeper the other reads, and writes again.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "common/base/strings.h"
#include "integration_tests/java/cluster.h"

namespace stele::integration {
namespace {

struct Case {
  const char* name;
  BookieKind initialised_by;
  const char* layout;
};

// Among the bookies.
constexpr size_t kOurs = 0;
constexpr size_t kApaches = 2;

std::string FileText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class MetadataTest : public ::testing::TestWithParam<Case> {
 protected:
  static void TearDownTestSuite() {
    ours_.reset();
    apaches_.reset();
    cluster_.reset();
  }

  // One cluster for all tests of a case; the target runs one case.
  void SetUp() override {
    if (cluster_ != nullptr) return;
    cluster_ = std::make_unique<Cluster>(
        Cluster::Options{.bookies = {BookieKind::kStele, BookieKind::kStele, BookieKind::kJava},
                         .initialised_by = GetParam().initialised_by,
                         .layout = GetParam().layout});
    ours_ = cluster_->Connect(ClientKind::kStele);
    apaches_ = cluster_->Connect(ClientKind::kJavaV3);
  }

  static std::string Node(const std::string& path) {
    return absl::HexStringToBytes(apaches_->Must("zk-get " + path).text);
  }

  // The same bytes in ZooKeeper and in each directory, with the cluster's own name in them.
  static void ExpectCookieEverywhere(size_t bookie, const std::vector<std::string>& directories) {
    const std::string stored = Node(StrCat("/ledgers/cookies/", cluster_->bookie_id(bookie)));
    EXPECT_NE(stored.find(Node("/ledgers/INSTANCEID")), std::string::npos) << stored;
    for (const std::string& directory : directories) {
      EXPECT_EQ(FileText(directory + "/current/VERSION"), stored) << directory;
    }
  }

  static std::unique_ptr<Cluster> cluster_;
  static std::unique_ptr<Driver> ours_;
  static std::unique_ptr<Driver> apaches_;
};

std::unique_ptr<Cluster> MetadataTest::cluster_;
std::unique_ptr<Driver> MetadataTest::ours_;
std::unique_ptr<Driver> MetadataTest::apaches_;

TEST_P(MetadataTest, RegistrationsOfBothKindsAreTheSameBytes) {
  for (const size_t bookie : {kOurs, kApaches}) {
    const std::string id = cluster_->bookie_id(bookie);
    std::string port;  // as a varint
    for (int rest = std::stoi(id.substr(id.find(':') + 1)); rest > 0; rest >>= 7) {
      port += static_cast<char>((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    }
    const std::string endpoint = StrCat("\x0a\x06", "bookie", "\x10", port, "\x1a\x09", "127.0.0.1",
                                        "\x22\x0a", "bookie-rpc");
    const std::string wanted =
        StrCat("\x32", std::string(1, static_cast<char>(endpoint.size())), endpoint);
    EXPECT_EQ(absl::CEscape(Node("/ledgers/available/" + id)), absl::CEscape(wanted)) << id;
  }
}

TEST_P(MetadataTest, CookiesOfBothKindsAreTheSameOnDiskAndInZooKeeper) {
  for (const size_t bookie : {kOurs, kApaches}) {
    ExpectCookieEverywhere(
        bookie, {cluster_->journal_directory(bookie), cluster_->ledger_directory(bookie)});
  }
}

// The file is unchanged; what it says of one machine is overridden from outside.
TEST_P(MetadataTest, OurBookieStartsWithTheFileThatApacheShips) {
  const std::string port = StrCat(PickFreePort());
  const auto bookie = ChildProcess::Start(
      {.argv = {"tools/shell/stele", "bookie", "--conf",
                "bookie/config/testdata/apache_4.17.3.conf", "--metadata", cluster_->metadata_uri(),
                "--data", cluster_->directory() + "/shipped", "--port", port, "--set",
                "advertisedAddress=127.0.0.1", "--set", "allowLoopback=true", "--set",
                "diskUsageThreshold=0.999"},
       .output_path = cluster_->directory() + "/shipped.log"});
  const absl::Time give_up = absl::Now() + absl::Minutes(1);
  while (apaches_->Must("admin-bookies").Value("writable") != "4") {
    ASSERT_TRUE(bookie->IsRunning() && absl::Now() < give_up)
        << FileText(cluster_->directory() + "/shipped.log");
  }
  bookie->Signal(SIGTERM);
  EXPECT_EQ(bookie->Wait(), 0);
}

// A ledger keeps the format in which it was made, whoever changes it.
TEST_P(MetadataTest, OldFormatsOfLedgersAreKeptByBoth) {
  for (const int format : {1, 2, 3}) {
    SCOPED_TRACE(format);
    const auto writer =
        cluster_->Connect(ClientKind::kJavaV3, {StrCat("ledgerMetadataVersion=", format)});
    for (Driver* recoverer : {ours_.get(), apaches_.get()}) {
      const std::string ledger =
          writer->Must(StrCat("create w e=3 w=2 a=2", format == 1 ? "" : " custom.key=value")).text;
      writer->Must("append w 10 10 1");
      EXPECT_EQ(recoverer->Must(StrCat("open r ", ledger, " recover=1")).text, "9 closed");
      const Answer metadata = apaches_->Must("metadata " + ledger);
      EXPECT_EQ(metadata.text, ours_->Must("metadata " + ledger).text);
      EXPECT_EQ(metadata.Value("format"), StrCat(format));
      if (format > 1) EXPECT_EQ(metadata.Value("custom"), "key:value");
      for (Driver* reader : {ours_.get(), apaches_.get()}) {
        reader->Must("open r " + ledger);
        EXPECT_EQ(reader->Must("read r 0 9").text, "10 100");
      }
    }
  }
}

// Short ids first, and when a client finds the node of the long ones, those.
TEST_P(MetadataTest, BothSidesNumberAndListLedgersInOneSequence) {
  std::set<int64_t> ids;
  for (int i = 0; i < 3; ++i) {
    for (Driver* driver : {ours_.get(), apaches_.get()}) {
      EXPECT_TRUE(ids.insert(driver->Must("create w e=3 w=2 a=2").Number()).second);
      driver->Must("close w");
    }
  }
  EXPECT_EQ(*ids.rbegin() - *ids.begin(), 5);
  EXPECT_EQ(ours_->Must("list").text, apaches_->Must("list").text);
  apaches_->Must("zk-create /ledgers/idgen-long");
  for (const ClientKind kind : {ClientKind::kStele, ClientKind::kJavaV3}) {
    // A driver of before has looked already, and does not look again.
    const auto fresh = cluster_->Connect(kind);
    for (int i = 0; i < 2; ++i) {
      const int64_t id = fresh->Must("create w e=3 w=2 a=2").Number();
      EXPECT_GE(id, int64_t{1} << 32);
      EXPECT_TRUE(ids.insert(id).second);
      fresh->Must("append w 10 3 1");
      fresh->Must("close w");
      for (Driver* reader : {ours_.get(), apaches_.get()}) {
        EXPECT_EQ(reader->Must(StrCat("open r ", id)).text, "2 closed");
        EXPECT_EQ(reader->Must("read r 0 2").text, "3 30");
      }
    }
  }
  EXPECT_EQ(ours_->Must("list").text, apaches_->Must("list").text);
}

// A cookie with one directory more, written by either, is what the other starts with.
TEST_P(MetadataTest, EachKindStartsWithACookieThatTheOtherHasRewritten) {
  const size_t bookie = kApaches;
  std::string configuration = FileText(cluster_->config_path(bookie));
  std::vector<std::string> directories = {cluster_->ledger_directory(bookie)};
  const auto line = [&] {
    return StrCat("\nledgerDirectories=", absl::StrJoin(directories, ","), "\n");
  };
  for (const BookieKind kind : {BookieKind::kStele, BookieKind::kJava, BookieKind::kStele}) {
    const std::string before = line();
    directories.push_back(StrCat(directories[0], "-", directories.size()));
    std::filesystem::create_directories(directories.back());
    configuration = absl::StrReplaceAll(configuration, {{before, line()}});
    std::ofstream(cluster_->config_path(bookie)) << configuration << "allowStorageExpansion=true\n";
    cluster_->Stop(bookie);
    cluster_->Start(bookie, kind);
    ExpectCookieEverywhere(bookie, directories);
    ExpectCookieEverywhere(bookie, {cluster_->journal_directory(bookie)});
  }
}

INSTANTIATE_TEST_SUITE_P(
    Initialised, MetadataTest,
    ::testing::Values(Case{"ByApache", BookieKind::kJava, "hierarchical"},
                      Case{"ByStele", BookieKind::kStele, "hierarchical"},
                      Case{"ByApacheLong", BookieKind::kJava, "longhierarchical"}),
    [](const ::testing::TestParamInfo<Case>& info) { return info.param.name; });

// "NAME HEX" with one spelling for bytes that have two: 4.18 writes 7 and 11 in octal, 4.17 as
// letters. Readers of both know both.
std::string WithOneSpelling(const std::string& line) {
  const size_t space = line.find(' ');
  if (space == std::string::npos) return line;
  const std::string stored = absl::HexStringToBytes(line.substr(space + 1));
  return line.substr(0, space + 1) +
         absl::CEscape(absl::StrReplaceAll(stored, {{"\\007", "\\a"}, {"\\013", "\\v"}}));
}

// The recorder still gives what the golden bytes are.
TEST(MetadataRecorderTest, TestDataIsWhatApacheStores) {
  const auto recorder = ChildProcess::Start({.argv = JavaCommand("MetadataRecorder", {})});
  std::ifstream golden("metadata/testdata/apache.txt");
  int lines = 0;
  for (std::string line; std::getline(golden, line); ++lines) {
    EXPECT_EQ(WithOneSpelling(recorder->ReadLine().value_or("nothing")), WithOneSpelling(line));
  }
  EXPECT_EQ(lines, 35);
}

}  // namespace
}  // namespace stele::integration
