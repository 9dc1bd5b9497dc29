#include "bookie/storage/extent_format.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/entry_packet.h"
#include "simulation/sim_random.h"

namespace stele::bookie {
namespace {

using simulation::SimRandom;

constexpr RunNumbers kNumbers{.first = 3, .last = 9};

// What a run was made of, and what its bytes say.
struct Content {
  std::map<int64_t, std::map<int64_t, int64_t>> locations;  // packed, by ledger and entry
  std::map<int64_t, uint8_t> flags;
  std::map<int64_t, IndexHeader> headers;
};

std::string Build(const Content& content) {
  ExtentRunBuilder builder(kNumbers);
  std::string bytes;
  for (const auto& [ledger, flags] : content.flags) {
    if (const auto entries = content.locations.find(ledger); entries != content.locations.end()) {
      for (const auto& [entry, packed] : entries->second) {
        builder.AddEntry(LedgerId(ledger), entry, EntryLocation::FromPacked(packed));
      }
    }
    LedgerRow row{.flags = flags};
    if ((flags & kRowHasHeader) != 0) row.header = content.headers.at(ledger);
    builder.EndLedger(LedgerId(ledger), row);
    bytes += builder.TakeReady();
  }
  bytes += builder.Finish();
  return builder.FirstPage() + bytes;
}

ExtentRunFooter FooterOf(const std::string& bytes) {
  const auto footer = ParseExtentFooter(bytes.substr(0, kExtentFooterBytes));
  EXPECT_TRUE(footer.ok()) << footer.status();
  return *footer;
}

ExtentRunTail TailOf(const std::string& bytes) {
  const ExtentRunFooter footer = FooterOf(bytes);
  const size_t at = ExtentBlockOffset(footer.blocks);
  EXPECT_EQ(at + footer.tail_bytes + kExtentFooterBytes, bytes.size());
  auto tail = ParseExtentTail(bytes.substr(at, footer.tail_bytes), footer);
  EXPECT_TRUE(tail.ok()) << tail.status();
  return *tail;
}

// The first block, with these rows and a checksum that is right.
absl::StatusOr<ExtentBlock> BlockWith(std::string_view rows) {
  std::string behind;
  AppendBigEndian(behind, kNumbers.first);
  AppendBigEndian(behind, kNumbers.last);
  AppendBigEndian(behind, uint32_t{0});
  AppendBigEndian(behind, static_cast<uint32_t>(rows.size()));
  behind += rows;
  behind.resize(kExtentBlockBytes - 8, '\0');
  std::string bytes = "StXb";
  AppendBigEndian(bytes, Crc32c(behind));
  return ExtentBlock::Parse(Buffer::FromString(bytes + behind), kNumbers, 0);
}

absl::StatusOr<ExtentBlock> BlockOf(const std::string& bytes, uint32_t number) {
  return ExtentBlock::Parse(
      Buffer::CopyOf(bytes.substr(ExtentBlockOffset(number), kExtentBlockBytes)), kNumbers, number);
}

Content Read(const std::string& bytes) {
  const ExtentRunTail tail = TailOf(bytes);
  Content content;
  for (size_t i = 0; i < tail.ledgers.size(); ++i) {
    content.flags[tail.ledgers[i].value()] = tail.flags[i];
  }
  for (uint32_t i = 0; i < tail.blocks.size(); ++i) {
    const auto block = BlockOf(bytes, i);
    EXPECT_TRUE(block.ok()) << block.status();
    EXPECT_EQ(block->key(0), tail.blocks[i]);
    for (size_t row = 0; row < block->row_count(); ++row) {
      const int64_t ledger = block->key(row).ledger.value();
      if (block->IsState(row)) {
        const LedgerRow state = block->state(row);
        EXPECT_EQ(state.flags, content.flags.at(ledger));
        if (state.header.has_value()) content.headers[ledger] = *state.header;
        continue;
      }
      ExtentCursor cursor = block->extent(row);
      do {
        content.locations[ledger][cursor.entry()] = cursor.location().packed();
      } while (cursor.Next());
      EXPECT_EQ(cursor.entry(), block->last_entry(row));
    }
  }
  return content;
}

// Entries as flushes leave them: in runs of one log, one record behind the other, with gaps.
Content MakeContent(SimRandom* random) {
  Content content;
  int64_t ledger = static_cast<int64_t>(random->Below(5));
  for (uint64_t i = 1 + random->Below(60); i-- > 0;
       ledger += 1 + static_cast<int64_t>(random->Below(random->Below(2) == 0 ? 3 : 1 << 30))) {
    uint8_t flags = static_cast<uint8_t>(random->Below(8));
    auto& locations = content.locations[ledger];
    auto entry = static_cast<int64_t>(random->Below(1000));
    auto log = static_cast<int32_t>(random->Below(1 << 20));
    uint64_t offset = 4096 + random->Below(1 << 20);
    const bool is_even = random->Below(2) == 0;  // entries of one size, none missing
    for (uint64_t entries = random->Below(700); entries-- > 0;) {
      locations[entry] = EntryLocation(EntryLogId(log), offset).packed();
      entry += is_even ? 1 : 1 + static_cast<int64_t>(random->Below(3));
      offset += is_even ? 1024 : 20 + random->Below(2000);
      if (random->Below(100) != 0) continue;
      log = static_cast<int32_t>(random->Below(1 << 20));
      offset = 4096 + random->Below(1 << 20);
    }
    if (locations.empty()) content.locations.erase(ledger);
    if (!content.locations.contains(ledger)) flags |= kRowHasHeader;
    content.flags[ledger] = flags;
    if ((flags & kRowHasHeader) == 0) continue;
    IndexHeader& header = content.headers[ledger];
    header.state_bits = static_cast<int32_t>(random->Below(UINT32_MAX));
    if (random->Below(2) == 0) header.master_key.emplace().fill('k');
    if (random->Below(2) == 0) header.explicit_lac = std::string(16 + random->Below(284), 'l');
  }
  return content;
}

TEST(ExtentFormatTest, WhatWasBuiltIsReadAgain) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    SimRandom random(seed);
    const Content content = MakeContent(&random);
    const std::string bytes = Build(content);
    EXPECT_EQ(FooterOf(bytes).numbers, kNumbers);
    const Content read = Read(bytes);
    EXPECT_EQ(read.locations, content.locations);
    EXPECT_EQ(read.flags, content.flags);
    ASSERT_EQ(read.headers.size(), content.headers.size());
    for (const auto& [ledger, header] : content.headers) {
      EXPECT_EQ(read.headers.at(ledger).state_bits, header.state_bits);
      EXPECT_EQ(read.headers.at(ledger).master_key, header.master_key);
      EXPECT_EQ(read.headers.at(ledger).explicit_lac, header.explicit_lac);
    }
  }
}

