#include "metadata/ledger_layout.h"

#include <limits>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::metadata {
namespace {

constexpr LayoutType kAllTypes[] = {LayoutType::kHierarchical, LayoutType::kLongHierarchical,
                                    LayoutType::kLegacyHierarchical, LayoutType::kFlat};

TEST(LedgerLayoutTest, LayoutBytesAreThoseOfApacheBookKeeper) {
  EXPECT_EQ(SerializeLayout(LayoutType::kHierarchical),
            "2\norg.apache.bookkeeper.meta.HierarchicalLedgerManagerFactory:1");
  EXPECT_EQ(SerializeLayout(LayoutType::kLongHierarchical),
            "2\norg.apache.bookkeeper.meta.LongHierarchicalLedgerManagerFactory:1");
  EXPECT_EQ(SerializeLayout(LayoutType::kFlat),
            "2\norg.apache.bookkeeper.meta.FlatLedgerManagerFactory:1");
  EXPECT_EQ(SerializeLayout(LayoutType::kLegacyHierarchical),
            "2\norg.apache.bookkeeper.meta.LegacyHierarchicalLedgerManagerFactory:1");
  EXPECT_EQ(SerializeLayout(LayoutType::kHierarchical).size(), 63u);
  EXPECT_EQ(SerializeLayout(LayoutType::kLongHierarchical).size(), 67u);
  EXPECT_EQ(SerializeLayout(LayoutType::kFlat).size(), 55u);
  EXPECT_EQ(SerializeLayout(LayoutType::kLegacyHierarchical).size(), 69u);
  for (const LayoutType type : kAllTypes) EXPECT_EQ(*ParseLayout(SerializeLayout(type)), type);
}

TEST(LedgerLayoutTest, LayoutFormatOneHasShortNamesAndLaterLinesAreIgnored) {
  EXPECT_EQ(*ParseLayout("1\nhierarchical:1"), LayoutType::kHierarchical);
  EXPECT_EQ(*ParseLayout("1\nflat:1"), LayoutType::kFlat);
  EXPECT_EQ(*ParseLayout("2\norg.apache.bookkeeper.meta.FlatLedgerManagerFactory:1\nmore\n"),
            LayoutType::kFlat);
}

TEST(LedgerLayoutTest, OtherLayoutsAreCorruptData) {
  for (const char* bytes :
       {"", "2", "2\n", "0\nflat:1", "3\nflat:1", "2\r\nflat:1", "2\nflat:1",
        "1\nlonghierarchical:1", "1\nflat", "1\nflat:2", "1\nflat:1:1", "1\nflat:", "x\nflat:1",
        "2\norg.apache.bookkeeper.metadata.etcd.EtcdLedgerManagerFactory:0"}) {
    EXPECT_EQ(CodeOf(ParseLayout(bytes).status()), ErrorCode::kCorruptData) << bytes;
  }
}

struct PathCase {
  int64_t id;
  const char* hierarchical;
  const char* long_hierarchical;
};
constexpr PathCase kPaths[] = {
    {0, "/00/0000/L0000", "/000/0000/0000/0000/L0000"},
    {1, "/00/0000/L0001", "/000/0000/0000/0000/L0001"},
    {42, "/00/0000/L0042", "/000/0000/0000/0000/L0042"},
    {2147483646, "/21/4748/L3646", "/000/0000/0021/4748/L3646"},
    {2147483647, "/000/0000/0021/4748/L3647", "/000/0000/0021/4748/L3647"},
    {2147483648, "/000/0000/0021/4748/L3648", "/000/0000/0021/4748/L3648"},
    {4294967296, "/000/0000/0042/9496/L7296", "/000/0000/0042/9496/L7296"},
    {9223372036854775807, "/922/3372/0368/5477/L5807", "/922/3372/0368/5477/L5807"},
};

TEST(LedgerLayoutTest, PathsOfTheWorkedTableAndBack) {
  const LedgerLayout hierarchical("/ledgers", LayoutType::kHierarchical);
  const LedgerLayout long_hierarchical("/a/b", LayoutType::kLongHierarchical);
  for (const PathCase& one : kPaths) {
    EXPECT_EQ(*hierarchical.PathOf(LedgerId(one.id)), StrCat("/ledgers", one.hierarchical));
    EXPECT_EQ(*long_hierarchical.PathOf(LedgerId(one.id)), StrCat("/a/b", one.long_hierarchical));
    EXPECT_EQ(hierarchical.LedgerOf(StrCat("/ledgers", one.hierarchical)), LedgerId(one.id));
    EXPECT_EQ(long_hierarchical.LedgerOf(StrCat("/a/b", one.long_hierarchical)), LedgerId(one.id));
  }
}

TEST(LedgerLayoutTest, LegacyAndFlatHaveTenDigits) {
  const LedgerLayout legacy("/l", LayoutType::kLegacyHierarchical);
  const LedgerLayout flat("/l", LayoutType::kFlat);
  EXPECT_EQ(*legacy.PathOf(LedgerId(2147483647)), "/l/21/4748/L3647");
  EXPECT_EQ(*legacy.PathOf(LedgerId(9999999999)), "/l/99/9999/L9999");
  EXPECT_EQ(*flat.PathOf(LedgerId(42)), "/l/L0000000042");
  EXPECT_EQ(flat.LedgerOf("/l/L0000000042"), LedgerId(42));
  EXPECT_EQ(CodeOf(legacy.PathOf(LedgerId(10000000000)).status()), ErrorCode::kUnsupported);
  EXPECT_EQ(CodeOf(flat.PathOf(LedgerId(10000000000)).status()), ErrorCode::kUnsupported);
}

TEST(LedgerLayoutTest, NegativeIdsHaveNoPath) {
  for (const LayoutType type : kAllTypes) {
    EXPECT_EQ(CodeOf(LedgerLayout("/l", type).PathOf(LedgerId(-1)).status()),
              ErrorCode::kInvalidArgument);
  }
}

TEST(LedgerLayoutTest, OtherNamesAreNotLedgers) {
  const LedgerLayout layout("/ledgers", LayoutType::kHierarchical);
  for (const char* path : {"",
                           "/ledgers",
                           "/ledgers/LAYOUT",
                           "/ledgers/available/10.0.0.1:3181",
                           "/ledgers/00",
                           "/ledgers/00/0000",
                           "/ledgers/00/0000/0000",
                           "/ledgers/00/0000/X0000",
                           "/ledgers/00/0000/L000",
                           "/ledgers/00/0000/L00000",
                           "/ledgers/00/0000/L000x",
                           "/ledgers/0/00000/L0000",
                           "/ledgers/000/0000/0000/0000/L0042",
                           "/ledgers/21/4748/L3647",
                           "/ledgers/999/9999/9999/9999/L9999",
                           "/other/00/0000/L0000",
                           "/ledgersx/00/0000/L0000",
                           "/ledgers/-0/0000/L0001",
                           "/ledgers/idgen/ID-0000000001",
                           "/ledgers/00/0000/L0000/"}) {
    EXPECT_EQ(layout.LedgerOf(path), std::nullopt) << path;
  }
}

}  // namespace
}  // namespace stele::metadata
