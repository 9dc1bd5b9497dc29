#include "bookie/storage/index_claim.h"

#include <initializer_list>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/index_format.h"

namespace stele::bookie {
namespace {

IndexClaim Claim(std::initializer_list<SectorRun> runs) {
  IndexClaim claim{.size_bytes = 9216};
  for (const SectorRun& run : runs) claim.Add(run);
  return claim;
}

TEST(IndexClaimTest, ByteForByte) {
  std::string expected("StLs\0\0\0\2", 8);
  expected += std::string("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\3", 16);
  expected += std::string("\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\5", 16);
  expected.resize(492, '\0');
  expected += std::string("\xab\x87\xf2\x15", 4);
  expected += std::string("StLe\0\0\0\0\0\0\x24\0\xbe\xe1\xa4\xd7", 16);
  EXPECT_EQ(MakeIndexClaim(Claim({{0, 3}, {5, 5}})), expected);
  EXPECT_EQ(MakeIndexClaim({}), std::string(512, '\0'));
}

TEST(IndexClaimTest, EachPartCountsOnlyWhenItIsWhole) {
  IndexClaim claim = Claim({});
  for (int64_t i = 0; i < 30; ++i) claim.Add({1000 * i, 1000 * i + i});
  const std::string bytes = MakeIndexClaim(claim);
  ASSERT_EQ(ParseIndexClaim(bytes), claim);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 1;
    IndexClaim expected = claim;
    if (i < 496) {
      expected.sectors.clear();
    } else {
      expected.size_bytes = 0;
    }
    EXPECT_EQ(ParseIndexClaim(damaged), expected) << i;
  }
}

// Written by releases that did not know sectors.
TEST(IndexClaimTest, ASizeAloneIsAClaim) {
  std::string bytes(512, '\0');
  bytes.replace(496, 16, std::string("StLe\0\0\0\0\0\0\x24\0\xbe\xe1\xa4\xd7", 16));
  EXPECT_EQ(ParseIndexClaim(bytes), Claim({}));
}

TEST(IndexClaimTest, RunsThatTouchBecomeOne) {
  IndexClaim claim = Claim({{10, 12}, {20, 22}, {30, 32}});
  claim.Add({13, 13});
  EXPECT_EQ(claim.sectors, (std::vector<SectorRun>{{10, 13}, {20, 22}, {30, 32}}));
  claim.Add({19, 29});
  EXPECT_EQ(claim.sectors, (std::vector<SectorRun>{{10, 13}, {19, 32}}));
  claim.Add({0, 0});
  claim.Add({11, 12});
  EXPECT_EQ(claim.sectors, (std::vector<SectorRun>{{0, 0}, {10, 13}, {19, 32}}));
  claim.Add({1, 50});
  EXPECT_EQ(claim.sectors, (std::vector<SectorRun>{{0, 50}}));
}

TEST(IndexClaimTest, WhatLiesBetweenRunsIsNotClaimed) {
  const IndexClaim claim = Claim({{3, 4}, {9, 9}});
  for (const int64_t sector : {0, 2, 5, 8, 10, 1000}) EXPECT_FALSE(claim.Has(sector)) << sector;
  for (const int64_t sector : {3, 4, 9}) EXPECT_TRUE(claim.Has(sector)) << sector;
  EXPECT_EQ(claim.LastSector(), 9);
  EXPECT_EQ(Claim({}).LastSector(), -1);
}

TEST(IndexClaimTest, TooManyRunsLoseTheShortestButNotTheOneThatGrows) {
  IndexClaim claim;
  for (int64_t i = 0; i < 30; ++i) claim.Add({100 * i, 100 * i + (i == 7 ? 1 : 10)});
  claim.Add({5000, 5000});
  EXPECT_EQ(claim.sectors.size(), 30u);
  EXPECT_FALSE(claim.Has(700));
  EXPECT_TRUE(claim.Has(600));
  EXPECT_TRUE(claim.Has(5000));
  EXPECT_EQ(ParseIndexClaim(MakeIndexClaim(claim)), claim);
}

TEST(IndexClaimTest, LostIsWhatIsClaimedAndEmpty) {
  const IndexClaim claim = Claim({{3, 4}});
  const std::string empty(512, '\0');
  std::string one = empty;
  one[511] = 1;
  EXPECT_TRUE(claim.IsLost(3, empty));
  EXPECT_TRUE(claim.IsLost(3, ""));
  EXPECT_FALSE(claim.IsLost(3, one));
  EXPECT_FALSE(claim.IsLost(5, empty));
}

}  // namespace
}  // namespace stele::bookie
