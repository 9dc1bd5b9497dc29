#include "bookie/storage/entry_log_scanner.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/endian.h"

namespace stele::bookie {
namespace {

constexpr uint32_t kSizeMax = 5 * 1024 * 1024 + 64;

using Ids = std::vector<std::pair<int64_t, int64_t>>;

std::string Record(int64_t ledger, int64_t entry, size_t payload, char fill = 'x') {
  std::string bytes;
  AppendBigEndian(bytes, static_cast<int32_t>(32 + payload));
  AppendBigEndian(bytes, ledger);
  AppendBigEndian(bytes, entry);
  AppendBigEndian(bytes, int64_t{-1});
  AppendBigEndian(bytes, static_cast<int64_t>(payload));
  bytes.append(payload, fill);
  return bytes;
}

struct Scan {
  Ids ids;
  ScanSummary summary;
  int steps = 0;
};

// Reads `file` in windows of `window` bytes. Candidates are accepted when `live` has their offset.
Scan ScanAll(const std::string& file, const std::set<uint64_t>& live = {},
             size_t window = 1 << 20) {
  EntryLogScanner scanner(file.size(), kSizeMax);
  Scan result;
  std::string_view bytes;
  uint64_t offset = 0;
  for (;;) {
    ++result.steps;
    switch (scanner.Next(offset, bytes)) {
      case EntryLogScanner::Step::kNeedBytes:
        offset = scanner.position();
        bytes = std::string_view(file).substr(offset, window);
        break;
      case EntryLogScanner::Step::kCandidate:
        if (!live.contains(scanner.record().offset)) break;
        scanner.Accept();
        [[fallthrough]];
      case EntryLogScanner::Step::kRecord:
        result.ids.emplace_back(scanner.record().ledger.value(), scanner.record().entry.value());
        break;
      case EntryLogScanner::Step::kEnd: result.summary = scanner.summary(); return result;
    }
  }
}

// As ScanAll, and the same with the smallest and an odd window.
Scan ScanInWindows(const std::string& file, const std::set<uint64_t>& live = {}) {
  Scan result = ScanAll(file, live);
  for (const size_t window : {size_t{20}, size_t{77}}) {
    const Scan again = ScanAll(file, live, window);
    EXPECT_EQ(again.ids, result.ids) << window;
    EXPECT_EQ(again.summary.damages, result.summary.damages) << window;
    EXPECT_EQ(again.summary.torn_tail_bytes, result.summary.torn_tail_bytes) << window;
  }
  return result;
}

TEST(EntryLogScannerTest, RecordsMapAndDummyRecord) {
  std::string file = MakeEntryLogStart({});
  file += Record(7, 0, 10) + Record(8, 3, 0) + Record(7, 1, 5000);
  file += MakeLedgersMap(std::vector<LedgerBytes>{{LedgerId(7), 1}, {LedgerId(8), 2}});
  const Scan scan = ScanInWindows(file);
  EXPECT_EQ(scan.ids, (Ids{{7, 0}, {8, 3}, {7, 1}}));
  EXPECT_EQ(scan.summary.records, 3);
  EXPECT_EQ(scan.summary.damages, 0);
}

TEST(EntryLogScannerTest, JavasHeaderIsFollowedByRecordsAtOnce) {
  const std::string file = MakeEntryLogStart({}).substr(0, 1024) + Record(7, 0, 10);
  EXPECT_EQ(ScanInWindows(file).ids, (Ids{{7, 0}}));
}

TEST(EntryLogScannerTest, AZeroedHeaderMattersNot) {
  const std::string file = std::string(1024, '\0') + Record(7, 0, 10);
  EXPECT_EQ(ScanInWindows(file).ids, (Ids{{7, 0}}));
}

TEST(EntryLogScannerTest, FilesShorterThanTheHeaderHaveNoRecords) {
  for (const size_t size : {0, 1, 20, 1023, 1024}) {
    const Scan scan = ScanInWindows(std::string(size, 'B'));
    EXPECT_TRUE(scan.ids.empty());
    EXPECT_EQ(scan.summary.damages, 0);
  }
}

TEST(EntryLogScannerTest, F34ZeroTailIsSkippedInFewSteps) {
  std::string file = MakeEntryLogStart({}) + Record(7, 0, 10);
  file.resize(64 << 20, '\0');
  const Scan scan = ScanAll(file);
  EXPECT_EQ(scan.ids, (Ids{{7, 0}}));
  EXPECT_EQ(scan.summary.damages, 0);
  EXPECT_EQ(scan.summary.torn_tail_bytes, 0u);
  EXPECT_LT(scan.steps, 100);
}

TEST(EntryLogScannerTest, F34PaddingEndsAtABlock) {
  for (const char padding : {'\xf0', '\0'}) {
    std::string file = MakeEntryLogStart({}) + Record(7, 0, 10);
    file.resize(8192, padding);
    file += Record(7, 1, 10);
    file.resize(16384, padding);
    const Scan scan = ScanInWindows(file);
    EXPECT_EQ(scan.ids, (Ids{{7, 0}, {7, 1}}));
    EXPECT_EQ(scan.summary.damages, 0);
  }
}

TEST(EntryLogScannerTest, F34TornLastRecord) {
  const std::string whole = MakeEntryLogStart({}) + Record(7, 0, 10) + Record(7, 1, 300);
  const size_t second = whole.size() - Record(7, 1, 300).size();
  for (size_t size = second; size < whole.size(); ++size) {
    const Scan scan = ScanInWindows(whole.substr(0, size));
    EXPECT_EQ(scan.ids, (Ids{{7, 0}})) << size;
    EXPECT_EQ(scan.summary.damages, 0) << size;
    // Leading zeroes of the size field look like a zero tail.
    EXPECT_EQ(scan.summary.torn_tail_bytes, size - second <= 2 ? 0 : size - second) << size;
  }
}

struct Log {
  std::string file = MakeEntryLogStart({});
  std::set<uint64_t> live;
  Ids ids;
  void Add(int64_t ledger, int64_t entry, size_t payload) {
    live.insert(file.size());
    ids.emplace_back(ledger, entry);
    file += Record(ledger, entry, payload, static_cast<char>('a' + entry % 26));
  }
};

TEST(EntryLogScannerTest, F33AGapOfZeroesIsDamageAndTheSearchFindsWhatTheIndexKnows) {
  Log log;
  for (int64_t entry = 0; entry < 30; ++entry) log.Add(7, entry, 500);
  std::fill(log.file.begin() + 6000, log.file.begin() + 6700, '\0');
  const Scan scan = ScanInWindows(log.file, log.live);
  EXPECT_EQ(scan.summary.damages, 1);
  // The records that the hole touches: the first keeps its head.
  Ids expected = log.ids;
  std::erase_if(expected, [&](const auto& id) {
    const uint64_t at = 4096 + 536 * static_cast<uint64_t>(id.second);
    return at >= 6000 && at < 6700;
  });
  EXPECT_EQ(scan.ids, expected);
}

TEST(EntryLogScannerTest, ADamagedSizeDoesNotSwallowTheRecordsBehindIt) {
  for (const int32_t size : {0x11, 535, 540, 4 * 536 - 4 + 7, 100'000, 5'000'000, INT32_MAX, -7}) {
    Log log;
    for (int64_t entry = 0; entry < 12; ++entry) log.Add(7, entry, 500);
    StoreBigEndian(log.file.data() + 4096 + 3 * 536, size);
    const Scan scan = ScanInWindows(log.file, log.live);
    EXPECT_GE(scan.summary.damages, 1) << size;
    for (int64_t entry = 0; entry < 12; ++entry) {
      if (entry == 3) continue;
      EXPECT_EQ(std::count(scan.ids.begin(), scan.ids.end(), std::pair<int64_t, int64_t>(7, entry)),
                1)
          << size << " " << entry;
    }
  }
}

TEST(EntryLogScannerTest, ForeignIdsAreDamage) {
  for (const auto& [ledger, entry] : Ids{{-2, 0}, {7, -1}, {-1, -1}, {-1, -3}, {INT64_MIN, 5}}) {
    const std::string file = MakeEntryLogStart({}) + Record(ledger, entry, 100) + Record(7, 9, 1);
    const Scan scan = ScanInWindows(file, {4096 + 136});
    EXPECT_EQ(scan.ids, (Ids{{7, 9}}));
    EXPECT_EQ(scan.summary.damages, 1);
  }
}

TEST(EntryLogScannerTest, DamageThatNothingFollowsIsReported) {
  std::string file = MakeEntryLogStart({}) + Record(7, 0, 10) + std::string(100, '\x7f');
  const Scan scan = ScanInWindows(file);
  EXPECT_EQ(scan.ids, (Ids{{7, 0}}));
  EXPECT_EQ(scan.summary.damages, 1);
}

TEST(EntryLogScannerTest, PayloadThatLooksLikeARecordIsNotTakenForOneWithoutTheIndex) {
  std::string inner = Record(99, 1, 10);
  std::string file = MakeEntryLogStart({});
  std::string outer = Record(7, 0, inner.size());
  outer.replace(outer.size() - inner.size(), inner.size(), inner);
  file += outer + std::string(50, '\x7f');
  const Scan scan = ScanInWindows(file);
  EXPECT_EQ(scan.ids, (Ids{{7, 0}}));
  EXPECT_EQ(scan.summary.damages, 1);
}

}  // namespace
}  // namespace stele::bookie
