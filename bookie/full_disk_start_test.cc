// The start of a bookie whose disk is really full, with acknowledged entries in the journal alone.
// F18 names the scenario.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};
constexpr int64_t kEntries = 20;

Task<void> CollectTask(Bookie* bookie, absl::Status* status) {
  *status = co_await bookie->CollectGarbage(CompactionKind::kMajor);
}

// Ledger directories without a free byte, on a disk of their own.
class FullLedgerDisk final : public simulation::FileFaults {
 public:
  absl::Status BeforeOperation(const simulation::FileRequest& request) override {
    const bool takes_space = request.operation == FileOperation::kWrite &&
                             request.path.find("/data/ledgers/") != std::string::npos;
    return takes_space ? MakeError(ErrorCode::kDiskFull, "no space") : absl::OkStatus();
  }
};

class FullDiskStartTest : public testing::Test {
 protected:
  static BookieOptions Options() {
    BookieOptions options = BookieWorld::DefaultOptions();
    options.flush_interval = absl::Hours(1);
    options.compaction.reserve_bytes = 16 << 20;
    return options;
  }
  void Start() {
    const absl::Status started = world_.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  void Add(int64_t first, int64_t count, size_t size) {
    for (int64_t entry = first; entry < first + count; ++entry) {
      ASSERT_EQ(world_.CodeOfCall(kRequests.Add(entry, std::string(size, 'x'))), ReplyCode::kOk);
    }
  }
  void ExpectEntries(int64_t count) {
    for (int64_t entry = 0; entry < count; ++entry) {
      EXPECT_EQ(world_.CodeOfCall(kRequests.Read(entry)), ReplyCode::kOk) << entry;
    }
  }

  BookieWorld world_{1, Options()};
};

TEST_F(FullDiskStartTest, F18TheReserveLetsItStartReadOnly) {
  Start();
  absl::Status collected = absl::UnknownError("did not end");
  world_.Run(CollectTask(world_.bookie(), &collected));  // makes the reserve
  ASSERT_TRUE(collected.ok()) << collected;
  // More than the memory of the next start takes at once.
  Add(0, kEntries, 10'000);
  simulation::SimDisk& disk = world_.machine()->disk();
  disk.set_size_bytes(disk.used_bytes());
  world_.PowerCut();
  world_.options().memtable_max_bytes = 64 << 10;
  // The reserve is all of this small disk.
  world_.options().disk_rules.full_above_ppm = 10'000;
  world_.options().disk_rules.recovered_below_ppm = 10'000;
  Start();
  ExpectEntries(kEntries);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(kEntries, "x")), ReplyCode::kReadOnly);
  disk.set_size_bytes(1ull << 36);
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(3)).ok());
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(kEntries, "x")), ReplyCode::kOk);
}

TEST_F(FullDiskStartTest, F18WithoutAReserveItServesFromMemoryAndKeepsTheJournal) {
  Start();
  Add(0, kEntries, 1'000);
  world_.PowerCut();
  FullLedgerDisk full;
  world_.machine()->disk().set_faults(&full);
  for (int start = 0; start < 2; ++start) {
    Start();
    ExpectEntries(kEntries);
    world_.Kill();
  }
  world_.machine()->disk().set_faults(nullptr);
  Start();
  EXPECT_EQ(world_.bookie()->Status().recovered.records, kEntries + 1) << "entries and a key";
  ExpectEntries(kEntries);
  ASSERT_TRUE(world_.Stop().ok());
  Start();
  EXPECT_EQ(world_.bookie()->Status().recovered.records, 0);
  ExpectEntries(kEntries);
}

// Beside the starts: adds wait for room that a failed flush owes them.
TEST_F(FullDiskStartTest, AFailedFlushIsTriedAgainSoonHoweverLongTheInterval) {
  world_.options().memtable_max_bytes = 64 << 10;
  Start();
  FullLedgerDisk full;
  world_.machine()->disk().set_faults(&full);
  simulation::Scheduler& scheduler = world_.world().scheduler();
  const MonotonicTime begin = scheduler.Now();
  scheduler.CallAfter(scheduler.world(), absl::Seconds(5),
                      [this] { world_.machine()->disk().set_faults(nullptr); });
  Add(0, 200, 1'000);
  EXPECT_GT(scheduler.Now(), begin + absl::Seconds(5));
  EXPECT_LT(scheduler.Now(), begin + absl::Seconds(15));
}

}  // namespace
}  // namespace stele::bookie
