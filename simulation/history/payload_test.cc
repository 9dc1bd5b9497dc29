#include "simulation/history/payload.h"

#include <string>

#include <gtest/gtest.h>

namespace stele::history {
namespace {

constexpr PayloadId kId{.ledger = LedgerId(7), .entry = EntryId(3), .writer = 2, .attempt = 5};

TEST(PayloadTest, NamesItselfAtEveryLength) {
  for (const size_t length : {48, 49, 55, 56, 57, 511, 512, 4096, 70'001}) {
    const Buffer payload = MakePayload(kId, length);
    ASSERT_EQ(payload.size(), length);
    const PayloadTag tag = TagOf(payload.view());
    EXPECT_TRUE(tag.is_named) << length;
    EXPECT_EQ(tag.id, kId);
    EXPECT_EQ(tag, TagOf(kId, length));
  }
}

TEST(PayloadTest, ShortOnesAreToldApartByTheirCandidates) {
  PayloadId other = kId;
  other.attempt = 6;
  for (const size_t length : {0, 1, 24, 47}) {
    const Buffer payload = MakePayload(kId, length);
    EXPECT_FALSE(TagOf(payload.view()).is_named);
    EXPECT_EQ(TagOf(payload.view()), TagOf(kId, length));
    if (length >= 24) EXPECT_NE(TagOf(payload.view()), TagOf(other, length));
  }
}

TEST(PayloadTest, AnyFlippedBitUnnamesIt) {
  const Buffer payload = MakePayload(kId, 200);
  for (size_t bit = 0; bit < 200 * 8; ++bit) {
    std::string damaged = payload.ToString();
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(TagOf(damaged).is_named) << bit;
  }
  EXPECT_FALSE(TagOf(payload.view().substr(0, 199)).is_named);
}

TEST(PayloadTest, TagsAreTextAndBack) {
  for (const size_t length : {10, 100}) {
    const PayloadTag tag = TagOf(kId, length);
    PayloadTag parsed;
    ASSERT_TRUE(ParseTag(ToText(tag), &parsed)) << ToText(tag);
    EXPECT_EQ(parsed, tag);
  }
  PayloadTag tag;
  for (const char* bad : {"", "1/2/3/4", "1/2/3/4/5/6", "raw/xyz/1", "raw/1", "1/2/3/4/x", "//"}) {
    EXPECT_FALSE(ParseTag(bad, &tag)) << bad;
  }
}

}  // namespace
}  // namespace stele::history
