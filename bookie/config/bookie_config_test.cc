#include "bookie/config/bookie_config.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "bookie/config/properties.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

std::string ErrorOf(std::string_view text, UnknownKeys unknown = UnknownKeys::kRefuse) {
  const auto config = ParseBookieConfig(text, unknown);
  EXPECT_EQ(CodeOf(config.status()), ErrorCode::kConfig) << text;
  return std::string(config.status().message());
}

TEST(PropertiesTest, ReadsJavasSyntax) {
  const auto properties = ParseProperties(
      "# comment\n! another\n\n a = 1 \nb:two words\nc = x,\\\n    y\npath=C\\:\\\\x\r\nempty=\n");
  ASSERT_TRUE(properties.ok()) << properties.status();
  ASSERT_EQ(properties->size(), 5u);
  EXPECT_EQ((*properties)[0].value, "1");
  EXPECT_EQ((*properties)[0].line, 4);
  EXPECT_EQ((*properties)[1].value, "two words");
  EXPECT_EQ((*properties)[2].value, "x,y");
  EXPECT_EQ((*properties)[3].value, "C:\\x");
  EXPECT_EQ((*properties)[3].line, 8);
  EXPECT_EQ((*properties)[4].value, "");
}

TEST(PropertiesTest, BadFilesNameTheLine) {
  EXPECT_EQ(ErrorOf("bookiePort=1\nbookiePort=2\n"),
            "line 2: 'bookiePort' was set in line 1 already");
  EXPECT_EQ(ErrorOf("bookiePort\n"), "line 1: expected key=value, found 'bookiePort'");
  EXPECT_EQ(ErrorOf("\n=3\n"), "line 2: the key is empty");
  EXPECT_EQ(ErrorOf("# \xff\n"), "line 1: not UTF-8");
  EXPECT_EQ(ErrorOf("bookieId=\xc3(\n"), "line 1: not UTF-8");
  EXPECT_NE(ErrorOf(std::string(kPropertiesSizeMaxBytes + 1, '#')).find("at most 1048576"),
            std::string::npos);
}

