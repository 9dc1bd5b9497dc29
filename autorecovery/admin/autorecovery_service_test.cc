#include "autorecovery/admin/autorecovery_service.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "common/async/task_scope.h"
#include "common/base/strings.h"
#include "common/rpc/testing/memory_caller.h"
#include "proto/stele_admin.pb.h"

namespace stele::autorecovery {
namespace {

namespace v1 = stele::admin::v1;
using v1::DrainProgress;

constexpr char kToken[] = "0123456789abcdef";
const std::string kService = "/stele.admin.v1.Autorecovery/";
constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};

class NoLog final : public observe::Log {
 public:
  void Write(observe::LogLevel, std::string_view,
             std::initializer_list<observe::LogField>) override {}
};

Task<void> Keep(Task<absl::Status> task, absl::Status* into) { *into = co_await std::move(task); }
Task<void> FindCluster(metadata::MetadataStore* store, absl::StatusOr<metadata::Cluster>* into) {
  *into = co_await metadata::OpenCluster(store, "/ledgers", std::nullopt);
}

class AutorecoveryServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    repair_.StartAutorecovery("a");
    store_ = repair_.world().NewMetadataStore(process());
    absl::StatusOr<metadata::Cluster> cluster = absl::UnknownError("");
    EXPECT_TRUE(repair_.world().RunToEnd(process(), FindCluster(store_.get(), &cluster)).ok());
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    service_ = std::make_unique<AutorecoveryService>(env(), &operations_);
    router_ = std::make_unique<rpc::Router>(kToken, &log_);
    service_->AddTo(*router_);
    scope_ = std::make_unique<TaskScope>(env().executor);
    operations_.SetRunning({&repair_.autorecovery("a"), store_.get(), *cluster, "a",
                            RepairCluster::QuickOptions().client});
    repair_.cluster().RunUntil(
        [&] { return repair_.autorecovery("a").auditor_status().is_leader; });
  }

  simulation::SimProcess* process() { return repair_.process("a"); }
  Env env() { return repair_.world().env(process()); }

  Task<absl::Status> Answer(const std::string& method, const google::protobuf::Message& request,
                            rpc::Caller* caller) {
    return router_->Answer({.method = kService + method,
                            .message = request.SerializeAsString(),
                            .authorization = StrCat("Bearer ", kToken)},
                           caller);
  }
  template <typename Reply>
  absl::StatusOr<Reply> Call(const std::string& method, const google::protobuf::Message& request) {
    rpc::MemoryCaller caller(env().executor, env().clock);
    absl::Status status = absl::UnknownError("");
    const absl::Status ran =
        repair_.world().RunToEnd(process(), Keep(Answer(method, request, &caller), &status));
    EXPECT_TRUE(ran.ok()) << ran;
    if (!status.ok()) return status;
    EXPECT_EQ(caller.count(), 1u);
    return caller.At<Reply>(0);
  }
  // A stream that goes on beside the test.
  struct Watch {
    std::unique_ptr<rpc::MemoryCaller> caller;
    std::unique_ptr<absl::Status> ended = std::make_unique<absl::Status>(absl::UnknownError(""));
    DrainProgress Last() const { return caller->At<DrainProgress>(caller->count() - 1); }
    bool HasEnded() const { return ended->code() != absl::StatusCode::kUnknown; }
  };
  Watch StartDrain(const BookieId& bookie) {
    Watch watch;
    watch.caller = std::make_unique<rpc::MemoryCaller>(env().executor, env().clock);
    v1::DrainRequest request;
    request.set_bookie_id(bookie.value());
    scope_->Spawn(Keep(Answer("Drain", request, watch.caller.get()), watch.ended.get()));
    return watch;
  }
  bool IsDraining(const BookieId& bookie) {
    const auto draining = repair_.Run(repair_.records().Draining());
    return draining.ok() && draining->contains(bookie);
  }

  RepairCluster repair_{1, 4};
  NoLog log_;
  std::unique_ptr<metadata::MetadataStore> store_;
  AutorecoveryOperations operations_;
  std::unique_ptr<AutorecoveryService> service_;
  std::unique_ptr<rpc::Router> router_;
  std::unique_ptr<TaskScope> scope_;
};

