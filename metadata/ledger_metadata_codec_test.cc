#include "metadata/ledger_metadata_codec.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::metadata {
namespace {

std::string FromHex(std::string_view hex) {
  std::string bytes;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    int value = 0;
    std::from_chars(digits.data(), digits.data() + 2, value, 16);
    bytes += static_cast<char>(value);
    digits.clear();
  }
  return bytes;
}

const char kHeader[] =
    "42 6f 6f 6b 69 65 4d 65 74 61 64 61 74 61 46 6f 72 6d 61 74 56 65 72 73 69 6f 6e 09 33 0a";
const char kSegment0[] =
    "32 2f 0a 0d 31 30 2e 30 2e 30 2e 31 3a 33 31 38 31 0a 0d 31 30 2e 30 2e 30 2e 32 3a 33 31 38 "
    "31 0a 0d 31 30 2e 30 2e 30 2e 33 3a 33 31 38 31 10 00";
const char kSegment57[] =
    "32 2f 0a 0d 31 30 2e 30 2e 30 2e 31 3a 33 31 38 31 0a 0d 31 30 2e 30 2e 30 2e 34 3a 33 31 38 "
    "31 0a 0d 31 30 2e 30 2e 30 2e 33 3a 33 31 38 31 10 39";

Ensemble Bookies(std::initializer_list<int> last_parts) {
  Ensemble ensemble;
  for (const int part : last_parts) ensemble.emplace_back(StrCat("10.0.0.", part, ":3181"));
  return ensemble;
}

LedgerMetadataFields FreshFields() {
  LedgerMetadataFields fields;
  fields.replication = {.ensemble_size = 3, .write_quorum_size = 2, .ack_quorum_size = 2};
  fields.fragments = {{EntryId(0), Bookies({1, 2, 3})}};
  fields.digest_type = DigestType::kCrc32c;
  fields.password = "pw";
  return fields;
}

LedgerMetadata Make(LedgerMetadataFields fields) {
  auto metadata = LedgerMetadata::Create(std::move(fields));
  EXPECT_TRUE(metadata.ok()) << metadata.status();
  return *std::move(metadata);
}

void ExpectSame(const std::string& bytes, const LedgerMetadata& metadata) {
  const auto parsed = ParseLedgerMetadata(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, metadata);
  const auto serialized = SerializeLedgerMetadata(metadata);
  ASSERT_TRUE(serialized.ok()) << serialized.status();
  EXPECT_EQ(*serialized, bytes);
}

std::string FreshBytes() {
  return FromHex(StrCat(kHeader, "56 08 02 10 03 18 00 20 ff ff ff ff ff ff ff ff ff 01 28 01",
                        kSegment0, "38 03 42 02 70 77 48 02 60 ef 9b af cd f8 ac d1 91 01"));
}

TEST(LedgerMetadataCodecTest, WorkedExampleA_FreshlyCreated) {
  LedgerMetadataFields fields = FreshFields();
  fields.creator_token = 0x0123456789ABCDEF;
  EXPECT_EQ(FreshBytes().size(), 117u);
  ExpectSame(FreshBytes(), Make(std::move(fields)));
}

TEST(LedgerMetadataCodecTest, WorkedExampleB_ClosedAfterOneEnsembleChange) {
  LedgerMetadataFields fields = FreshFields();
  fields.fragments.push_back({EntryId(57), Bookies({1, 4, 3})});
  fields.state = LedgerState::kClosed;
  fields.last_entry = EntryId(99);
  fields.length_bytes = 4096;
  fields.creation_time = absl::FromUnixMillis(1700000000000);
  fields.custom_metadata = {{"app", "stele"}};
  const std::string bytes =
      FromHex(StrCat(kHeader, "8c 01 08 02 10 03 18 80 20 20 63 28 03", kSegment0, kSegment57,
                     "38 03 42 02 70 77 48 02 50 80 d0 95 ff bc 31",
                     "5a 0c 0a 03 61 70 70 12 05 73 74 65 6c 65 60 00"));
  EXPECT_EQ(bytes.size(), 172u);
  ExpectSame(bytes, Make(std::move(fields)));
}

