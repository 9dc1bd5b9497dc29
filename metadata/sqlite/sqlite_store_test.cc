#include "metadata/sqlite/sqlite_store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/drivers/test_loop.h"

namespace stele::metadata {
namespace {

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    directory_ = StrCat(std::getenv("TEST_TMPDIR"), "/",
                        testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
  }
  ~SqliteStoreTest() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return StrCat(directory_, "/meta.db"); }

  absl::StatusOr<std::unique_ptr<MetadataStore>> TryOpen(std::string path) {
    return loop_.Run(OpenSqliteStore({.path = std::move(path)}, &loop_, &loop_));
  }
  std::unique_ptr<MetadataStore> Open() {
    auto store = TryOpen(path());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  TestLoop loop_;
  std::string directory_;
};

TEST_F(SqliteStoreTest, CreateGetPutDelete) {
  const auto store = Open();
  EXPECT_EQ(CodeOf(loop_.Run(store->Get("/a/b")).status()), ErrorCode::kNoSuchKey);
  ASSERT_TRUE(loop_.Run(store->Create("/a/b", "one", NodeKind::kPersistent)).ok());
  EXPECT_EQ(CodeOf(loop_.Run(store->Create("/a/b", "x", NodeKind::kPersistent))),
            ErrorCode::kKeyExists);
  auto node = loop_.Run(store->Get("/a/b"));
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->value, "one");
  EXPECT_EQ(node->version, 0);
  EXPECT_EQ(loop_.Run(store->Put("/a/b", "two", 0)).value(), 1);
  EXPECT_EQ(CodeOf(loop_.Run(store->Put("/a/b", "x", 0)).status()), ErrorCode::kMetadataConflict);
  EXPECT_EQ(loop_.Run(store->Children("/a")).value(), std::vector<std::string>{"b"});
  EXPECT_EQ(CodeOf(loop_.Run(store->Delete("/a", kAnyVersion))), ErrorCode::kKeyNotEmpty);
  EXPECT_TRUE(loop_.Run(store->Delete("/a/b", 1)).ok());
  EXPECT_TRUE(loop_.Run(store->Delete("/a", kAnyVersion)).ok());
  loop_.Run(store->Close());
}

}  // namespace
}  // namespace stele::metadata
