#include "common/wire/entry_packet.h"

#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/wire/wire_test_bytes.h"

namespace stele::wire {
namespace {

constexpr EntryHeader kHello = {
    .ledger = LedgerId(1), .entry = EntryId(0), .last_add_confirmed = kNoEntry, .length_bytes = 11};

constexpr DigestType kAllTypes[] = {DigestType::kCrc32, DigestType::kMac, DigestType::kCrc32c,
                                    DigestType::kDummy};

TEST(EntryPacketTest, WorkedExample) {
  const Digester digester(DigestType::kCrc32c);
  EXPECT_EQ(ToHex(MakeEntryPacket(kHello, "hello world", digester).view()),
            Compact(kHelloPacketHex));
}

TEST(EntryPacketTest, HeadAndPayloadAreThePacket) {
  for (const DigestType type : kAllTypes) {
    const Digester digester(type, kTestPassword);
    const EntryHead head(kHello, "hello world", digester);
    EXPECT_EQ(head.size(), kEntryFieldsSize + DigestSize(type));
    EXPECT_EQ(std::string(head.view()) + "hello world",
              MakeEntryPacket(kHello, "hello world", digester).view());
  }
}

TEST(EntryPacketTest, WhatWasMadeVerifies) {
  for (const DigestType type : kAllTypes) {
    const Digester digester(type, kTestPassword);
    for (const std::string_view payload : {"", "x", "hello world"}) {
      const EntryHeader header = {.ledger = LedgerId(9),
                                  .entry = EntryId(4),
                                  .last_add_confirmed = EntryId(2),
                                  .length_bytes = 77};
      const Buffer packet = MakeEntryPacket(header, payload, digester);
      for (const EntryId asked : {EntryId(4), kNoEntry}) {
        const auto entry = VerifyEntry(packet, digester, LedgerId(9), asked);
        ASSERT_TRUE(entry.ok()) << entry.status();
        EXPECT_EQ(entry->header, header);
        EXPECT_EQ(entry->payload.view(), payload);
        EXPECT_EQ(entry->payload.data(), packet.data() + kEntryFieldsSize + DigestSize(type));
      }
    }
  }
}

TEST(EntryPacketTest, EveryFlippedBitIsAMismatch) {
  for (const DigestType type : {DigestType::kCrc32, DigestType::kMac, DigestType::kCrc32c}) {
    const Digester digester(type, kTestPassword);
    const std::string packet = MakeEntryPacket(kHello, "hello world", digester).ToString();
    for (size_t bit = 0; bit < packet.size() * 8; ++bit) {
      std::string damaged = packet;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      const auto entry =
          VerifyEntry(Buffer::CopyOf(damaged), digester, kHello.ledger, kHello.entry);
      EXPECT_EQ(CodeOf(entry.status()), ErrorCode::kDigestMismatch) << bit;
    }
  }
}

TEST(EntryPacketTest, EveryShorterPacketIsAMismatch) {
  const Digester digester(DigestType::kMac, kTestPassword);
  const Buffer packet = MakeEntryPacket(kHello, "hello world", digester);
  for (size_t size = 0; size < packet.size(); ++size) {
    const auto entry = VerifyEntry(packet.Slice(0, size), digester, kHello.ledger, kHello.entry);
    EXPECT_EQ(CodeOf(entry.status()), ErrorCode::kDigestMismatch) << size;
    EXPECT_FALSE(DigestMatches(packet.view().substr(0, size), digester)) << size;
  }
}

TEST(EntryPacketTest, AnotherLedgerOrEntryIsAMismatch) {
  const Digester digester(DigestType::kCrc32c);
  const Buffer packet = MakeEntryPacket(kHello, "hello world", digester);
  EXPECT_EQ(CodeOf(VerifyEntry(packet, digester, LedgerId(2), EntryId(0)).status()),
            ErrorCode::kDigestMismatch);
  EXPECT_EQ(CodeOf(VerifyEntry(packet, digester, LedgerId(1), EntryId(1)).status()),
            ErrorCode::kDigestMismatch);
  EXPECT_EQ(CodeOf(VerifyEntry(packet, digester, LedgerId(2), kNoEntry).status()),
            ErrorCode::kDigestMismatch);
}

// A password guards nothing but the MAC: that is how the formats are.
TEST(EntryPacketTest, AnotherPasswordIsAMismatchForMacOnly) {
  for (const DigestType type : kAllTypes) {
    const Buffer packet = MakeEntryPacket(kHello, "hello world", Digester(type, "one"));
    EXPECT_EQ(DigestMatches(packet.view(), Digester(type, "other")), type != DigestType::kMac);
  }
}

TEST(EntryPacketTest, TheTypeIsFoundByTrying) {
  const Digester crc32(DigestType::kCrc32);
  const Digester crc32c(DigestType::kCrc32c);
  const Buffer packet = MakeEntryPacket(kHello, "hello world", crc32);
  EXPECT_TRUE(DigestMatches(packet.view(), crc32));
  EXPECT_FALSE(DigestMatches(packet.view(), crc32c));
}

TEST(EntryPacketTest, FieldsOfAShortPacket) {
  const std::string packet = FromHex(kHelloPacketHex);
  EXPECT_EQ(*ParseEntryHeader(packet), kHello);
  EXPECT_TRUE(ParseEntryHeader(std::string_view(packet).substr(0, 32)).ok());
  EXPECT_EQ(CodeOf(ParseEntryHeader(std::string_view(packet).substr(0, 31)).status()),
            ErrorCode::kCorruptData);
  EXPECT_EQ(ParseEntryIds(std::string_view(packet).substr(0, 24))->ledger, LedgerId(1));
  EXPECT_EQ(CodeOf(ParseEntryIds(std::string_view(packet).substr(0, 23)).status()),
            ErrorCode::kCorruptData);
}

TEST(ExplicitLacTest, WorkedExamples) {
  const std::string fields = Compact("0000000000000001 0000000000000005");
  const auto make = [](DigestType type) {
    return ToHex(
        MakeExplicitLacPacket(LedgerId(1), EntryId(5), Digester(type, kTestPassword)).view());
  };
  EXPECT_EQ(make(DigestType::kCrc32), fields + "000000008baaab99");
  EXPECT_EQ(make(DigestType::kCrc32c), fields + "83bf58be");
  EXPECT_EQ(make(DigestType::kMac), fields + "603ed94765812f87b17a42ce2ce2b208afe3e7c4");
  EXPECT_EQ(make(DigestType::kDummy), fields);
}

TEST(ExplicitLacTest, VerifiesSizeDigestAndLedger) {
  for (const DigestType type : kAllTypes) {
    const Digester digester(type, kTestPassword);
    const Buffer packet = MakeExplicitLacPacket(LedgerId(1), EntryId(5), digester);
    EXPECT_EQ(*VerifyExplicitLac(packet.view(), digester, LedgerId(1)), EntryId(5));
    EXPECT_EQ(ParseExplicitLac(packet.view())->lac, EntryId(5));
    EXPECT_EQ(CodeOf(VerifyExplicitLac(packet.view(), digester, LedgerId(2)).status()),
              ErrorCode::kDigestMismatch);
    for (size_t size = 0; size < packet.size(); ++size) {
      EXPECT_EQ(
          CodeOf(VerifyExplicitLac(packet.view().substr(0, size), digester, LedgerId(1)).status()),
          ErrorCode::kDigestMismatch);
    }
    if (type == DigestType::kDummy) continue;
    std::string damaged = packet.ToString();
    damaged[15] ^= 1;
    EXPECT_EQ(CodeOf(VerifyExplicitLac(damaged, digester, LedgerId(1)).status()),
              ErrorCode::kDigestMismatch);
  }
}

TEST(ExplicitLacTest, OnlyTheSizesOfDigestTypesParse) {
  const std::string packet(64, '\0');
  for (size_t size = 0; size <= packet.size(); ++size) {
    const bool expected = size == 16 || size == 20 || size == 24 || size == 36;
    EXPECT_EQ(ParseExplicitLac(std::string_view(packet).substr(0, size)).ok(), expected) << size;
  }
}

}  // namespace
}  // namespace stele::wire