TEST(LedgerMetadataCodecTest, WorkedExampleOfVersion1) {
  const std::string bytes =
      "BookieMetadataFormatVersion\t1\n2\n3\n4096\n0\t10.0.0.1:3181\t10.0.0.2:3181\t10.0.0.3:3181\n"
      "57\t10.0.0.1:3181\t10.0.0.4:3181\t10.0.0.3:3181\n99\tCLOSED";
  EXPECT_EQ(bytes.size(), 137u);
  LedgerMetadataFields fields = FreshFields();
  fields.digest_type = DigestType::kCrc32;
  fields.password = std::nullopt;
  fields.fragments.push_back({EntryId(57), Bookies({1, 4, 3})});
  fields.state = LedgerState::kClosed;
  fields.last_entry = EntryId(99);
  fields.length_bytes = 4096;
  fields.format = MetadataFormat::kLines;
  ExpectSame(bytes, Make(std::move(fields)));
}

TEST(LedgerMetadataCodecTest, Version1WritesRecoveryAsMinus102AndOpenAsNothing) {
  LedgerMetadataFields fields = FreshFields();
  fields.digest_type = DigestType::kCrc32;
  fields.password = std::nullopt;
  fields.format = MetadataFormat::kLines;
  const std::string open =
      "BookieMetadataFormatVersion\t1\n2\n3\n0\n0\t10.0.0.1:3181\t10.0.0.2:3181\t10.0.0.3:3181\n";
  ExpectSame(open, Make(fields));
  fields.state = LedgerState::kInRecovery;
  ExpectSame(open + "-102\tCLOSED", Make(fields));
}

TEST(LedgerMetadataCodecTest, Version1RefusesWhatItWouldLose) {
  LedgerMetadataFields fields = FreshFields();
  fields.format = MetadataFormat::kLines;  // with a password
  EXPECT_EQ(CodeOf(SerializeLedgerMetadata(Make(fields)).status()), ErrorCode::kInvalidArgument);
  fields.password = std::nullopt;
  EXPECT_TRUE(SerializeLedgerMetadata(Make(fields)).ok());
  fields.replication.ack_quorum_size = 1;
  EXPECT_EQ(CodeOf(SerializeLedgerMetadata(Make(fields)).status()), ErrorCode::kInvalidArgument);
}

const char kText[] =
    "BookieMetadataFormatVersion\t2\n"
    "quorumSize: 2\n"
    "ensembleSize: 3\n"
    "length: 0\n"
    "lastEntryId: -1\n"
    "state: OPEN\n"
    "segment {\n"
    "  ensembleMember: \"10.0.0.1:3181\"\n"
    "  ensembleMember: \"10.0.0.2:3181\"\n"
    "  ensembleMember: \"10.0.0.3:3181\"\n"
    "  firstEntryId: 0\n"
    "}\n"
    "digestType: CRC32C\n"
    "password: \"pw\"\n"
    "ackQuorumSize: 2\n";

TEST(LedgerMetadataCodecTest, WorkedExampleOfVersion2) {
  LedgerMetadataFields fields = FreshFields();
  fields.format = MetadataFormat::kText;
  ExpectSame(kText, Make(fields));
}

TEST(LedgerMetadataCodecTest, Version2HasNoCreatorToken) {
  LedgerMetadataFields fields = FreshFields();
  fields.format = MetadataFormat::kText;
  fields.creator_token = 5;
  EXPECT_EQ(*SerializeLedgerMetadata(Make(fields)), kText);
}

TEST(LedgerMetadataCodecTest, Version2ReadsEveryEscapeCommentsAndOneLine) {
  const std::string one_line =
      "BookieMetadataFormatVersion\t2\n# a comment\n"
      "quorumSize: 2 ensembleSize: 3 length: 0 lastEntryId: -1 state: OPEN segment { "
      "ensembleMember: '10.0.0.1:3181' ensembleMember: \"10.0.0.2:3181\" ensembleMember: "
      "\"10.0.0.3:3181\" firstEntryId: 0 } digestType: CRC32C "
      "password: \"\\n\\r\\t\\\"\\'\\\\\\a\\b\\v\\f\\001\\377\" ackQuorumSize: 2";
  const auto parsed = ParseLedgerMetadata(one_line);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->password(), std::string("\n\r\t\"'\\\a\b\v\f\001\377"));
  // What is not printable is written in octal, apart from the common escapes.
  EXPECT_NE(
      SerializeLedgerMetadata(*parsed)->find(R"(password: "\n\r\t\"\'\\\007\010\013\014\001\377")"),
      std::string::npos);
}

