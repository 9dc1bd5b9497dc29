#include "common/real/frame_reader.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/status/statusor.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/stable_hash.h"

namespace stele::real {
namespace {

constexpr size_t kLimit = 5 * 1024 * 1024;

std::string Framed(std::string_view frame) {
  std::string bytes;
  AppendBigEndian<uint32_t>(bytes, static_cast<uint32_t>(frame.size()));
  bytes += frame;
  return bytes;
}

// Plays the socket: puts the next bytes where the reader asks for them.
struct Feed {
  ArrivalBlock block;
  FrameReader reader{kLimit};
  std::vector<std::string> frames;
  std::vector<Buffer> kept;  // views, when keep_views
  bool keep_views = false;

  // As one read of at most `bytes.size()`; gives how much was taken.
  absl::StatusOr<size_t> Read(std::string_view bytes) {
    iovec places[2];
    const int count = reader.Prepare(&block, places);
    size_t taken = 0;
    for (int i = 0; i < count; ++i) {
      const size_t part = std::min(places[i].iov_len, bytes.size() - taken);
      std::memcpy(places[i].iov_base, bytes.data() + taken, part);
      taken += part;
    }
    std::vector<Buffer> whole;
    const absl::Status status = reader.Take(&block, taken, &whole);
    for (const Buffer& frame : whole) {
      frames.push_back(frame.ToString());
      if (keep_views) kept.push_back(frame);
    }
    if (!status.ok()) return status;
    return taken;
  }
  // Reads of `step` bytes each.
  void ReadAll(std::string_view bytes, size_t step) {
    while (!bytes.empty()) {
      const absl::StatusOr<size_t> taken = Read(bytes.substr(0, step));
      ASSERT_TRUE(taken.ok()) << taken.status();
      ASSERT_GT(*taken, 0u);
      bytes.remove_prefix(*taken);
    }
  }
};

std::string Content(size_t size, size_t salt) {
  std::string content(size, '\0');
  for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>((i + salt) * 31);
  return content;
}

TEST(FrameReaderTest, FramesThatArriveByteByByte) {
  Feed feed;
  feed.ReadAll(Framed("a") + Framed("bcd") + Framed(Content(300, 1)), 1);
  EXPECT_EQ(feed.frames, (std::vector<std::string>{"a", "bcd", Content(300, 1)}));
  EXPECT_FALSE(feed.reader.IsInsideFrame());
  EXPECT_EQ(feed.reader.held_bytes(), 0u);
}

TEST(FrameReaderTest, AllFramesOfOneReadComeTogetherAndShareTheBlock) {
  Feed feed;
  feed.keep_views = true;
  feed.ReadAll(Framed("one") + Framed("two") + Framed("three") + std::string(1, 0), 4096);
  ASSERT_EQ(feed.kept.size(), 3u);
  EXPECT_EQ(feed.kept[1].data(), feed.kept[0].data() + 3 + 4);
  EXPECT_EQ(feed.kept[2].view(), "three");
  EXPECT_TRUE(feed.reader.IsInsideFrame());
}

TEST(FrameReaderTest, AnyCutOfTheStreamGivesTheSameFrames) {
  std::vector<std::string> expected;
  std::string stream;
  uint64_t random = 1;
  for (size_t i = 0; i < 150; ++i) {
    random = StableHash(random);
    // Mostly small ones, some larger than a step, one larger than the block.
    const size_t size = i == 77 ? 700'000 : 1 + random % (i % 10 == 0 ? 150'000 : 3'000);
    expected.push_back(Content(size, i));
    stream += Framed(expected.back());
  }
  for (const bool keep_views : {false, true}) {
    for (const size_t step : {997u, 4'096u, 65'540u, 1'000'000u}) {
      Feed feed;
      feed.keep_views = keep_views;
      feed.ReadAll(stream, step);
      ASSERT_TRUE(feed.frames == expected) << step;
      // What was handed out is never overwritten.
      for (size_t i = 0; i < feed.kept.size(); ++i) {
        ASSERT_TRUE(feed.kept[i].view() == expected[i]) << i;
      }
    }
  }
}

TEST(FrameReaderTest, MemoryFollowsWhatArrivedAndNotWhatWasAnnounced) {
  Feed feed;
  std::string prefix;
  AppendBigEndian<uint32_t>(prefix, kLimit - 4);
  feed.ReadAll(prefix, 4);
  EXPECT_TRUE(feed.reader.IsInsideFrame());
  EXPECT_EQ(feed.reader.held_bytes(), 0u);
  const std::string body = Content(kLimit - 4, 3);
  size_t arrived = 0;
  for (const size_t step : {size_t{1}, size_t{100}, size_t{70'000}, size_t{200'000}}) {
    for (int i = 0; i < 4; ++i) {
      feed.ReadAll(std::string_view(body).substr(arrived, step), step);
      arrived += step;
      EXPECT_LE(feed.reader.held_bytes(), arrived + FrameReader::kStepBytes);
    }
  }
  feed.ReadAll(std::string_view(body).substr(arrived), 1 << 20);
  ASSERT_EQ(feed.frames.size(), 1u);
  EXPECT_TRUE(feed.frames[0] == body);
}

TEST(FrameReaderTest, ImpossibleLengthsAreRefusedAtTheFourthByte) {
  for (const uint32_t length : {uint32_t{0}, uint32_t{kLimit - 3}, UINT32_MAX}) {
    Feed feed;
    std::string bytes = Framed("good");
    AppendBigEndian<uint32_t>(bytes, length);
    feed.ReadAll(bytes.substr(0, bytes.size() - 1), 100);
    const absl::StatusOr<size_t> refused = feed.Read(bytes.substr(bytes.size() - 1));
    EXPECT_EQ(CodeOf(refused.status()), ErrorCode::kCorruptData) << length;
    EXPECT_EQ(feed.frames, std::vector<std::string>{"good"});
    EXPECT_EQ(feed.reader.held_bytes(), 0u);
  }
}

TEST(FrameReaderTest, TheFramesBeforeADamagedOneAreKept) {
  Feed feed;
  const absl::StatusOr<size_t> refused = feed.Read(Framed("a") + Framed("b") + Framed(""));
  EXPECT_EQ(CodeOf(refused.status()), ErrorCode::kCorruptData);
  EXPECT_EQ(feed.frames, (std::vector<std::string>{"a", "b"}));
}

TEST(ArrivalBlockTest, TheSameMemoryServesReadsWhoseFramesAreGone) {
  ArrivalBlock block;
  block.Reserve();
  char* const first = block.tail();
  block.Use(1'000);
  block.Reserve();
  EXPECT_EQ(block.tail(), first);
  const Buffer view = block.Share(first, 10);
  block.Use(10);
  block.Reserve();
  EXPECT_EQ(block.tail(), first + 10);
}

}  // namespace
}  // namespace stele::real
