#include "bookie/journal/journal_format.h"

#include <string>

#include <gtest/gtest.h>

#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

constexpr uint64_t kNoCap = 1 << 20;

std::string Bytes(std::string_view hex) {
  std::string result;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ') continue;
    digits.push_back(c);
    if (digits.size() == 2) {
      result.push_back(static_cast<char>(std::stoi(digits, nullptr, 16)));
      digits.clear();
    }
  }
  return result;
}

std::string Repeat(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(JournalFileNameTest, HexWithoutLeadingZeros) {
  EXPECT_EQ(JournalFileName(1681845040524), "18795c6b58c.txn");
  EXPECT_EQ(*ParseJournalFileName("18795c6b58c.txn"), 1681845040524);
  EXPECT_EQ(*ParseJournalFileName("VERSION"), std::nullopt);
  EXPECT_EQ(*ParseJournalFileName("5.pre"), std::nullopt);
}

TEST(JournalFileNameTest, OtherTxnNamesAreRefused) {
  for (const char* name : {".txn", "g.txn", "01.txn", "0.txn", "-1.txn", "1A.txn", "1.2.txn",
                           "8000000000000000.txn", "11111111111111111.txn"}) {
    EXPECT_EQ(CodeOf(ParseJournalFileName(name).status()), ErrorCode::kCorruptData) << name;
  }
}

TEST(JournalHeaderTest, JavaHeadersOfAllVersions) {
  struct Row {
    std::string head;
    int version;
    uint64_t first;
  };
  const std::string rest(504, '\0');
  for (const Row& row :
       {Row{"", 1, 0}, Row{"short", 1, 0}, Row{std::string(512, '\0'), 1, 0},
        Row{Bytes("424b4c4700000002"), 2, 8}, Row{Bytes("424b4c4700000003") + "records", 3, 8},
        Row{Bytes("424b4c4700000004") + rest, 4, 8}, Row{Bytes("424b4c4700000005") + rest, 5, 512},
        Row{Bytes("424b4c4700000006") + rest, 6, 512}, Row{Bytes("424b4c4700000006"), 6, 512}}) {
    const auto header = ParseJournalFileHeader(row.head);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->version, row.version);
    EXPECT_EQ(header->first_record_offset, row.first);
    EXPECT_FALSE(header->stream.has_value());
  }
}

TEST(JournalHeaderTest, VersionsThatDoNotExistAreFatal) {
  for (const char* version : {"00000000", "00000007", "ffffffff"}) {
    const auto header = ParseJournalFileHeader(Bytes("424b4c47") + Bytes(version));
    EXPECT_EQ(CodeOf(header.status()), ErrorCode::kCorruptData) << version;
  }
}

const StreamHeader kStream{.stream_uuid = 0x0123456789abcdefu,
                           .batch_size_max_bytes = 1 << 20,
                           .file_id = 0x18795c6b58c,
                           .previous_file_id = 0x18795c6b58b};

TEST(JournalHeaderTest, SteleHeaderByteForByte) {
  std::string block(4096, 'x');
  WriteHeaderBlock(kStream, block.data());
  std::string expected = Bytes(
      "424b4c47 00000006"
      "53544c48 0001 0000 0123456789abcdef 00001000 00100000"
      "0000018795c6b58c 0000018795c6b58b 000000000000000000000000");
  AppendBigEndian<uint32_t>(expected, Crc32c(expected));
  expected.resize(512, '\0');
  expected += Bytes("ffffff00 00000df8");
  expected.resize(4096, '\0');
  EXPECT_EQ(block, expected);

  const auto header = ParseJournalFileHeader(block);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->version, 6);
  EXPECT_EQ(header->first_record_offset, 512u);
  EXPECT_EQ(header->stream, kStream);
}

TEST(JournalHeaderTest, AReusedFileSaysSo) {
  StreamHeader stream = kStream;
  stream.is_reused = true;
  std::string block(4096, 'x');
  WriteHeaderBlock(stream, block.data());
  // Of Java's versions the last one is 6.
  EXPECT_EQ(block.substr(0, 8), Bytes("424b4c47 00000007"));
  const auto header = ParseJournalFileHeader(block);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->stream, stream);
}

TEST(JournalHeaderTest, EveryFlippedByteOfASteleHeaderIsNoticed) {
  std::string block(4096, '\0');
  WriteHeaderBlock(kStream, block.data());
  for (size_t at = 0; at < 64; ++at) {
    std::string damaged = block;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_EQ(CodeOf(ParseJournalFileHeader(damaged).status()), ErrorCode::kCorruptData) << at;
  }
}

TEST(IsAllZeroTest, FindsAnyOtherByte) {
  EXPECT_TRUE(IsAllZero(""));
  for (const size_t size : {1, 2, 7, 4096}) {
    std::string bytes(size, '\0');
    EXPECT_TRUE(IsAllZero(bytes));
    for (const size_t at : {size_t{0}, size / 2, size - 1}) {
      bytes[at] = 1;
      EXPECT_FALSE(IsAllZero(bytes));
      bytes[at] = 0;
    }
  }
}