TEST(ExtentFormatTest, ACursorFindsEachEntryAndNoOther) {
  SimRandom random(7);
  for (int round = 0; round < 20; ++round) {
    Content content;
    content.flags[5] = 0;
    int64_t entry = 10;
    uint64_t offset = 4096;
    for (int i = 0; i < 60; ++i) {
      content.locations[5][entry] = EntryLocation(EntryLogId(1), offset).packed();
      entry += 1 + static_cast<int64_t>(random.Below(3));
      offset += 100 + random.Below(2) * 50;
    }
    const auto block = BlockOf(Build(content), 0);
    for (int64_t wanted = 10; wanted < entry + 3; ++wanted) {
      ExtentCursor cursor = block->extent(0);
      const auto there = content.locations[5].find(wanted);
      ASSERT_EQ(cursor.SeekTo(wanted), there != content.locations[5].end()) << wanted;
      if (there == content.locations[5].end()) continue;
      EXPECT_EQ(cursor.location().packed(), there->second);
    }
  }
}

// A thousand entries of one size that lie one behind the other take a few bytes.
TEST(ExtentFormatTest, EntriesOfOneSizeAreOneGroup) {
  Content content;
  content.flags[1] = 0;
  for (int64_t entry = 0; entry < 100'000; ++entry) {
    content.locations[1][entry] =
        EntryLocation(EntryLogId(1), 4096 + 1100 * static_cast<uint64_t>(entry)).packed();
  }
  EXPECT_EQ(TailOf(Build(content)).blocks.size(), 1u);
}

TEST(ExtentFormatTest, AnyFlippedBitOfABlockIsDamage) {
  SimRandom random(3);
  const std::string bytes = Build(MakeContent(&random));
  for (size_t at = 0; at < kExtentBlockBytes; at += 1 + random.Below(7)) {
    std::string damaged = bytes;
    char& byte = damaged[ExtentBlockOffset(0) + at];
    byte = static_cast<char>(byte ^ (1 << random.Below(8)));
    EXPECT_EQ(CodeOf(BlockOf(damaged, 0).status()), ErrorCode::kCorruptData) << at;
  }
}

TEST(ExtentFormatTest, AnotherBlockInItsPlaceIsDamage) {
  Content content;
  for (int64_t ledger = 0; ledger < 400; ++ledger) {
    content.flags[ledger] = kRowHasHeader;
    content.headers[ledger].explicit_lac = std::string(50, 'l');
  }
  const std::string bytes = Build(content);
  ASSERT_GE(TailOf(bytes).blocks.size(), 3u);
  const Buffer second = Buffer::CopyOf(bytes.substr(ExtentBlockOffset(1), kExtentBlockBytes));
  EXPECT_TRUE(ExtentBlock::Parse(second, kNumbers, 1).ok());
  EXPECT_EQ(CodeOf(ExtentBlock::Parse(second, kNumbers, 2).status()), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOf(ExtentBlock::Parse(second, {.first = 3, .last = 8}, 1).status()),
            ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOf(ExtentBlock::Parse(second, {.first = 2, .last = 9}, 1).status()),
            ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOf(ExtentBlock::Parse(Buffer(), kNumbers, 1).status()), ErrorCode::kCorruptData);
}