TEST_F(AutorecoveryServiceTest, StateFollowsTheSwitch) {
  const v1::GetAutorecoveryStateRequest get;
  auto state = Call<v1::AutorecoveryState>("GetState", get);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_TRUE(state->enabled());
  EXPECT_EQ(state->auditor(), "a");
  EXPECT_TRUE(state->is_auditor());
  EXPECT_FALSE(Call<v1::SetEnabledReply>("SetEnabled", v1::SetEnabledRequest())->enabled());
  EXPECT_FALSE(Call<v1::AutorecoveryState>("GetState", get)->enabled());
  operations_.Clear();
  EXPECT_EQ(Call<v1::AutorecoveryState>("GetState", get).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(AutorecoveryServiceTest, ADrainIsToldUntilTheBookieIsEmpty) {
  std::vector<LedgerId> ledgers;
  for (int i = 0; i < 5; ++i) ledgers.push_back(repair_.WriteLedger(kThreeTwo, 20));
  const BookieId bookie = RepairCluster::Id(repair_.BookieAt(ledgers[0], 0, 0));
  const auto named = static_cast<int64_t>(repair_.ReferencesTo(bookie).size());

  v1::DrainRequest dry;
  dry.set_bookie_id(bookie.value());
  dry.set_dry_run(true);
  const auto would = Call<DrainProgress>("Drain", dry);
  ASSERT_TRUE(would.ok()) << would.status();
  EXPECT_EQ(would->state(), DrainProgress::WOULD_RUN);
  EXPECT_EQ(would->ledgers_left(), named);
  EXPECT_GT(would->bytes_left(), 0);
  EXPECT_FALSE(IsDraining(bookie));

  const Watch watch = StartDrain(bookie);
  repair_.cluster().RunUntil([&] { return watch.HasEnded(); });
  EXPECT_TRUE(watch.ended->ok()) << *watch.ended;
  EXPECT_GT(watch.caller->count(), 1u);
  EXPECT_EQ(watch.caller->At<DrainProgress>(0).state(), DrainProgress::RUNNING);
  EXPECT_FALSE(watch.caller->At<DrainProgress>(0).has_eta_seconds());
  EXPECT_EQ(watch.Last().state(), DrainProgress::DRAINED);
  EXPECT_EQ(watch.Last().ledgers_total(), named);
  EXPECT_EQ(watch.Last().ledgers_left(), 0);
  EXPECT_TRUE(watch.Last().has_eta_seconds());
  EXPECT_TRUE(repair_.ReferencesTo(bookie).empty());
  EXPECT_TRUE(IsDraining(bookie));
}

TEST_F(AutorecoveryServiceTest, ADrainGoesOnWithoutItsCallerUntilItIsTakenBack) {
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(false)).ok());
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 5);
  const BookieId bookie = RepairCluster::Id(repair_.BookieAt(ledger, 0, 0));
  const Watch watch = StartDrain(bookie);
  repair_.cluster().RunUntil([&] { return watch.caller->count() > 1; });
  watch.caller->Leave();
  repair_.cluster().RunUntil([&] { return watch.HasEnded(); });
  EXPECT_TRUE(IsDraining(bookie));
  EXPECT_EQ(repair_.ReferencesTo(bookie).size(), 1u);
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(true)).ok());
  repair_.cluster().RunUntil([&] { return repair_.ReferencesTo(bookie).empty(); });

  v1::UndrainRequest undrain;
  undrain.set_bookie_id(bookie.value());
  EXPECT_TRUE(Call<v1::UndrainReply>("Undrain", undrain).ok());
  EXPECT_FALSE(IsDraining(bookie));
  EXPECT_EQ(Call<v1::UndrainReply>("Undrain", undrain).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(AutorecoveryServiceTest, AnOpenLedgerIsNamedAsTheReasonToWait) {
  const client::WriteHandle writer = repair_.OpenLedger(kThreeTwo, 5);
  const BookieId bookie = RepairCluster::Id(repair_.BookieAt(writer.id(), 0, 0));
  const Watch watch = StartDrain(bookie);
  repair_.cluster().RunUntil([&] { return watch.HasEnded(); });
  EXPECT_TRUE(watch.ended->ok()) << *watch.ended;
  EXPECT_EQ(watch.Last().state(), DrainProgress::WAITING);
  EXPECT_EQ(watch.Last().ledgers_open(), 1);
  ASSERT_EQ(watch.Last().blocked_size(), 1);
  EXPECT_EQ(watch.Last().blocked(0).ledger(), writer.id().value());
  EXPECT_NE(watch.Last().blocked(0).reason().find("open"), std::string::npos);
}

TEST_F(AutorecoveryServiceTest, WatchedDrainsAreBoundedAndBookiesMustExist) {
  v1::DrainRequest request;
  request.set_bookie_id("nobody:1");
  EXPECT_EQ(Call<DrainProgress>("Drain", request).status().code(), absl::StatusCode::kNotFound);
  request.set_bookie_id("a/../b");
  EXPECT_EQ(Call<DrainProgress>("Drain", request).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(false)).ok());
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 5);
  const BookieId bookie = RepairCluster::Id(repair_.BookieAt(ledger, 0, 0));
  std::vector<Watch> watches;
  for (int i = 0; i < AutorecoveryService::kDrainsWatchedMax; ++i) {
    watches.push_back(StartDrain(bookie));
  }
  request.set_bookie_id(bookie.value());
  EXPECT_EQ(Call<DrainProgress>("Drain", request).status().code(),
            absl::StatusCode::kResourceExhausted);
  repair_.cluster().RunUntil([&] { return watches.back().caller->count() > 0; });
  for (Watch& watch : watches) watch.caller->Leave();
  repair_.cluster().RunUntil([&] { return watches.back().HasEnded(); });
  const Watch again = StartDrain(bookie);
  repair_.cluster().RunUntil([&] { return again.caller->count() > 0; });
  EXPECT_EQ(again.Last().state(), DrainProgress::RUNNING);
}

