#include "bookie/storage/index_format.h"

#include <string>

#include <gtest/gtest.h>

#include "common/base/endian.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

constexpr LedgerId kLedger{7};

wire::MasterKey Key() {
  wire::MasterKey key;
  key.fill('k');
  return key;
}

std::string Lac(LedgerId ledger, int64_t lac, size_t digest_size) {
  std::string packet;
  AppendBigEndian(packet, ledger.value());
  AppendBigEndian(packet, lac);
  packet.append(digest_size, 'd');
  return packet;
}

ErrorCode CodeOfParse(const std::string& bytes) {
  return CodeOf(ParseIndexHeader(bytes, kLedger).status());
}

TEST(IndexFormatTest, HeaderByteForByte) {
  const std::string header = MakeIndexHeader(
      {.master_key = Key(), .state_bits = kIndexStateFenced, .explicit_lac = Lac(kLedger, 5, 4)});
  ASSERT_EQ(header.size(), 1024u);
  std::string expected = "BKLE";
  expected += std::string("\0\0\0\1\0\0\0\x14", 8) + std::string(20, 'k');
  expected += std::string("\0\0\0\1\0\0\0\x14", 8);
  expected += std::string("\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\5dddd", 20);
  expected.resize(1024, '\0');
  EXPECT_EQ(header, expected);
}

TEST(IndexFormatTest, HeaderRoundTripKeepsForeignStateBits) {
  const IndexHeader header{.master_key = Key(), .state_bits = 0x4001, .explicit_lac = {}};
  const auto parsed = ParseIndexHeader(MakeIndexHeader(header), kLedger);
  ASSERT_TRUE(parsed.ok() && parsed->has_value());
  EXPECT_EQ((*parsed)->master_key, header.master_key);
  EXPECT_EQ((*parsed)->state_bits, 0x4001);
  EXPECT_EQ((*parsed)->explicit_lac, "");
}

TEST(IndexFormatTest, Version0HasNoExplicitLac) {
  std::string bytes("BKLE\0\0\0\0\0\0\0\x14", 12);
  bytes += std::string(20, 'k') + std::string("\0\0\0\1", 4) + "garbage";
  bytes.resize(1024, '\0');
  const auto parsed = ParseIndexHeader(bytes, kLedger);
  ASSERT_TRUE(parsed.ok() && parsed->has_value());
  EXPECT_EQ((*parsed)->state_bits, kIndexStateFenced);
  EXPECT_EQ((*parsed)->explicit_lac, "");
}

TEST(IndexFormatTest, AnEmptyKeyIsNoKey) {
  const auto parsed = ParseIndexHeader(MakeIndexHeader({}), kLedger);
  ASSERT_TRUE(parsed.ok() && parsed->has_value());
  EXPECT_FALSE((*parsed)->master_key.has_value());
}

TEST(IndexFormatTest, F29ZeroFilledOrCutHeadersAreBlank) {
  const std::string header = MakeIndexHeader({.master_key = Key(), .state_bits = 1});
  // Also behind its fields: the locations are gone with the rest.
  for (size_t size = 0; size < kIndexHeaderSize; ++size) {
    const auto parsed = ParseIndexHeader(header.substr(0, size), kLedger);
    ASSERT_TRUE(parsed.ok()) << size;
    EXPECT_FALSE(parsed->has_value()) << size;
  }
  EXPECT_TRUE(ParseIndexHeader(header, kLedger)->has_value());
  EXPECT_FALSE(ParseIndexHeader(std::string(1024, '\0'), kLedger)->has_value());
}