TEST(ExtentFormatTest, ADamagedTailOrFooterIsNoticed) {
  SimRandom random(4);
  const std::string bytes = Build(MakeContent(&random));
  const ExtentRunFooter footer = FooterOf(bytes);
  std::string tail = bytes.substr(ExtentBlockOffset(footer.blocks), footer.tail_bytes);
  tail[tail.size() / 2] = static_cast<char>(tail[tail.size() / 2] ^ 1);
  EXPECT_EQ(CodeOf(ParseExtentTail(tail, footer).status()), ErrorCode::kCorruptData);
  const std::string good = bytes.substr(0, kExtentFooterBytes);
  for (size_t at = 0; at < kExtentFooterBytes; ++at) {
    std::string damaged = good;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_EQ(CodeOf(ParseExtentFooter(damaged).status()), ErrorCode::kCorruptData) << at;
  }
  EXPECT_EQ(CodeOf(ParseExtentFooter(good.substr(1)).status()), ErrorCode::kCorruptData);
}

// With a checksum that is right: what no bookie of ours has written.
TEST(ExtentFormatTest, ValuesThatCannotBeAreRefused) {
  const std::string twice("\0\2\7\0\0\0", 6);  // no blocks; ledger 7, and 0 further
  const ExtentRunFooter footer{.numbers = kNumbers, .tail_crc = Crc32c(twice)};
  EXPECT_EQ(CodeOf(ParseExtentTail(twice, footer).status()), ErrorCode::kCorruptData);
  for (const size_t lac_size : {1, 15, 16}) {
    Content content;
    content.flags[7] = kRowHasHeader;
    content.headers[7].explicit_lac = std::string(lac_size, 'l');
    EXPECT_EQ(BlockOf(Build(content), 0).ok(), lac_size == 16) << lac_size;
  }
}

// Locations are 31-bit numbers that point behind the size of a record.
TEST(ExtentFormatTest, ALocationBehindTheEndOfAnyEntryLogIsRefused) {
  const std::string near_end("\xf6\xff\xff\xff\x07", 5);  // 2^31 - 10
  for (const char step : {5, 6}) {
    SCOPED_TRACE(static_cast<int>(step));
    const bool is_possible = step == 5;
    // Ledger 7; from entry 0 on, log 1; one more entry of that distance.
    const std::string rows =
        StrCat(std::string("\7\0\0\1", 4), near_end, "\1\1\1", std::string(1, step));
    const auto block = BlockWith(rows);
    ASSERT_EQ(block.ok(), is_possible) << block.status();
    if (!is_possible) continue;
    ExtentCursor cursor = block->extent(0);
    EXPECT_TRUE(cursor.Next());
    EXPECT_TRUE(cursor.location().IsPlausible());
  }
}

// It could not be converted to an index file.
TEST(ExtentFormatTest, AnExplicitLacThatNoIndexFileHasIsRefused) {
  for (const bool has_key : {false, true}) {
    const size_t room = kIndexHeaderSize - kIndexFieldsSize - (has_key ? wire::kMasterKeySize : 0);
    for (const size_t size : {room, room + 1}) {
      Content content;
      content.flags[7] = kRowHasHeader;
      if (has_key) content.headers[7].master_key.emplace().fill('k');
      content.headers[7].explicit_lac = std::string(size, 'l');
      EXPECT_EQ(BlockOf(Build(content), 0).ok(), size == room) << size;
    }
  }
}

// One damaged place must not take both.
TEST(ExtentFormatTest, TheFootersAreEqualAndLieInDifferentPages) {
  for (const bool is_empty : {true, false}) {
    SimRandom random(5);
    const std::string bytes = Build(is_empty ? Content() : MakeContent(&random));
    const size_t second_at = bytes.size() - kExtentFooterBytes;
    EXPECT_EQ(bytes.substr(second_at), bytes.substr(0, kExtentFooterBytes));
    EXPECT_GE(second_at / 4096, is_empty ? 1u : 2u);
  }
}

TEST(ExtentFormatTest, NamesSayWhichWritesARunHolds) {
  EXPECT_EQ(ExtentRunName({.first = 3, .last = 0x1f}), "0000000000000003-000000000000001f.run");
  EXPECT_EQ(ParseExtentRunName("0000000000000003-000000000000001f.run"),
            (RunNumbers{.first = 3, .last = 0x1f}));
  for (const char* other :
       {"0000000000000003-000000000000001F.run", "0000000000000003-0000000000000002.run",
        "0000000000000000-0000000000000002.run", "3-1f.run",
        "0000000000000003-000000000000001f.run.tmp", "000000000000000g-000000000000001f.run",
        "0000000000000003+000000000000001f.run"}) {
    EXPECT_EQ(ParseExtentRunName(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace stele::bookie
