#include "common/real/send_queue.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "common/base/endian.h"
#include "common/base/stable_hash.h"

namespace stele::real {
namespace {

// Takes up to `size` bytes from the front, as a socket does.
std::string TakeFront(SendQueue* queue, size_t size, size_t places_max = 4) {
  iovec places[4];
  const size_t count = queue->Front(places, places_max);
  std::string bytes;
  for (size_t i = 0; i < count && bytes.size() < size; ++i) {
    EXPECT_GT(places[i].iov_len, 0u);
    bytes.append(static_cast<const char*>(places[i].iov_base),
                 std::min(places[i].iov_len, size - bytes.size()));
  }
  queue->Pop(bytes.size());
  return bytes;
}

TEST(SendQueueTest, AFrameIsItsLengthItsHeadAndItsBody) {
  SendBlockPool pool;
  SendQueue queue(&pool);
  queue.PushFrame("head", Buffer::CopyOf("body"));
  EXPECT_EQ(queue.size_bytes(), 12u);
  EXPECT_EQ(TakeFront(&queue, 100), std::string("\0\0\0\x08headbody", 12));
  EXPECT_TRUE(queue.empty());
}

TEST(SendQueueTest, ManySmallFramesAreOneRunOfBytes) {
  SendBlockPool pool;
  SendQueue queue(&pool);
  for (int i = 0; i < 50; ++i) queue.PushFrame("head", Buffer::CopyOf(std::string(1'000, 'x')));
  iovec places[4];
  EXPECT_EQ(queue.Front(places, 4), 1u);
  EXPECT_EQ(places[0].iov_len, queue.size_bytes());
}

TEST(SendQueueTest, ALargeBodyIsNotCopied) {
  SendBlockPool pool;
  SendQueue queue(&pool);
  const Buffer body = Buffer::FromString(std::string(SendQueue::kCopiedBodyMaxBytes + 1, 'x'));
  queue.PushFrame("before", Buffer());
  queue.PushFrame("head", body);
  queue.PushFrame("after", Buffer());
  iovec places[4];
  ASSERT_EQ(queue.Front(places, 4), 3u);
  EXPECT_EQ(places[1].iov_base, body.data());
}

TEST(SendQueueTest, AnySequenceOfFramesLeavesInOrder) {
  SendBlockPool pool;
  SendQueue queue(&pool);
  std::string expected;
  std::string sent;
  uint64_t random = 7;
  for (int round = 0; round < 3'000; ++round) {
    random = StableHash(random + 1);
    const std::string head(random % 40 == 0 ? 70'000 : random % 100, static_cast<char>(round));
    const std::string body(random / 128 % 16 == 0 ? 20'000 : random / 128 % 2'000,
                           static_cast<char>(round + 1));
    AppendBigEndian<uint32_t>(expected, static_cast<uint32_t>(head.size() + body.size()));
    expected += head + body;
    queue.PushFrame(head, Buffer::CopyOf(body));
    if (round % 3 == 0) sent += TakeFront(&queue, random / 4096 % 100'000, 1 + round % 4);
    ASSERT_EQ(sent.size() + queue.size_bytes(), expected.size());
  }
  while (!queue.empty()) sent += TakeFront(&queue, 1'000'000);
  EXPECT_TRUE(sent == expected);
}

TEST(SendQueueTest, AnEmptyQueueHoldsNoBlock) {
  SendBlockPool pool;
  SendQueue a(&pool);
  SendQueue b(&pool);
  a.PushFrame("x", Buffer());
  iovec first[1];
  a.Front(first, 1);
  TakeFront(&a, 100);
  b.PushFrame("y", Buffer());
  iovec second[1];
  b.Front(second, 1);
  EXPECT_EQ(first[0].iov_base, second[0].iov_base);
  b.Clear();
  EXPECT_TRUE(b.empty());
  EXPECT_EQ(b.Front(second, 1), 0u);
}

TEST(SendQueueTest, ABlockThatWasSentIsGivenBack) {
  SendBlockPool pool;
  SendQueue queue(&pool);
  const Buffer body = Buffer::FromString(std::string(8'000, 'x'));
  for (int i = 0; i < 50; ++i) queue.PushFrame("", body);  // eight to a block
  EXPECT_EQ(pool.size(), 0u);
  queue.Pop(8 * 8'004);
  EXPECT_EQ(pool.size(), 1u);
  queue.Pop(40 * 8'004);
  EXPECT_EQ(pool.size(), 6u);
  queue.Clear();
  EXPECT_EQ(pool.size(), 7u);
}

}  // namespace
}  // namespace stele::real