TEST(JavaPaddingTest, WorkedExamples) {
  EXPECT_EQ(JavaPaddingSize(1300, 512), 228u);
  EXPECT_EQ(JavaPaddingSize(1020, 512), 508u);
  EXPECT_EQ(JavaPaddingSize(1024 - 8, 512), 0u);
  EXPECT_EQ(JavaPaddingSize(1536, 512), std::nullopt);
}

TEST(RecordScanTest, DataRecord) {
  const std::string bytes = Bytes("00000010 0000000000000007 ffffffffffffe000") + "next";
  const RecordScan scan = ScanRecord(bytes, 6, kNoCap);
  EXPECT_EQ(scan.kind, RecordScan::Kind::kRecord);
  EXPECT_EQ(scan.size_bytes, 20u);
  EXPECT_EQ(scan.body, bytes.substr(4, 16));
}

TEST(RecordScanTest, CutRecordsAskForMore) {
  const std::string bytes = Bytes("00000010 0000000000000007 ffffffffffffe000");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const RecordScan scan = ScanRecord(bytes.substr(0, size), 6, kNoCap);
    EXPECT_EQ(scan.kind, RecordScan::Kind::kNeedMore);
    EXPECT_EQ(scan.size_bytes, size < 4 ? 4u : 20u);
  }
  EXPECT_EQ(ScanRecord(Bytes("ffffff00 0000"), 6, kNoCap).kind, RecordScan::Kind::kNeedMore);
}

TEST(RecordScanTest, PaddingMayBeEmptyOrLongerThanWhatIsThere) {
  const RecordScan empty = ScanRecord(Bytes("ffffff00 00000000"), 5, kNoCap);
  EXPECT_EQ(empty.kind, RecordScan::Kind::kPadding);
  EXPECT_EQ(empty.size_bytes, 8u);
  const RecordScan large = ScanRecord(Bytes("ffffff00 7fffffff"), 6, kNoCap);
  EXPECT_EQ(large.kind, RecordScan::Kind::kPadding);
  EXPECT_EQ(large.size_bytes, 8u + 0x7fffffff);
}

TEST(RecordScanTest, LengthZeroEnds) {
  EXPECT_EQ(ScanRecord(Bytes("00000000 ff"), 6, kNoCap).kind, RecordScan::Kind::kEnd);
}

TEST(RecordScanTest, F5LengthsThatCannotBeAreBad) {
  struct Row {
    const char* hex;
    int version;
  };
  for (const Row& row : {Row{"00000001", 6}, Row{"0000000f", 6}, Row{"ffffffff", 6},
                         Row{"80000000", 6}, Row{"7fffffff", 6}, Row{"00100001", 6},
                         Row{"ffffff00 00000008", 4}, Row{"ffffff00 ffffffff", 6}}) {
    const RecordScan scan = ScanRecord(Bytes(row.hex) + std::string(64, 'x'), row.version, kNoCap);
    EXPECT_EQ(scan.kind, RecordScan::Kind::kBad) << row.hex;
    EXPECT_NE(std::string_view(scan.why), "");
  }
}

TEST(MetaRecordTest, MasterKeyByteForByte) {
  const std::string key = Repeat("K", 20);
  const Buffer body = MakeMasterKeyRecord(LedgerId(7), key);
  EXPECT_EQ(body.size(), 0x28u);
  EXPECT_EQ(body.ToString(), Bytes("0000000000000007 fffffffffffff000 00000014") + key);
  const auto record = ParseJournalRecord(body.view());
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->kind, JournalRecord::Kind::kMasterKey);
  EXPECT_EQ(record->ledger, LedgerId(7));
  EXPECT_EQ(record->content, key);
}

TEST(MetaRecordTest, FenceByteForByte) {
  const Buffer body = MakeFenceRecord(LedgerId(7));
  EXPECT_EQ(body.ToString(), Bytes("0000000000000007 ffffffffffffe000"));
  EXPECT_EQ(ParseJournalRecord(body.view())->kind, JournalRecord::Kind::kFence);
}

TEST(MetaRecordTest, ExplicitLacByteForByte) {
  const std::string packet = Bytes("0000000000000007 0000000000000003 cafe");
  const Buffer body = MakeExplicitLacRecord(LedgerId(7), packet);
  EXPECT_EQ(body.ToString(), Bytes("0000000000000007 ffffffffffff8000 00000012") + packet);
  const auto record = ParseJournalRecord(body.view());
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->kind, JournalRecord::Kind::kExplicitLac);
  EXPECT_EQ(record->content, packet);
}

TEST(ParseJournalRecordTest, EntriesAndUnknownMetaRecords) {
  const std::string entry = Bytes("0000000000000007 0000000000000002") + "lac, length, payload";
  const auto record = ParseJournalRecord(entry);
  EXPECT_EQ(record->kind, JournalRecord::Kind::kEntry);
  EXPECT_EQ(record->entry, EntryId(2));
  EXPECT_EQ(record->content, entry);
  for (const char* id : {"ffffffffffffffff", "ffffffffffffc000"}) {
    EXPECT_EQ(ParseJournalRecord(Bytes("0000000000000007") + Bytes(id))->kind,
              JournalRecord::Kind::kUnknown);
  }
}

