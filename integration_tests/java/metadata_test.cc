// What one side writes into ZooKeeper the other reads, and writes again.
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/strings.h"
#include "integration_tests/java/cluster.h"

namespace stele::integration {
namespace {

struct Case {
  const char* name;
  BookieKind initialised_by;
  const char* layout;
};

class MetadataTest : public ::testing::TestWithParam<Case> {
 protected:
  MetadataTest()
      : cluster_({.bookies = {BookieKind::kStele, BookieKind::kStele, BookieKind::kJava},
                  .initialised_by = GetParam().initialised_by,
                  .layout = GetParam().layout}),
        ours_(cluster_.Connect(ClientKind::kStele)),
        apaches_(cluster_.Connect(ClientKind::kJavaV3)) {}

  std::string Node(const std::string& path) {
    return absl::HexStringToBytes(apaches_->Must("zk-get " + path).text);
  }

  Cluster cluster_;
  std::unique_ptr<Driver> ours_;
  std::unique_ptr<Driver> apaches_;
};

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
  // The mere presence of this node says that the short ids are used up.
  apaches_->Must("zk-create /ledgers/idgen-long");
  for (Driver* driver : {ours_.get(), apaches_.get(), ours_.get()}) {
    // A driver of before may have looked already.
    const auto fresh =
        cluster_.Connect(driver == ours_.get() ? ClientKind::kStele : ClientKind::kJavaV3);
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
  EXPECT_EQ(ours_->Must("list").text, apaches_->Must("list").text);
}

// A ledger keeps the format in which it was made, whoever changes it.
TEST_P(MetadataTest, OldFormatsOfLedgersAreKeptByBoth) {
  for (const int format : {2, 3}) {
    const auto writer =
        cluster_.Connect(ClientKind::kJavaV3, {StrCat("ledgerMetadataVersion=", format)});
    const std::string ledger = writer->Must("create w e=3 w=2 a=2 custom.key=value").text;
    writer->Must("append w 10 10 1");
    EXPECT_EQ(ours_->Must(StrCat("open r ", ledger, " recover=1")).text, "9 closed");
    EXPECT_EQ(ours_->Must("read r 0 9").text, "10 100");
    const Answer metadata = apaches_->Must("metadata " + ledger);
    EXPECT_EQ(metadata.text, ours_->Must("metadata " + ledger).text);
    EXPECT_EQ(metadata.Value("format"), StrCat(format));
    EXPECT_EQ(metadata.Value("custom"), "key:value");
    apaches_->Must("open r " + ledger);
    EXPECT_EQ(apaches_->Must("read r 0 9").text, "10 100");
  }
}

TEST_P(MetadataTest, CookiesAreTheSameOnDiskAndInZooKeeperForBothKinds) {
  for (size_t i = 0; i < cluster_.size(); ++i) {
    const std::string path = StrCat("/ledgers/cookies/", cluster_.bookie_id(i));
    const std::string stored = Node(path);
    EXPECT_NE(stored.find(Node("/ledgers/INSTANCEID")), std::string::npos) << stored;
    for (const std::string& root : {cluster_.journal_directory(i), cluster_.ledger_directory(i)}) {
      std::ostringstream text;
      text << std::ifstream(root + "/current/VERSION").rdbuf();
      EXPECT_EQ(text.str(), stored) << root;
    }
  }
}

// One field differs: the port.
TEST_P(MetadataTest, RegistrationsOfBothKindsAreTheSameBytes) {
  const auto registration = [&](size_t i) {
    std::string bytes = Node(StrCat("/ledgers/available/", cluster_.bookie_id(i)));
    const size_t port = bytes.find('\x10');
    return bytes.erase(port, 3);
  };
  EXPECT_EQ(absl::CEscape(registration(0)), absl::CEscape(registration(2)));
}

INSTANTIATE_TEST_SUITE_P(
    Initialised, MetadataTest,
    ::testing::Values(Case{"ByApache", BookieKind::kJava, "hierarchical"},
                      Case{"ByStele", BookieKind::kStele, "hierarchical"},
                      Case{"ByApacheLong", BookieKind::kJava, "longhierarchical"}),
    [](const ::testing::TestParamInfo<Case>& info) { return info.param.name; });

// The recorder still gives what the golden bytes are.
TEST(MetadataRecorderTest, TestDataIsWhatApacheStores) {
  const auto recorder = ChildProcess::Start({.argv = JavaCommand("MetadataRecorder", {})});
  std::ifstream golden("metadata/testdata/apache.txt");
  int lines = 0;
  for (std::string line; std::getline(golden, line); ++lines) {
    EXPECT_EQ(recorder->ReadLine().value_or("nothing"), line);
  }
  EXPECT_EQ(lines, 35);
}

}  // namespace
}  // namespace stele::integration
