#include "common/wire/digest.h"

#include <string>

#include <gtest/gtest.h>
#include <zlib.h>

#include "common/wire/wire_test_bytes.h"

namespace stele::wire {
namespace {

std::string Hex(const std::array<char, 20>& key) { return ToHex({key.data(), key.size()}); }

TEST(DigestTest, KeysOfKnownPasswords) {
  EXPECT_EQ(Hex(MakeMasterKey("")), "850bf1071c5e3d8c24235676f8816ae0cbe2f14f");
  EXPECT_EQ(Hex(MakeMacKey("")), "347ead6348e936507920c15d2ae8266ac6ce9b49");
  EXPECT_EQ(Hex(MakeMasterKey("testPasswd")), "2e2a69d870796fe05c0e77c52a29ce5e4222b758");
  EXPECT_EQ(Hex(MakeMacKey("testPasswd")), "1bc765c5e5e8cb34bb1bc45884394f3a2b8f8311");
  EXPECT_EQ(Hex(MakeMasterKey("password")), "776734ff34b8278465ec6051092ee57a434bb849");
  EXPECT_EQ(Hex(MakeMacKey("password")), "d976f34efbf3c679a117416021db66013dcccf1c");
}

TEST(DigestTest, Crc32OfTheCheckString) {
  EXPECT_EQ(ExtendCrc32(0, "123456789"), 0xcbf43926u);
  EXPECT_EQ(ExtendCrc32(ExtendCrc32(0, "123"), "456789"), 0xcbf43926u);
  EXPECT_EQ(ExtendCrc32(0, ""), 0u);
}

// ISA-L picks another routine by size and machine; zlib has one.
TEST(DigestTest, Crc32IsZlibsForEverySize) {
  std::string text;
  for (int size = 0; size < 700; ++size) {
    EXPECT_EQ(ExtendCrc32(0, text),
              crc32(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
    text += static_cast<char>(size * 31 + 7);
  }
}

struct Example {
  const char* fields;
  const char* payload;
  const char* crc32;
  const char* crc32c;
  const char* mac;
  const char* mac_of_empty_password;
};
constexpr Example kExamples[] = {
    {"0000000000000001 0000000000000000 ffffffffffffffff 000000000000000b",
     "68656c6c6f20776f726c64", "00000000127c0d34", "bd424207",
     "12568fc56c47faa561f5e46e4777e39acff604ab", "8b624eec8de158f8adbc7fb8c420b118fb101425"},
    {"00000000075bcd15 000000000000002a 0000000000000029 0000000000001000",
     "000102030405060708090a0b0c0d0e0f", "00000000bbff9c6f", "cfa19470",
     "c01b7c6b645c5e6ed98f1351bb7873a33c5bea4d", "151a7475db28c149107fcfb2f18022be46c9954f"},
    {"0000000000000007 0000000000000003 0000000000000002 0000000000000000", "", "00000000aa36da07",
     "4da3faf9", "746fb06efcd213fc6d97d91d24c1385684312e91",
     "ddfc68bf6e19c371ff7bfe5a71d2343c9ef69bfe"},
};

std::string ComputeHex(const Digester& digester, const Example& example) {
  std::string digest(digester.digest_size(), '\0');
  digester.Compute(FromHex(example.fields), FromHex(example.payload), digest.data());
  return ToHex(digest);
}

TEST(DigestTest, KnownAnswers) {
  const Digester crc32(DigestType::kCrc32);
  const Digester crc32c(DigestType::kCrc32c);
  const Digester mac(DigestType::kMac, "testPasswd");
  const Digester mac_of_empty_password(DigestType::kMac, "");
  const Digester dummy(DigestType::kDummy, "testPasswd");
  // Twice: a digester is used again and again.
  for (int round = 0; round < 2; ++round) {
    for (const Example& example : kExamples) {
      EXPECT_EQ(ComputeHex(crc32, example), example.crc32);
      EXPECT_EQ(ComputeHex(crc32c, example), example.crc32c);
      EXPECT_EQ(ComputeHex(mac, example), example.mac);
      EXPECT_EQ(ComputeHex(mac_of_empty_password, example), example.mac_of_empty_password);
      EXPECT_EQ(ComputeHex(dummy, example), "");
    }
  }
}

TEST(DigestTest, MatchesOnlyTheSameBytes) {
  for (const DigestType type : {DigestType::kCrc32, DigestType::kMac, DigestType::kCrc32c}) {
    const Digester digester(type, "secret");
    const std::string head = "thirty-two bytes of entry fields";
    std::string payload = "payload";
    std::string digest(digester.digest_size(), '\0');
    digester.Compute(head, payload, digest.data());
    EXPECT_TRUE(digester.Matches(head, digest, payload));
    payload[3] ^= 1;
    EXPECT_FALSE(digester.Matches(head, digest, payload));
    payload[3] ^= 1;
    EXPECT_FALSE(digester.Matches(head, digest.substr(0, digest.size() - 1), payload));
    digest.back() = static_cast<char>(digest.back() ^ 1);
    EXPECT_FALSE(digester.Matches(head, digest, payload));
  }
}

// A digest of CRC32 is 8 bytes, of which the first four count, too.
TEST(DigestTest, Crc32HasFourZeroBytes) {
  const Digester digester(DigestType::kCrc32);
  EXPECT_EQ(digester.digest_size(), 8u);
  std::string digest(8, '\0');
  digester.Compute("head", "payload", digest.data());
  digest[0] = 1;
  EXPECT_FALSE(digester.Matches("head", digest, "payload"));
}

TEST(DigestTest, MovedDigesterKeepsItsKey) {
  Digester first(DigestType::kMac, "testPasswd");
  const Digester second = std::move(first);
  EXPECT_EQ(ComputeHex(second, kExamples[0]), kExamples[0].mac);
}

}  // namespace
}  // namespace stele::wire
