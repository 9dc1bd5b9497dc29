#include "metadata/drivers/open_metadata_store.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/shard.h"

namespace stele::metadata {
namespace {

class OpenMetadataStoreTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<MetadataStore>> Open(std::string uri) {
    return shard_.RunUntil(
        OpenMetadataStore(std::move(uri), shard_.executor(), shard_.env().clock,
                          OpenMetadataStoreOptions{.operation_timeout = absl::Milliseconds(20)}));
  }
  real::Shard shard_;
};

TEST_F(OpenMetadataStoreTest, AFile) {
  const auto store = Open(StrCat("sqlite://", std::getenv("TEST_TMPDIR"), "/meta.db"));
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(shard_.RunUntil((*store)->Create("/a", "", NodeKind::kPersistent)).ok());
  shard_.RunUntil((*store)->Close());
}

TEST_F(OpenMetadataStoreTest, ZooKeeperThatIsNotThereIsFoundByTheOperations) {
  // Nobody listens on port 1.
  const auto store = Open("zk+hierarchical://127.0.0.1:1;127.0.0.1:1/ledgers");
  ASSERT_TRUE(store.ok()) << store.status();
  const absl::Status status = shard_.RunUntil((*store)->Create("/a", "", NodeKind::kPersistent));
  EXPECT_EQ(CodeOf(status), ErrorCode::kMetadataUnavailable) << status;
  EXPECT_EQ(EffectOf(status), Effect::kNone);
  shard_.RunUntil((*store)->Close());
}

TEST_F(OpenMetadataStoreTest, WrongUris) {
  EXPECT_EQ(CodeOf(Open("http://host/ledgers").status()), ErrorCode::kConfig);
  EXPECT_EQ(CodeOf(Open("zk://host:port/ledgers").status()), ErrorCode::kConfig);
  EXPECT_EQ(CodeOf(Open("sqlite:///proc/meta.db").status()), ErrorCode::kIoError);
}

}  // namespace
}  // namespace stele::metadata
