#include <gtest/gtest.h>

#include "absl/status/statusor.h"
#include "common/base/buffer.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/stable_hash.h"
#include "common/base/time.h"
#include "common/base/try.h"

namespace stele {
namespace {

TEST(BufferTest, SlicesShareBytes) {
  const Buffer whole = Buffer::CopyOf("hello world");
  const Buffer world = whole.Slice(6);
  EXPECT_EQ(world.view(), "world");
  EXPECT_EQ(world.data(), whole.data() + 6);
  EXPECT_EQ(whole.Slice(0, 5).view(), "hello");
  EXPECT_TRUE(whole.Slice(11).empty());
}

TEST(BufferTest, SharedViewOutlivesTheOwner) {
  Buffer view;
  {
    MutableBuffer block(4096, 4096);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block.data()) % 4096, 0u);
    std::memcpy(block.data(), "abc", 3);
    view = block.Share(0, 3);
  }
  EXPECT_EQ(view.view(), "abc");
}

TEST(BufferTest, ABlockIsUnsharedWhenItsLastViewIsGone) {
  MutableBuffer block(16);
  EXPECT_TRUE(block.IsUnshared());
  Buffer view = block.Share(0, 8);
  Buffer slice = view.Slice(4);
  view = Buffer();
  EXPECT_FALSE(block.IsUnshared());
  slice = Buffer();
  EXPECT_TRUE(block.IsUnshared());
}

TEST(BufferTest, FreezeKeepsThePrefix) {
  MutableBuffer block(8);
  std::memcpy(block.data(), "12345678", 8);
  EXPECT_EQ(std::move(block).Freeze(4).view(), "1234");
  EXPECT_EQ(Buffer::FromString("moved").view(), "moved");
}

TEST(BufferDeathTest, SliceOutsideAborts) {
  const Buffer buffer = Buffer::CopyOf("abc");
  EXPECT_DEATH(buffer.Slice(2, 2), "CHECK failed");
}

TEST(ErrorsTest, CodeAndEffectTravelInTheStatus) {
  const absl::Status status =
      MakeError(ErrorCode::kLedgerFenced, Effect::kUnknown, "by a recovery");
  EXPECT_EQ(CodeOf(status), ErrorCode::kLedgerFenced);
  EXPECT_EQ(EffectOf(status), Effect::kUnknown);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  const absl::Status outer = WithContext(status, "ledger 7");
  EXPECT_EQ(outer.message(), "ledger 7: by a recovery");
  EXPECT_EQ(CodeOf(outer), ErrorCode::kLedgerFenced);
  EXPECT_EQ(EffectOf(outer), Effect::kUnknown);
}

TEST(ErrorsTest, ForeignStatusHasUnknownEffect) {
  EXPECT_EQ(CodeOf(absl::InternalError("x")), ErrorCode::kForeign);
  EXPECT_EQ(EffectOf(absl::InternalError("x")), Effect::kUnknown);
  EXPECT_EQ(CodeOf(absl::OkStatus()), ErrorCode::kOk);
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return MakeError(ErrorCode::kInvalidArgument, "odd");
  return value / 2;
}

absl::StatusOr<int> Quarter(int value) {
  STELE_TRY(const int half, Half(value));
  STELE_TRY(const int quarter, Half(half));
  return quarter;
}

TEST(TryTest, ReturnsTheFirstError) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_EQ(CodeOf(Quarter(6).status()), ErrorCode::kInvalidArgument);
}

TEST(EndianTest, RoundTripsAndIsBigEndian) {
  std::string bytes;
  AppendBigEndian<int64_t>(bytes, -2);
  AppendBigEndian<uint32_t>(bytes, 0x01020304);
  AppendBigEndian<uint16_t>(bytes, 0x0506);
  EXPECT_EQ(bytes, std::string("\xff\xff\xff\xff\xff\xff\xff\xfe\x01\x02\x03\x04\x05\x06", 14));
  EXPECT_EQ(LoadBigEndian<int64_t>(bytes.data()), -2);
  EXPECT_EQ(LoadBigEndian<uint32_t>(bytes.data() + 8), 0x01020304u);
}

// These values are stored on disk (shard slots): a change here loses data.
TEST(StableHashTest, ValuesAreFixed) {
  EXPECT_EQ(StableHash(uint64_t{0}), 0u);
  EXPECT_EQ(StableHash(uint64_t{1}), 0xb456bcfc34c2cb2cULL);
  EXPECT_EQ(StableHash(std::string_view("")), StableHash(uint64_t{0xcbf29ce484222325ULL}));
}

TEST(IdsTest, NextAndDistance) {
  EXPECT_EQ(kNoEntry.Next(), EntryId(0));
  EXPECT_EQ(Distance(EntryId(3), EntryId(3)), 1);
  EXPECT_EQ(Distance(EntryId(3), EntryId(2)), 0);
  EXPECT_FALSE(LedgerId().IsValid());
}

TEST(TimeTest, ArithmeticSaturatesAtInfinity) {
  const auto time = MonotonicTime::FromNanoseconds(5);
  EXPECT_EQ((time + absl::Nanoseconds(3)).nanoseconds(), 8);
  EXPECT_EQ(time + absl::InfiniteDuration(), MonotonicTime::Infinite());
  EXPECT_EQ((time + absl::Seconds(1)) - time, absl::Seconds(1));
}

}  // namespace
}  // namespace stele
