// A whole bookie that has lost an index file: what it answers, and how the file comes back.
#include "bookie/index_repair.h"

#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_operator.h"
#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};
constexpr char kIndexFile[] = "/data/ledgers/current/0/7/7.idx";
const IndexRepairOptions kOptions{.ledger_directories = {"/data/ledgers/current"}};

Task<void> RepairTask(Env env, IndexRepairOptions options,
                      absl::StatusOr<IndexRepairReport>* report) {
  *report = co_await RepairIndexes(env, std::move(options));
}

class FailIndexWrites final : public simulation::FileFaults {
 public:
  absl::Status BeforeOperation(const simulation::FileRequest& request) override {
    const bool is_one = request.operation == simulation::FileOperation::kWrite &&
                        request.path.find(".idx") != std::string::npos;
    failures += is_one ? 1 : 0;
    return is_one ? MakeError(ErrorCode::kIoError, "injected") : absl::OkStatus();
  }
  int failures = 0;
};

class IndexRepairTest : public testing::Test {
 protected:
  void SetUp() override {
    Start();
    operator_ = std::make_unique<BookieOperator>(&world_);
    operator_->CreateLedger(kLedger);
    for (int64_t entry = 0; entry < 5; ++entry) {
      ASSERT_EQ(world_.CodeOfCall(kRequests.Add(entry, StrCat("payload ", entry), entry - 1)),
                ReplyCode::kOk);
    }
  }
  void Start() {
    const absl::Status started = world_.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  absl::StatusOr<IndexRepairReport> Repair(IndexRepairOptions options = kOptions) {
    absl::StatusOr<IndexRepairReport> report = absl::UnknownError("did not end");
    operator_->Run([&](Env env) { return RepairTask(env, options, &report); });
    return report;
  }

  BookieWorld world_{1};
  std::unique_ptr<BookieOperator> operator_;
};

TEST_F(IndexRepairTest, F28ALostIndexFileIsAnsweredAsUnknown) {
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  Start();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(5)), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(5, "x")), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(LedgerRequests{LedgerId(8)}.Read(0)), ReplyCode::kNoSuchLedger);
}

TEST_F(IndexRepairTest, F28ALostIndexFileIsRebuiltOffline) {
  EXPECT_EQ(CodeOf(Repair().status()), ErrorCode::kOverloaded) << "the bookie runs";
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  IndexRepairOptions of_another = kOptions;
  of_another.ledgers = {LedgerId(8)};
  EXPECT_EQ(CodeOf(Repair(of_another).status()), ErrorCode::kInvalidArgument);
  const auto report = Repair();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->without_index, std::vector<LedgerId>{kLedger});
  EXPECT_EQ(report->locations_found, 5);
  Start();
  for (int64_t entry = 0; entry < 5; ++entry) {
    EXPECT_EQ(world_.PayloadOfRead(kRequests, entry), StrCat("payload ", entry));
  }
  // What it may have had more, and whether it was fenced, is in no entry log.
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(5)), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(5, "x")), ReplyCode::kFenced);
}

// A flush that was interrupted leaves entries without an index file as well: those are whole.
TEST_F(IndexRepairTest, AKilledProcessLeavesNoUncertainLedger) {
  FailIndexWrites faults;
  world_.machine()->disk().set_faults(&faults);
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(3)).ok());
  EXPECT_GT(faults.failures, 0) << "no checkpoint has tried";
  world_.machine()->disk().set_faults(nullptr);
  world_.Kill();
  Start();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(4)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(5)), ReplyCode::kNoSuchEntry);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(5, "x")), ReplyCode::kOk);
}

}  // namespace
}  // namespace stele::bookie