TEST(IndexFormatTest, BytesThatNoCrashLeavesAreCorrupt) {
  const std::string good =
      MakeIndexHeader({.master_key = Key(), .explicit_lac = Lac(kLedger, 5, 20)});
  const auto with = [&](size_t at, int32_t value) {
    std::string changed = good;
    StoreBigEndian(changed.data() + at, value);
    return CodeOfParse(changed);
  };
  EXPECT_EQ(CodeOfParse(std::string(1 << 20, 't')), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfParse(std::string("\0\0\0\0text", 8)), ErrorCode::kCorruptData);
  EXPECT_EQ(with(0, 0), ErrorCode::kCorruptData);           // magic
  EXPECT_EQ(with(4, 2), ErrorCode::kCorruptData);           // version
  EXPECT_EQ(with(4, -1), ErrorCode::kCorruptData);          //
  EXPECT_EQ(with(8, -1), ErrorCode::kCorruptData);          // key size
  EXPECT_EQ(with(8, 19), ErrorCode::kCorruptData);          //
  EXPECT_EQ(with(8, INT32_MAX), ErrorCode::kCorruptData);   //
  EXPECT_EQ(with(36, 15), ErrorCode::kCorruptData);         // LAC size
  EXPECT_EQ(with(36, -1), ErrorCode::kCorruptData);         //
  EXPECT_EQ(with(36, INT32_MAX), ErrorCode::kCorruptData);  //
  EXPECT_EQ(with(40, 1), ErrorCode::kCorruptData);          // LAC of another ledger
}

TEST(IndexFormatTest, PathsOfTheSpecification) {
  EXPECT_EQ(IndexFilePath(LedgerId(1)), "0/1/1.idx");
  EXPECT_EQ(IndexFilePath(LedgerId(0x109)), "1/9/109.idx");
  EXPECT_EQ(IndexFilePath(LedgerId(0x1a2b)), "1a/2b/1a2b.idx");
  EXPECT_EQ(IndexFilePath(LedgerId(INT64_MAX)), "ff/ff/7fffffffffffffff.idx");
}

TEST(IndexFormatTest, NamesThatAreNotOursAreNoLedgers) {
  EXPECT_EQ(ParseIndexFileName("109.idx", kIndexSuffix), LedgerId(0x109));
  EXPECT_EQ(ParseIndexFileName("109.idx.rloc", kIndexMovedSuffix), LedgerId(0x109));
  for (const char* name : {"0109.idx", "1A.idx", ".idx", "x.idx", "-1.idx", "8000000000000000.idx",
                           "109.idx.rloc", "109.idx.tmp", "109"}) {
    EXPECT_EQ(ParseIndexFileName(name, kIndexSuffix), std::nullopt) << name;
  }
  EXPECT_TRUE(IsIndexDirectoryName("0"));
  EXPECT_TRUE(IsIndexDirectoryName("ff"));
  for (const char* name : {"", "00", "0a", "100", "FF", "g", "ledgers"}) {
    EXPECT_FALSE(IsIndexDirectoryName(name)) << name;
  }
}

TEST(IndexFormatTest, F29APartialSlotAtTheEndIsIgnored) {
  EXPECT_EQ(LocationOffset(3), 1024u + 24);
  EXPECT_EQ(LocationCount(0), 0);
  EXPECT_EQ(LocationCount(1023), 0);
  EXPECT_EQ(LocationCount(1031), 0);
  EXPECT_EQ(LocationCount(1032), 1);
  EXPECT_EQ(LocationCount(1047), 2);
}

TEST(IndexFormatTest, AClaimIsBehindTheFieldsAndNeverInThem) {
  IndexHeader header{.master_key = Key(), .claim = {.size_bytes = 9216, .sectors = {{0, 1}}}};
  header.explicit_lac = Lac(kLedger, 5, 456);
  const std::string with_claim = MakeIndexHeader(header);
  EXPECT_EQ((*ParseIndexHeader(with_claim, kLedger))->claim, header.claim);
  EXPECT_EQ(with_claim.substr(kClaimOffset), MakeIndexClaim(header.claim));
  // One byte more leaves no room.
  header.explicit_lac = Lac(kLedger, 5, 457);
  const auto parsed = ParseIndexHeader(MakeIndexHeader(header), kLedger);
  EXPECT_EQ((*parsed)->explicit_lac, header.explicit_lac);
  EXPECT_EQ((*parsed)->claim, IndexClaim());
}

}  // namespace
}  // namespace stele::bookie