TEST(BookieConfigTest, UsesTheKeys) {
  const auto config = ParseBookieConfig(
      "bookiePort=3182\nadvertisedAddress=b1.example\njournalDirectories=/j1, /j2\n"
      "ledgerDirectories=/l1\njournalMaxSizeMB=64\ndiskUsageThreshold=0.9\n"
      "diskUsageLwmThreshold=0.85\nmetadataServiceUri=zk+hierarchical://z:2181/ledgers\n",
      UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->options.listen.port, 3182);
  EXPECT_EQ(config->options.advertised.host, "b1.example");
  EXPECT_EQ(config->options.journal_directories, (std::vector<std::string>{"/j1", "/j2"}));
  EXPECT_EQ(config->options.journal_size_max_bytes, 64u << 20);
  EXPECT_EQ(config->options.disk_rules.full_above_ppm, 900'000);
  EXPECT_EQ(config->options.disk_rules.recovered_below_ppm, 850'000);
  EXPECT_EQ(config->metadata_service_uri, "zk+hierarchical://z:2181/ledgers");
  EXPECT_TRUE(config->warnings.empty());
}

TEST(BookieConfigTest, UnknownKeyNamesTheNearest) {
  EXPECT_EQ(ErrorOf("bookiePort=1\nledgerDirectoris=/x\n"),
            "line 2: unknown key 'ledgerDirectoris'; did you mean 'ledgerDirectories'? "
            "(--allow-unknown-keys passes over it)");
  const auto config = ParseBookieConfig("ledgerDirectoris=/x\n", UnknownKeys::kWarn);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->warnings, std::vector<std::string>{"line 1: unknown key 'ledgerDirectoris'"});
}

TEST(BookieConfigTest, BadValuesNameTheKey) {
  EXPECT_EQ(ErrorOf("bookiePort=x\n"),
            "line 1: bookiePort: expected a whole number from 0 to 65535, found 'x'");
  EXPECT_EQ(ErrorOf("bookiePort=65536\n"),
            "line 1: bookiePort: expected a whole number from 0 to 65535, found '65536'");
  EXPECT_EQ(ErrorOf("journalMaxSizeMB=-1\n"),
            "line 1: journalMaxSizeMB: expected a whole number from 1 to 1048576, found '-1'");
  EXPECT_EQ(ErrorOf("allowStorageExpansion=yes\n"),
            "line 1: allowStorageExpansion: expected true or false, found 'yes'");
  EXPECT_EQ(ErrorOf("diskUsageThreshold=1.5\n"),
            "line 1: diskUsageThreshold: expected a fraction above 0 and at most 1, found '1.5'");
  EXPECT_EQ(ErrorOf("diskUsageThreshold=0.x\n"),
            "line 1: diskUsageThreshold: expected a fraction such as 0.95, found '0.x'");
  EXPECT_EQ(ErrorOf("ledgerDirectories=/a,,/b\n"),
            "line 1: ledgerDirectories: expected directories separated by commas, found ',/b'");
  EXPECT_EQ(ErrorOf("diskUsageThreshold=0.8\ndiskUsageLwmThreshold=0.9\n"),
            "diskUsageLwmThreshold must not be above diskUsageThreshold");
}

TEST(BookieConfigTest, WeakerDurabilityIsRefused) {
  EXPECT_EQ(ErrorOf("journalSyncData=false\n"),
            "line 1: journalSyncData: only 'true' is supported: an acknowledged entry is on disk");
  EXPECT_NE(ErrorOf("ledgerStorageClass=org.apache.bookkeeper.bookie.storage.ldb.DbLedgerStorage\n")
                .find("DbLedgerStorage is not supported"),
            std::string::npos);
}

TEST(BookieConfigTest, WhatWouldServeThoseWhomItShouldNotIsRefused) {
  for (const std::string_view line : {
           "bookieAuthProviderFactoryClass=org.apache.bookkeeper.sasl."
           "SASLBookieAuthProviderFactory",
           "bookieAuthProviderFactoryClass=org.apache.bookkeeper.tls.BookieAuthZFactory",
           "authorizedRoles=writer",
           "tlsProviderFactoryClass=org.apache.bookkeeper.tls.TLSContextFactory",
           "tlsClientAuthentication=true",
       }) {
    const std::string error = ErrorOf(line);
    EXPECT_TRUE(error.ends_with("let only its clients reach the port")) << error;
    EXPECT_NE(error.find(line.substr(0, line.find('='))), std::string::npos) << error;
  }
  EXPECT_NE(ErrorOf("zkEnableSecurity=true").find("ZooKeeper"), std::string::npos);
  EXPECT_NE(ErrorOf("disableServerSocketBind=true").find("only 'false'"), std::string::npos);
  for (const std::string_view line :
       {"bookieAuthProviderFactoryClass=null", "tlsClientAuthentication=false",
        "zkEnableSecurity=false", "authorizedRoles=", "permittedStartupUsers="}) {
    EXPECT_TRUE(ParseBookieConfig(line, UnknownKeys::kRefuse).ok()) << line;
  }
}

TEST(BookieConfigTest, KeysWithoutEffectAreAcceptedWithANote) {
  const auto config =
      ParseBookieConfig("numAddWorkerThreads=4\nindexDirectories=\n", UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->warnings,
            std::vector<std::string>{
                "numAddWorkerThreads: no effect: one thread per shard does all the work"});
}

TEST(BookieConfigTest, OldZooKeeperKeysMakeTheUri) {
  const auto config =
      ParseBookieConfig("zkServers=a:1,b:2\nzkLedgersRootPath=/bk\n", UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->metadata_service_uri, "zk+null://a:1;b:2/bk");
}

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(BookieConfigTest, TheFileThatApacheShipsIsAccepted) {
  const std::string text = ReadAll("bookie/config/testdata/apache_4.17.3.conf");
  const auto config = ParseBookieConfig(text, UnknownKeys::kRefuse);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->options.listen.port, 3181);
  EXPECT_EQ(config->options.journal_directories, std::vector<std::string>{"/tmp/bk-txn"});
  EXPECT_EQ(config->options.ledger_directories, std::vector<std::string>{"/tmp/bk-data"});
  EXPECT_EQ(config->metadata_service_uri, "zk+hierarchical://localhost:2181/ledgers");
  EXPECT_FALSE(config->allow_loopback);
}

// An operator who takes the comment sign away before a line gets what Apache's default is. What
// stands there for TLS is none: it says how to have it.
TEST(BookieConfigTest, EachDefaultInTheFileThatApacheShipsIsAccepted) {
  std::istringstream lines(ReadAll("bookie/config/testdata/apache_4.17.3.conf"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    if (line.starts_with("#")) line.erase(0, 1);
    const bool asks_for_tls =
        line == "tlsClientAuthentication=true" || line.starts_with("tlsProviderFactoryClass=");
    const auto config = ParseBookieConfig(line, UnknownKeys::kRefuse);
    EXPECT_EQ(config.ok(), !asks_for_tls) << line << ": " << config.status();
  }
  EXPECT_EQ(count, 215);
}

TEST(KnownBookieKeysTest, ThePageSaysWhatBecomesOfEach) {
  const std::string page = ReadAll("docs/CONFIGURATION.md");
  for (const KnownKey& key : KnownBookieKeys()) {
    const std::string row =
        StrCat("| `", key.key, "` | ", key.note.empty() ? "used" : key.note, " |\n");
    EXPECT_NE(page.find(row), std::string::npos) << row;
  }
}

TEST(KnownBookieKeysTest, SortedAndUnique) {
  const auto& keys = KnownBookieKeys();
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end(),
                             [](const KnownKey& a, const KnownKey& b) { return a.key < b.key; }));
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end(),
                               [](const KnownKey& a, const KnownKey& b) { return a.key == b.key; }),
            keys.end());
}

}  // namespace
}  // namespace stele::bookie
