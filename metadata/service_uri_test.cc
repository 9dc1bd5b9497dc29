#include "metadata/service_uri.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::metadata {
namespace {

ServiceUri Parsed(std::string_view text) {
  const auto uri = ParseServiceUri(text);
  EXPECT_TRUE(uri.ok()) << uri.status();
  return uri.ok() ? *uri : ServiceUri();
}

TEST(ServiceUriTest, TheShippedDefaultOfApacheBookKeeper) {
  const ServiceUri uri = Parsed("zk+hierarchical://localhost:2181/ledgers");
  EXPECT_EQ(uri.driver, ServiceUri::Driver::kZooKeeper);
  EXPECT_EQ(uri.layout, LayoutType::kHierarchical);
  EXPECT_EQ(uri.servers, "localhost:2181");
  EXPECT_EQ(uri.root, "/ledgers");
}

TEST(ServiceUriTest, ServersAreSeparatedBySemicolonsOrCommas) {
  EXPECT_EQ(Parsed("zk://a:1;b_c:2,d:3/l").servers, "a:1,b_c:2,d:3");
  EXPECT_EQ(Parsed("zk://[::1]:2181/l").servers, "[::1]:2181");
  EXPECT_EQ(Parsed("zk://host/l").servers, "host");
}

TEST(ServiceUriTest, AMissingOrNullTypeLeavesTheLayoutToTheCluster) {
  EXPECT_EQ(Parsed("zk://h/l").layout, std::nullopt);
  EXPECT_EQ(Parsed("zk+null://h/l").layout, std::nullopt);
  EXPECT_EQ(Parsed("ZK+LongHierarchical://h/l").layout, LayoutType::kLongHierarchical);
  EXPECT_EQ(Parsed("zk+flat+ignored://h/l").layout, LayoutType::kFlat);
}

TEST(ServiceUriTest, ThePathIsDecodedAndQueryAndFragmentAreIgnored) {
  EXPECT_EQ(Parsed("zk://h/a%20b/c?x=/y#z").root, "/a b/c");
  EXPECT_EQ(Parsed("zk://h/a/b/ledgers#/d").root, "/a/b/ledgers");
}

TEST(ServiceUriTest, SqliteNamesAFile) {
  const ServiceUri uri = Parsed("sqlite:///var/lib/stele/meta%23.db");
  EXPECT_EQ(uri.driver, ServiceUri::Driver::kSqlite);
  EXPECT_EQ(uri.database_path, "/var/lib/stele/meta#.db");
  EXPECT_EQ(uri.root, "/ledgers");
  EXPECT_EQ(uri.layout, std::nullopt);
  EXPECT_EQ(Parsed("sqlite+longhierarchical:///m.db").layout, LayoutType::kLongHierarchical);
}

TEST(ServiceUriTest, WrongUrisSayWhatToWrite) {
  for (const char* text : {"",
                           "localhost:2181",
                           "zk:/h/l",
                           "zk+hierarchical:///ledgers",
                           "zk://h",
                           "zk://h/",
                           "zk://h/ledgers/",
                           "zk://h//ledgers",
                           "zk://h/a/../b",
                           "zk://h/bk+1",
                           "zk://h/bk(1",
                           "zk://h/a%0ab",
                           "zk://h/a%2",
                           "zk://h/a%zz",
                           "zk+legacyhierarchical://h/l",
                           "zk+ms://h/l",
                           "etcd://h:2379/scope",
                           "://h/l",
                           "sqlite://",
                           "sqlite:///",
                           "sqlite:///dir/",
                           "sqlite://host/file",
                           "sqlite:///a%00b"}) {
    const absl::Status status = ParseServiceUri(text).status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kConfig) << text;
  }
  EXPECT_EQ(ParseServiceUri("sqlite://data/meta.db").status().message(),
            "metadataServiceUri \"sqlite://data/meta.db\": a file has no host: write "
            "sqlite:///data/meta.db");
}

TEST(ServiceUriTest, OldKeysMeanTheSame) {
  const auto uri =
      ServiceUriOfOldKeys({.zk_servers = "a:1,b:2",
                           .zk_ledgers_root_path = "/bk/ledgers",
                           .ledger_manager_factory_class =
                               "org.apache.bookkeeper.meta.LongHierarchicalLedgerManagerFactory"});
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->driver, ServiceUri::Driver::kZooKeeper);
  EXPECT_EQ(uri->servers, "a:1,b:2");
  EXPECT_EQ(uri->root, "/bk/ledgers");
  EXPECT_EQ(uri->layout, LayoutType::kLongHierarchical);
  const auto defaults = ServiceUriOfOldKeys({.zk_servers = "a:1;b:2"});
  EXPECT_EQ(defaults->servers, "a:1,b:2");
  EXPECT_EQ(defaults->root, "/ledgers");
  EXPECT_EQ(defaults->layout, std::nullopt);
  EXPECT_EQ(CodeOf(ServiceUriOfOldKeys({}).status()), ErrorCode::kConfig);
  EXPECT_EQ(
      CodeOf(ServiceUriOfOldKeys({.zk_servers = "a", .zk_ledgers_root_path = "/x/"}).status()),
      ErrorCode::kConfig);
  EXPECT_EQ(CodeOf(ServiceUriOfOldKeys({.zk_servers = "a", .zk_ledgers_root_path = "x"}).status()),
            ErrorCode::kConfig);
  EXPECT_EQ(CodeOf(ServiceUriOfOldKeys(
                       {.zk_servers = "a", .ledger_manager_factory_class = "org.example.Factory"})
                       .status()),
            ErrorCode::kConfig);
}

}  // namespace
}  // namespace stele::metadata