TEST(LedgerMetadataCodecTest, AnEmptyPasswordIsPresentAndAMissingOneStaysMissing) {
  LedgerMetadataFields fields = FreshFields();
  fields.password = "";
  const std::string empty = *SerializeLedgerMetadata(Make(fields));
  EXPECT_NE(empty.find(FromHex("38 03 42 00 48 02")), std::string::npos);
  EXPECT_EQ(ParseLedgerMetadata(empty)->password(), "");

  std::string without = kText;
  without.erase(without.find("password: \"pw\"\n"), 15);
  const auto parsed = ParseLedgerMetadata(without);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->password(), std::nullopt);
  EXPECT_EQ(parsed->digest_type(), DigestType::kCrc32);
  EXPECT_EQ(*ParseLedgerMetadata(*SerializeLedgerMetadata(*parsed)), *parsed);
}

std::string Message(std::string_view hex) {
  const std::string body = FromHex(hex);
  EXPECT_LT(body.size(), 128u);
  return StrCat(FromHex(kHeader), std::string(1, static_cast<char>(body.size())), body);
}

ErrorCode CodeOfParse(std::string_view bytes) {
  return CodeOf(ParseLedgerMetadata(bytes).status());
}

TEST(LedgerMetadataCodecTest, AbsentOptionalFieldsHaveTheirDefaults) {
  const auto parsed =
      ParseLedgerMetadata(Message(StrCat("08 02 10 03 18 00 28 01", kSegment0, "42 01 78")));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->replication().ack_quorum_size, 2);
  EXPECT_EQ(parsed->digest_type(), DigestType::kCrc32);
  EXPECT_EQ(parsed->creator_token(), 0);
  EXPECT_EQ(parsed->creation_time(), std::nullopt);
}

TEST(LedgerMetadataCodecTest, LastEntryAndLengthMeanNothingUnlessClosed) {
  const auto parsed =
      ParseLedgerMetadata(Message(StrCat("08 02 10 03 18 80 20 20 63 28 02", kSegment0)));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->state(), LedgerState::kInRecovery);
  EXPECT_EQ(parsed->last_entry(), kNoEntry);
  EXPECT_EQ(parsed->length_bytes(), 0);
}

TEST(LedgerMetadataCodecTest, BytesBehindTheMessageAndUnknownBinaryFieldsAreIgnored) {
  const std::string bytes = FreshBytes();
  EXPECT_EQ(*ParseLedgerMetadata(bytes + "tail"), *ParseLedgerMetadata(bytes));
  // Field 20 holds 1.
  EXPECT_TRUE(
      ParseLedgerMetadata(Message(StrCat("08 02 10 03 18 00 28 01", kSegment0, "a0 01 01"))).ok());
}

// Row 38 of the bad-input table.
TEST(LedgerMetadataCodecTest, BadEnvelopesAreCorruptData) {
  EXPECT_EQ(CodeOfParse(""), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfParse("BookieMetadataFormatVersion"), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfParse("bookieMetadataFormatVersion\t3\n"), ErrorCode::kCorruptData);
  const std::string body = FreshBytes().substr(30);
  for (const char* version : {"0", "4", "999999", "-1", "+3", "3 ", "", "0x3", "1000000003"}) {
    EXPECT_EQ(CodeOfParse(StrCat("BookieMetadataFormatVersion\t", version, "\n", body)),
              ErrorCode::kCorruptData)
        << version;
  }
  EXPECT_EQ(CodeOfParse(StrCat("BookieMetadataFormatVersion\t000000003\n", body)), ErrorCode::kOk);
  EXPECT_EQ(CodeOfParse(StrCat("BookieMetadataFormatVersion\t0000000003\n", body)),
            ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfParse(std::string(2 * 1024 * 1024, 'x')), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfParse(FreshBytes() + std::string(2 * 1024 * 1024, '\0')),
            ErrorCode::kCorruptData);
}

TEST(LedgerMetadataCodecTest, EveryTruncationIsCorruptData) {
  const std::string bytes = FreshBytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(CodeOfParse(std::string_view(bytes).substr(0, size)), ErrorCode::kCorruptData)
        << size;
  }
}

