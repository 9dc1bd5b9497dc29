#include "metadata/bookie_age.h"

#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

constexpr char kPath[] = "/stele/the-id/ages/b1:3181";

class BookieAgeTest : public MetadataTest {
 protected:
  BookieAge age_{&store_, "the-id", BookieId("b1:3181")};
};

TEST_F(BookieAgeTest, ItOnlyGrowsAndLiesBesideTheTreeOfApache) {
  EXPECT_EQ(*Run(age_.Read()), 0);
  EXPECT_TRUE(Run(age_.Raise(3)).ok());
  EXPECT_EQ(ValueOf(kPath), "3");
  EXPECT_FALSE(Exists("/ledgers"));
  EXPECT_TRUE(Run(age_.Raise(2)).ok());
  EXPECT_EQ(*Run(age_.Read()), 3);
  EXPECT_TRUE(Run(age_.Raise(4)).ok());
  EXPECT_EQ(*Run(age_.Read()), 4);
}

TEST_F(BookieAgeTest, WhatIsNoAgeIsAnError) {
  for (const std::string text : {"", "x", "-1", "1 x", "9223372036854775807"}) {
    const BookieId bookie("b" + std::to_string(text.size()) + ":3181");
    const std::string path = "/stele/the-id/ages/" + bookie.value();
    Put(path, text);
    BookieAge age(&store_, "the-id", bookie);
    EXPECT_EQ(CodeOf(Run(age.Read()).status()), ErrorCode::kCorruptData) << text;
    EXPECT_EQ(CodeOf(Run(age.Raise(5))), ErrorCode::kCorruptData) << text;
    EXPECT_EQ(ValueOf(path), text);
  }
}

TEST_F(BookieAgeTest, ClustersWithoutAnInstanceIdHaveOneToo) {
  BookieAge age(&store_, std::nullopt, BookieId("b1:3181"));
  EXPECT_TRUE(Run(age.Raise(1)).ok());
  EXPECT_EQ(ValueOf("/stele/none/ages/b1:3181"), "1");
}

}  // namespace
}  // namespace stele::metadata