TEST(ParseJournalRecordTest, InnerLengthsThatDoNotFit) {
  const std::string key = Bytes("0000000000000007 fffffffffffff000");
  const std::string lac = Bytes("0000000000000007 ffffffffffff8000");
  for (const std::string& body :
       {std::string("short"), key, key + Bytes("00000002 ff"), key + Bytes("ffffffff"),
        lac + Bytes("0000000f") + Repeat("x", 15), lac + Bytes("00000010") + Repeat("x", 15)}) {
    EXPECT_EQ(CodeOf(ParseJournalRecord(body).status()), ErrorCode::kCorruptData);
  }
}

TEST(BatchSizeTest, LeavesRoomForThePaddingInFrontOfTheFooter) {
  EXPECT_EQ(BatchSize(0), 4096u);
  EXPECT_EQ(BatchSize(4096 - 80), 4096u);  // an empty padding
  for (int gap = 7; gap >= 1; --gap) EXPECT_EQ(BatchSize(4096 - 72 - gap), 8192u) << gap;
  EXPECT_EQ(BatchSize(4096 - 72), 4096u);  // no padding
  EXPECT_EQ(BatchSize(4096 - 71), 8192u);
}

BatchFooter FooterFor(std::string_view records, uint64_t start) {
  return {.stream_uuid = 0x0123456789abcdefu,
          .sequence = 12,
          .start_offset = start,
          .records_size_bytes = static_cast<uint32_t>(records.size()),
          .record_count = 1,
          .durable_sequence = 10,
          .records_crc = Crc32c(records),
          .file_id = 0x18795c6b58c};
}

std::string MakeBatch(std::string_view records, uint64_t start) {
  std::string batch(BatchSize(records.size()), 'x');
  batch.replace(0, records.size(), records);
  WriteBatchTail(FooterFor(records, start), batch.data());
  return batch;
}

TEST(BatchFooterTest, ByteForByte) {
  const std::string records = Bytes("00000010 0000000000000007 ffffffffffffe000");
  std::string expected = records + Bytes("ffffff00 00000f9c");
  expected.resize(4096 - 72, '\0');
  std::string footer = Bytes(
      "53544c46 0001 0000 0123456789abcdef 000000000000000c 0000000000003000"
      "00000014 00000001 000000000000000a");
  AppendBigEndian<uint32_t>(footer, Crc32c(records));
  footer += Bytes("0000018795c6b58c");
  AppendBigEndian<uint32_t>(footer, Crc32c(footer));
  ASSERT_EQ(footer.size(), 64u);
  expected += Bytes("ffffff00 00000040") + footer;
  EXPECT_EQ(MakeBatch(records, 0x3000), expected);
}

// What a reader that knows nothing of Stele sees: records, then paddings up to the end.
TEST(BatchFooterTest, JavaSkipsWhatFollowsTheRecords) {
  for (const size_t payload : {0, 1, 3983, 3990, 3995, 4000, 4003, 4004, 4005, 9000}) {
    std::string records;
    AppendBigEndian<int32_t>(records, static_cast<int32_t>(16 + payload));
    records += std::string(16 + payload, 'r');
    const std::string batch = MakeBatch(records, 8192);
    EXPECT_EQ(batch.size() % 4096, 0u);
    std::string_view rest = batch;
    int found = 0;
    while (!rest.empty()) {
      const RecordScan scan = ScanRecord(rest, 6, kNoCap);
      ASSERT_TRUE(scan.kind == RecordScan::Kind::kRecord ||
                  scan.kind == RecordScan::Kind::kPadding);
      found += scan.kind == RecordScan::Kind::kRecord;
      ASSERT_LE(scan.size_bytes, rest.size());
      rest.remove_prefix(scan.size_bytes);
    }
    EXPECT_EQ(found, 1);
    EXPECT_EQ(ParseBatchFooter(batch, 8192 + batch.size()), FooterFor(records, 8192));
  }
}

TEST(BatchFooterTest, AtAnotherPlaceItIsNone) {
  const std::string batch = MakeBatch("0123456789abcdef0123", 8192);
  EXPECT_TRUE(ParseBatchFooter(batch, 12288).has_value());
  for (const uint64_t end : {4096u, 8192u, 16384u}) {
    EXPECT_FALSE(ParseBatchFooter(batch, end).has_value());
  }
  EXPECT_FALSE(ParseBatchFooter(MakeBatch("0123456789abcdef0123", 0), 4096).has_value());
}

TEST(BatchFooterTest, EveryFlippedByteIsNoticed) {
  const std::string batch = MakeBatch("0123456789abcdef0123", 8192);
  for (size_t at = batch.size() - 72; at < batch.size(); ++at) {
    std::string damaged = batch;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x01);
    EXPECT_FALSE(ParseBatchFooter(damaged, 12288).has_value()) << at;
  }
  EXPECT_FALSE(ParseBatchFooter(std::string(71, '\0'), 12288).has_value());
}

}  // namespace
}  // namespace stele::bookie
