#include "metadata/drivers/node_path.h"

#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::metadata {
namespace {

TEST(NodePathTest, AcceptsWhatBookKeeperWrites) {
  for (const char* path :
       {"/ledgers", "/ledgers/00/0000/L0001", "/ledgers/available/10.0.0.1:3181",
        "/ledgers/underreplication/auditorelection/V_0000000001", "/a/..b", "/a/b c"}) {
    EXPECT_TRUE(CheckNodePath(path).ok()) << path;
  }
}

TEST(NodePathTest, RefusesWhatADriverWouldMisread) {
  for (const std::string& path :
       {std::string(""), std::string("a"), std::string("/"), std::string("/a/"), std::string("//a"),
        std::string("/a//b"), std::string("/a/."), std::string("/../a"), std::string("/a\nb"),
        std::string("/a\0b", 4), std::string("/a\x7f"),
        "/" + std::string(kNodePathSizeMaxBytes, 'a')}) {
    EXPECT_EQ(CodeOf(CheckNodePath(path)), ErrorCode::kInvalidArgument) << path;
  }
}

TEST(NodePathTest, ASequentialPrefixMayEndInASlash) {
  EXPECT_TRUE(CheckSequentialPrefix("/idgen/").ok());
  EXPECT_TRUE(CheckSequentialPrefix("/idgen/ID-").ok());
  EXPECT_EQ(CodeOf(CheckSequentialPrefix("/idgen//")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(CheckSequentialPrefix("")), ErrorCode::kInvalidArgument);
}

TEST(NodePathTest, ParentAndName) {
  EXPECT_EQ(ParentPath("/a/b"), "/a");
  EXPECT_EQ(ParentPath("/a"), "/");
  EXPECT_EQ(NodeName("/a/b"), "b");
  EXPECT_EQ(NodeName("/a"), "a");
}

TEST(NodePathTest, ValueLimit) {
  EXPECT_TRUE(CheckNodeValue("/a", std::string(kNodeValueSizeMaxBytes, 'x')).ok());
  EXPECT_EQ(CodeOf(CheckNodeValue("/a", std::string(kNodeValueSizeMaxBytes + 1, 'x'))),
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace stele::metadata