TEST(DrainPaceTest, TheRestIsEstimatedAtThePaceSoFar) {
  const MonotonicTime start;
  DrainPace pace(start, 100, 100 << 20);
  EXPECT_EQ(pace.Remaining(start + absl::Seconds(5)), std::nullopt);
  pace.OnLook(start + absl::Seconds(10), 90, 90 << 20);
  EXPECT_EQ(pace.Remaining(start + absl::Seconds(10)), absl::Seconds(90));
  pace.OnLook(start + absl::Seconds(50), 0, 0);
  EXPECT_EQ(pace.Remaining(start + absl::Seconds(50)), absl::ZeroDuration());
  // A petabyte in a year.
  DrainPace large(start, 1'000'000, int64_t{1} << 50);
  large.OnLook(start + absl::Hours(24 * 365), 500'000, int64_t{1} << 49);
  EXPECT_EQ(large.Remaining(start + absl::Hours(24 * 365)), absl::Hours(24 * 365));
}

TEST(DrainPaceTest, TheWaitForTheFirstCopyIsNotThePace) {
  const MonotonicTime start;
  DrainPace pace(start, 100, 100 << 20);
  pace.OnLook(start + absl::Seconds(30), 100, 100 << 20);
  pace.OnLook(start + absl::Seconds(35), 98, 98 << 20);
  EXPECT_EQ(pace.Remaining(start + absl::Seconds(35)), absl::Seconds(35 * 49));
  pace.OnLook(start + absl::Seconds(40), 93, 93 << 20);
  EXPECT_EQ(pace.Remaining(start + absl::Seconds(40)), absl::Seconds(93));
  pace.OnLook(start + absl::Seconds(45), 88, 88 << 20);
  EXPECT_EQ(pace.Remaining(start + absl::Seconds(45)), absl::Seconds(88));
}

TEST(DrainPaceTest, ItIsStuckWhenNoLedgerGoesForLong) {
  const MonotonicTime start;
  DrainPace pace(start, 2, 0);
  pace.OnLook(start + absl::Minutes(9), 1, 0);
  EXPECT_FALSE(pace.IsStuck(start + absl::Minutes(18)));
  pace.OnLook(start + absl::Minutes(18), 1, 0);
  EXPECT_TRUE(pace.IsStuck(start + absl::Minutes(20)));
}

}  // namespace
}  // namespace stele::autorecovery
