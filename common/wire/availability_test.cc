#include "common/wire/availability.h"

#include <limits>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/wire/wire_test_bytes.h"

namespace stele::wire {
namespace {

constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

Buffer BlobOf(const std::set<int64_t>& entries) {
  AvailabilityBuilder builder;
  for (const int64_t entry : entries) builder.Add(EntryId(entry));
  return std::move(builder).Finish();
}

// The blob of `groups` groups, given in hexadecimal.
std::string Blob(int groups, std::string_view hex) {
  std::string blob;
  AppendBigEndian(blob, int32_t{0});
  AppendBigEndian(blob, groups);
  blob.append(56, '\0');
  return blob + FromHex(hex);
}

absl::StatusOr<Availability> ParseGroup(std::string_view hex) {
  return Availability::Parse(Buffer::CopyOf(Blob(1, hex)));
}

std::set<int64_t> EntriesOf(const Buffer& blob) {
  const auto availability = Availability::Parse(blob);
  EXPECT_TRUE(availability.ok()) << availability.status();
  std::set<int64_t> entries;
  if (!availability.ok()) return entries;
  for (EntryId entry = availability->FirstAtOrAfter(EntryId(0)); !entry.IsNone();
       entry = availability->FirstAtOrAfter(entry.Next())) {
    entries.insert(entry.value());
  }
  return entries;
}

TEST(AvailabilityTest, WorkedExamples) {
  EXPECT_EQ(BlobOf({}).ToString(), Blob(0, ""));
  EXPECT_EQ(BlobOf({0}).ToString(), Blob(1, "0000000000000000 0000000000000000 00000001 00000000"));
  EXPECT_EQ(BlobOf({0, 1, 2, 5, 6, 7}).ToString(),
            Blob(2,
                 "0000000000000000 0000000000000000 00000003 00000000"
                 "0000000000000005 0000000000000005 00000003 00000000"));
  EXPECT_EQ(BlobOf({0, 2}).ToString(), Blob(2,
                                            "0000000000000000 0000000000000000 00000001 00000000"
                                            "0000000000000002 0000000000000002 00000001 00000000"));
}

TEST(AvailabilityTest, PeriodsAreReadAndWritten) {
  const std::set<int64_t> striped = {0, 1, 3, 4, 6, 7, 9, 10};
  const std::string blob = Blob(1, "0000000000000000 0000000000000009 00000002 00000003");
  EXPECT_EQ(EntriesOf(Buffer::CopyOf(blob)), striped);
  EXPECT_EQ(BlobOf(striped).ToString(), blob);
  const auto availability = Availability::Parse(Buffer::CopyOf(blob));
  for (int64_t entry = -3; entry < 20; ++entry) {
    EXPECT_EQ(availability->Contains(EntryId(entry)), striped.contains(entry)) << entry;
  }
}

TEST(AvailabilityTest, StripedLedgerOfAnySizeIsOneGroup) {
  AvailabilityBuilder builder;
  for (int64_t entry = 0; entry < 30000; entry += 3) {
    builder.AddRun(EntryId(entry), EntryId(entry + 1));
  }
  EXPECT_EQ(std::move(builder).Finish().size(), 64u + 24u);
}

TEST(AvailabilityTest, RandomSetsComeBack) {
  TestRandom random(7);
  for (int round = 0; round < 300; ++round) {
    std::set<int64_t> entries;
    int64_t entry = 0;
    const int runs = static_cast<int>(random.Below(12));
    for (int run = 0; run < runs; ++run) {
      entry += static_cast<int64_t>(random.Below(3)) + 1;
      for (auto left = random.Below(3) + 1; left > 0; --left) entries.insert(entry++);
    }
    const Buffer blob = BlobOf(entries);
    EXPECT_EQ(EntriesOf(blob), entries);
    const auto availability = Availability::Parse(blob);
    for (int64_t e = 0; e < entry + 3; ++e) {
      EXPECT_EQ(availability->Contains(EntryId(e)), entries.contains(e));
    }
  }
}

TEST(AvailabilityTest, GiantRunsAndTheLastEntryId) {
  AvailabilityBuilder builder;
  builder.AddRun(EntryId(0), EntryId(int64_t{1} << 33));
  builder.Add(EntryId(kInt64Max));
  const auto availability = Availability::Parse(std::move(builder).Finish());
  ASSERT_TRUE(availability.ok()) << availability.status();
  EXPECT_TRUE(availability->Contains(EntryId(int64_t{1} << 32)));
  EXPECT_TRUE(availability->Contains(EntryId(int64_t{1} << 33)));
  EXPECT_FALSE(availability->Contains(EntryId((int64_t{1} << 33) + 1)));
  EXPECT_TRUE(availability->Contains(EntryId(kInt64Max)));
  EXPECT_EQ(availability->FirstAtOrAfter(EntryId((int64_t{1} << 33) + 1)), EntryId(kInt64Max));
}

TEST(AvailabilityTest, LyingBlobsAreRefused) {
  const auto code = [](const absl::StatusOr<Availability>& result) {
    return CodeOf(result.status());
  };
  constexpr auto kCorrupt = ErrorCode::kCorruptData;
  EXPECT_EQ(code(Availability::Parse(Buffer())), kCorrupt);
  EXPECT_EQ(code(Availability::Parse(Buffer::CopyOf(std::string(63, '\0')))), kCorrupt);
  EXPECT_EQ(code(Availability::Parse(Buffer::CopyOf(Blob(1, "")))), kCorrupt) << "group missing";
  EXPECT_EQ(code(Availability::Parse(Buffer::CopyOf(Blob(-1, "")))), kCorrupt);
  EXPECT_EQ(code(Availability::Parse(Buffer::CopyOf(Blob(0x7fffffff, "")))), kCorrupt);
  std::string newer = Blob(0, "");
  newer[3] = 1;
  EXPECT_EQ(code(Availability::Parse(Buffer::CopyOf(newer))), kCorrupt) << "version 1";

  const std::string_view groups[] = {
      "ffffffffffffffff 0000000000000000 00000001 00000001",  // negative start
      "0000000000000005 0000000000000004 00000001 00000001",  // ends before it starts
      "0000000000000000 0000000000000000 00000000 00000000",  // empty
      "0000000000000000 0000000000000000 ffffffff 00000000",  // negative size
      "0000000000000000 0000000000000004 00000001 00000000",  // several runs without a period
      "0000000000000000 0000000000000004 00000003 00000002",  // runs overlap
      "0000000000000000 0000000000000004 00000001 00000003",  // the last run is off the grid
      "0000000000000000 0000000000000004 00000001 fffffffe",  // negative period
      "7fffffffffffffff 7fffffffffffffff 00000002 00000000",  // beyond the last entry id
  };
  for (const std::string_view group : groups) EXPECT_EQ(code(ParseGroup(group)), kCorrupt) << group;

  const Buffer descending =
      Buffer::CopyOf(Blob(2,
                          "0000000000000005 0000000000000005 00000003 00000000"
                          "0000000000000007 0000000000000007 00000001 00000000"));
  EXPECT_EQ(code(Availability::Parse(descending)), kCorrupt);
}

TEST(AvailabilityTest, HugeClaimCostsNothing) {
  const auto availability = ParseGroup("0000000000000000 3fffffffffffffff 00000001 00000001");
  ASSERT_TRUE(availability.ok());
  EXPECT_TRUE(availability->Contains(EntryId(int64_t{1} << 40)));
  EXPECT_EQ(availability->FirstAtOrAfter(EntryId(int64_t{1} << 62)), kNoEntry);
}

TEST(AvailabilityTest, OneRunWithAPeriodIsOneRun) {
  const auto availability = ParseGroup("0000000000000004 0000000000000004 00000002 00000001");
  ASSERT_TRUE(availability.ok());
  EXPECT_EQ(availability->FirstAtOrAfter(EntryId(5)), EntryId(5));
  EXPECT_EQ(availability->FirstAtOrAfter(EntryId(6)), kNoEntry);
}

}  // namespace
}  // namespace stele::wire
