#include "bookie/storage/entry_log_format.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/endian.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

std::string Bytes(std::initializer_list<int> bytes) {
  std::string result;
  for (const int byte : bytes) result.push_back(static_cast<char>(byte));
  return result;
}

TEST(EntryLogFormatTest, NamesAreLowerCaseHexWithoutLeadingZeroes) {
  EXPECT_EQ(EntryLogFileName(EntryLogId(500)), "1f4.log");
  EXPECT_EQ(EntryLogFileName(EntryLogId(0)), "0.log");
  EXPECT_EQ(ParseEntryLogFileName("1f4.log"), EntryLogId(500));
  EXPECT_EQ(ParseEntryLogFileName("7fffffff.log"), EntryLogId(INT32_MAX));
  for (const char* other : {"1F4.log", "01f4.log", "80000000.log", "-1.log", ".log", "1f4.logs",
                            "1f4.log.compacting", "x.log", "+1.log", "0x1.log"}) {
    EXPECT_EQ(ParseEntryLogFileName(other), std::nullopt) << other;
  }
}

TEST(EntryLogFormatTest, IdsWrapToZero) {
  EXPECT_EQ(EntryLogId(INT32_MAX).Next(), EntryLogId(0));
  EXPECT_EQ(EntryLogId(7).Next(), EntryLogId(8));
}

TEST(EntryLogFormatTest, LocationOfTheFirstRecordOfLog500) {
  const EntryLocation location(EntryLogId(500), kEntryLogHeaderSize);
  EXPECT_EQ(location.packed(), 0x000001F4'00000404);
  EXPECT_EQ(location.log(), EntryLogId(500));
  EXPECT_EQ(location.record_offset(), 1024u);
  EXPECT_TRUE(location.IsPlausible());
}

TEST(EntryLogFormatTest, LocationsThatNobodyWroteAreImplausible) {
  EXPECT_TRUE(EntryLocation().IsAbsent());
  for (const int64_t packed : {int64_t{0}, int64_t{-1}, int64_t{0x403}, int64_t{1} << 32,
                               int64_t{0x1'80000000}, INT64_MIN}) {
    EXPECT_FALSE(EntryLocation::FromPacked(packed).IsPlausible()) << packed;
  }
  EXPECT_TRUE(EntryLocation::FromPacked(0x7fffffff'7fffffff).IsPlausible());
}

TEST(EntryLogFormatTest, StartOfALogByteForByte) {
  const std::string start = MakeEntryLogStart({.ledgers_map_offset = 0x1234, .ledgers_count = 7});
  ASSERT_EQ(start.size(), 4096u);
  EXPECT_EQ(start.substr(0, 20),
            "BKLO" + Bytes({0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 7}));
  EXPECT_EQ(start.find_first_not_of('\0', 20), 1024u + 2);
  // The dummy record: 3068 bytes, ledger -1.
  EXPECT_EQ(start.substr(1024, 12),
            Bytes({0, 0, 0x0b, 0xfc, 255, 255, 255, 255, 255, 255, 255, 255}));
  EXPECT_EQ(start.find_first_not_of('\0', 1036), std::string::npos);
}

TEST(EntryLogFormatTest, HeaderRoundTripAndRefusals) {
  const std::string start = MakeEntryLogStart({.ledgers_map_offset = 99, .ledgers_count = 3});
  const auto header = ParseEntryLogHeader(start);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->version, 1);
  EXPECT_EQ(header->ledgers_map_offset, 99);
  EXPECT_EQ(header->ledgers_count, 3);
  std::string other = start;
  other[0] = 'X';
  EXPECT_EQ(CodeOf(ParseEntryLogHeader(other).status()), ErrorCode::kCorruptData);
  other = start;
  other[7] = 2;
  EXPECT_EQ(CodeOf(ParseEntryLogHeader(other).status()), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOf(ParseEntryLogHeader(start.substr(0, 1023)).status()), ErrorCode::kCorruptData);
}

TEST(EntryLogFormatTest, LedgersMapByteForByte) {
  const std::vector<LedgerBytes> ledgers = {{LedgerId(5), 0x100}, {LedgerId(0x109), 1}};
  const std::string map = MakeLedgersMap(ledgers);
  EXPECT_EQ(map, Bytes({0,   0,   0,   52,                       // 20 + 16 * 2
                        255, 255, 255, 255, 255, 255, 255, 255,  // ledger -1
                        255, 255, 255, 255, 255, 255, 255, 254,  // entry -2
                        0,   0,   0,   2,                        // two ledgers
                        0,   0,   0,   0,   0,   0,   0,   5,    //
                        0,   0,   0,   0,   0,   0,   1,   0,    //
                        0,   0,   0,   0,   0,   0,   1,   9,    //
                        0,   0,   0,   0,   0,   0,   0,   1}));
  EXPECT_EQ(*ParseMapRecordSize(map), map.size());
  EXPECT_EQ(*ParseMapRecord(map), ledgers);
}

TEST(EntryLogFormatTest, AMapRecordHasAtMost10000Ledgers) {
  std::vector<LedgerBytes> ledgers;
  for (int64_t i = 0; i < 10'001; ++i) ledgers.push_back({LedgerId(i), 1});
  const std::string map = MakeLedgersMap(ledgers);
  const size_t first = *ParseMapRecordSize(map);
  EXPECT_EQ(first, 4u + 20 + 16 * 10'000);
  EXPECT_EQ(ParseMapRecord(map.substr(0, first))->size(), 10'000u);
  EXPECT_EQ(ParseMapRecord(map.substr(first))->back(), (LedgerBytes{LedgerId(10'000), 1}));
}

TEST(EntryLogFormatTest, MapRecordsThatDoNotFitAreCorrupt) {
  const std::string good = MakeLedgersMap(std::vector<LedgerBytes>{{LedgerId(5), 9}});
  const auto with = [&](size_t at, int byte) {
    std::string changed = good;
    changed[at] = static_cast<char>(byte);
    return CodeOf(ParseMapRecord(changed).status());
  };
  EXPECT_EQ(with(3, 35), ErrorCode::kCorruptData);     // size
  EXPECT_EQ(with(11, 1), ErrorCode::kCorruptData);     // ledger
  EXPECT_EQ(with(19, 255), ErrorCode::kCorruptData);   // entry -1
  EXPECT_EQ(with(20, 0x80), ErrorCode::kCorruptData);  // count below 0
  EXPECT_EQ(with(20, 0x7f), ErrorCode::kCorruptData);  // count far above
  EXPECT_EQ(with(23, 0), ErrorCode::kCorruptData);     // count 0
  EXPECT_EQ(with(24, 0x80), ErrorCode::kCorruptData);  // ledger below 0
  EXPECT_EQ(with(39, 0), ErrorCode::kCorruptData);     // no bytes
  EXPECT_EQ(CodeOf(ParseMapRecord(good.substr(0, 39)).status()), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOf(ParseMapRecord(good.substr(0, 10)).status()), ErrorCode::kCorruptData);
}

}  // namespace
}  // namespace stele::bookie
