// What the dump of an extent run shows, of a good one and of damaged ones.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/extent_format.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "simulation/world.h"
#include "tools/dump/dump.h"

namespace stele::dump {
namespace {

using bookie::EntryLocation;
using bookie::EntryLogId;
using bookie::ExtentBlockOffset;
using bookie::IndexHeader;

constexpr bookie::RunNumbers kNumbers{.first = 3, .last = 9};

// Ledger 5 with two extents and a state, and one that was removed.
std::string MakeRun() {
  bookie::ExtentRunBuilder builder(kNumbers);
  for (const int64_t entry : {10, 11, 12}) {
    builder.AddEntry(LedgerId(5), entry,
                     EntryLocation(EntryLogId(1), 4096 + 100 * static_cast<uint64_t>(entry)));
  }
  builder.AddEntry(LedgerId(5), 20, EntryLocation(EntryLogId(0x1f), 8192));
  IndexHeader header{.state_bits = bookie::kIndexStateFenced};
  header.master_key.emplace().fill('k');
  builder.EndLedger(LedgerId(5), {.flags = bookie::kRowHasHeader, .header = header});
  builder.EndLedger(LedgerId(6), {.flags = bookie::kRowIsFresh});
  const std::string rest = builder.Finish();
  return builder.FirstPage() + rest;
}

// The disk does not give one place.
struct BadPlace final : simulation::FileFaults {
  absl::Status BeforeOperation(const simulation::FileRequest& request) override {
    const bool strikes = request.operation == simulation::FileOperation::kRead &&
                         request.offset <= offset && offset < request.offset + request.size;
    return strikes ? MakeError(ErrorCode::kIoError, "injected") : absl::OkStatus();
  }
  uint64_t offset = UINT64_MAX;
};

struct IndexDumpTest : testing::Test {
  IndexDumpTest()
      : world({.seed = 1}),
        machine(world.AddMachine("machine")),
        process(world.AddProcess(machine, "stele")) {
    machine->disk().set_faults(&bad_place);
  }
  // Is that shown once?
  bool ShowsDamageAt(uint64_t offset) const {
    const std::string begin = StrCat("kind=damaged offset=", offset, " ");
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& line) { return line.starts_with(begin); }) == 1;
  }

  static Task<void> Dump(Env env, std::string content, DumpOptions options,
                         std::vector<std::string>* lines,
                         std::optional<absl::StatusOr<int64_t>>* damaged) {
    const absl::Status stored = co_await ReplaceFile(env.files, "/", options.path.substr(1),
                                                     Buffer::FromString(std::move(content)));
    EXPECT_TRUE(stored.ok()) << stored;
    const Emit emit = [lines](const shell::Record& record) {
      lines->push_back(shell::ToLine(record));
    };
    *damaged = co_await DumpIndex(env, std::move(options), emit);
  }
  absl::StatusOr<int64_t> Dump(std::string content, std::optional<LedgerId> ledger = std::nullopt) {
    lines.clear();
    std::optional<absl::StatusOr<int64_t>> damaged;
    const DumpOptions options{.path = StrCat("/", bookie::ExtentRunName(kNumbers)),
                              .ledger = ledger};
    EXPECT_TRUE(world
                    .RunToEnd(process, Dump(world.env(process), std::move(content), options, &lines,
                                            &damaged))
                    .ok());
    return *damaged;
  }

  BadPlace bad_place;
  simulation::World world;
  simulation::SimMachine* machine;
  simulation::SimProcess* process;
  std::vector<std::string> lines;
};

TEST_F(IndexDumpTest, ShowsEachRowOfAnExtentRun) {
  const std::string run = MakeRun();
  const auto damaged = Dump(run);
  ASSERT_TRUE(damaged.ok()) << damaged.status();
  EXPECT_EQ(*damaged, 0);
  EXPECT_EQ(
      lines,
      (std::vector<std::string>{
          "kind=footer offset=0 first=3 last=9 blocks=1",
          StrCat("kind=footer offset=", run.size() - 40, " first=3 last=9 blocks=1"),
          "kind=extent ledger=5 entry=10 last_entry=12 entry_log=1.log offset=5096 entries=3",
          "kind=extent ledger=5 entry=20 last_entry=20 entry_log=1f.log offset=8192 entries=1",
          "kind=state ledger=5 voids_older=no lost_some=no master_key=yes fenced=yes "
          "uncertain=no",
          "kind=state ledger=6 voids_older=yes lost_some=no",
      }));
  ASSERT_TRUE(Dump(run, LedgerId(6)).ok());
  EXPECT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines.back(), "kind=state ledger=6 voids_older=yes lost_some=no");
}

TEST_F(IndexDumpTest, ShowsEachDamageWhereItLies) {
  const std::string run = MakeRun();
  const uint64_t tail_at = ExtentBlockOffset(1);
  for (const uint64_t offset : {uint64_t{0}, ExtentBlockOffset(0), tail_at, run.size() - 40}) {
    SCOPED_TRACE(offset);
    std::string content = run;
    content[offset + 1] = 'x';
    const auto damaged = Dump(content);
    ASSERT_TRUE(damaged.ok()) << damaged.status();
    EXPECT_EQ(*damaged, 1);
    EXPECT_TRUE(ShowsDamageAt(offset));
  }
  // Without a footer the blocks are shown all the same.
  std::string content = run;
  content[0] = content[run.size() - 40] = 'x';
  EXPECT_EQ(*Dump(content), 3);
  EXPECT_EQ(lines.size(), 2u + 4u + 1u);
}

TEST_F(IndexDumpTest, GoesOnBehindAPlaceThatCannotBeRead) {
  const std::string run = MakeRun();
  const uint64_t tail_at = ExtentBlockOffset(1);
  for (const uint64_t offset : {uint64_t{0}, ExtentBlockOffset(0), tail_at, run.size() - 40}) {
    SCOPED_TRACE(offset);
    bad_place.offset = offset;
    const auto damaged = Dump(run);
    ASSERT_TRUE(damaged.ok()) << damaged.status();
    EXPECT_EQ(*damaged, 1);
    EXPECT_TRUE(ShowsDamageAt(offset));
    const bool is_block = offset == ExtentBlockOffset(0);
    EXPECT_EQ(lines.size(), is_block ? 3u : offset == tail_at ? 7u : 6u);
  }
}

}  // namespace
}  // namespace stele::dump