TEST(LedgerMetadataCodecTest, BadMessagesAreCorruptData) {
  const std::string quorums = "08 02 10 03";
  const std::string open = "18 00 28 01";
  ASSERT_EQ(CodeOfParse(Message(StrCat(quorums, open, kSegment0))), ErrorCode::kOk);
  const std::string with_ack_3 = StrCat(quorums, open, kSegment0, "48 03");
  for (const std::string& hex : {
           StrCat("08 04 10 03", open, kSegment0),       // Qw > E
           with_ack_3,                                   // Qa > Qw
           StrCat("08 02 10 02", open, kSegment0),       // an ensemble too large
           StrCat("08 02 10 04", open, kSegment0),       // an ensemble too small
           StrCat(quorums, open),                        // no fragment
           StrCat(quorums, open, kSegment57),            // first key is not 0
           StrCat(quorums, open, kSegment0, kSegment0),  // keys do not increase
           StrCat(quorums, open, "32 00"),               // a segment without anything
           StrCat(quorums, "18 00 28 03", kSegment0),    // closed without last entry
           StrCat(quorums, "18 00 20 fe ff ff ff ff ff ff ff ff 01 28 03", kSegment0),  // last = -2
           StrCat(quorums, "18 00 28 07", kSegment0),        // unknown state
           StrCat(quorums, "18 00", kSegment0),              // no state
           StrCat(quorums, "28 01", kSegment0),              // no length
           StrCat(quorums, open, kSegment0, "38 05 42 00"),  // unknown digest type
           StrCat(quorums, open, kSegment0, "5a 03 0a 01 61 5a 03 0a 01 61"),  // a key twice
       }) {
    EXPECT_EQ(CodeOfParse(Message(hex)), ErrorCode::kCorruptData) << hex;
  }
}

TEST(LedgerMetadataCodecTest, BadTextIsCorruptDataAndItsErrorDoesNotQuoteIt) {
  const auto with = [](std::string_view extra) { return StrCat(kText, extra); };
  ASSERT_EQ(CodeOfParse(with("ctime: 5\n")), ErrorCode::kOk);
  for (const char* extra : {"unknownField: 1\n", "state: SEALED\n", "segment {\n", "\xff\n",
                            "password: \"another\"\n", "length: 99999999999999999999\n"}) {
    const absl::Status status = ParseLedgerMetadata(with(extra)).status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptData) << extra;
    EXPECT_EQ(ToStd(status.message()).find("another"), std::string_view::npos);
  }
}

TEST(LedgerMetadataCodecTest, BadLinesAreCorruptData) {
  const std::string version1 = "BookieMetadataFormatVersion\t1\n";
  ASSERT_EQ(CodeOfParse(version1 + "1\n1\n0\n0\ta:1\n"), ErrorCode::kOk);
  for (const char* body :
       {"", "1\n1\n0\n", "1\n1\n0\n0\n", "1\n1\n0\n0\ta:1\tb:1\n", "x\n1\n0\n0\ta:1\n",
        "1\n99999999999\n0\n0\ta:1\n", "1\n1\n0\n1\ta:1\n", "1\n1\n0\n0\ta:1\nx\tCLOSED",
        "1\n1\n0\n0\ta:1\n-2\tCLOSED", "1\n1\n0\n0\ta:1\n\n5\tCLOSED", "1\n1\n0\n0\tCLOSED"}) {
    EXPECT_EQ(CodeOfParse(version1 + body), ErrorCode::kCorruptData) << body;
  }
}

TEST(LedgerMetadataCodecTest, TooManyFragmentsAreRefused) {
  std::string body = "1\n1\n0\n";
  for (size_t i = 0; i <= kFragmentCountMax; ++i) body += StrCat(i, "\ta:1\n");
  EXPECT_EQ(CodeOfParse("BookieMetadataFormatVersion\t1\n" + body), ErrorCode::kCorruptData);
}

TEST(LedgerMetadataCodecTest, WhatIsTooLargeIsNotWritten) {
  LedgerMetadataFields fields = FreshFields();
  fields.custom_metadata["large"] = std::string(kLedgerMetadataSizeMaxBytes, 'x');
  EXPECT_EQ(CodeOf(SerializeLedgerMetadata(Make(fields)).status()), ErrorCode::kInvalidArgument);
}

TEST(LedgerMetadataCodecTest, TheCorpusOfTheFuzzerParsesOrIsRefused) {
  int parsed = 0;
  int refused = 0;
  for (const auto& file :
       std::filesystem::directory_iterator("metadata/testdata/ledger_metadata_codec_fuzz")) {
    std::stringstream bytes;
    bytes << std::ifstream(file.path(), std::ios::binary).rdbuf();
    const absl::Status status = ParseLedgerMetadata(bytes.str()).status();
    if (status.ok()) {
      ++parsed;
    } else {
      ++refused;
      EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptData);
    }
  }
  EXPECT_GT(parsed, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace stele::metadata
