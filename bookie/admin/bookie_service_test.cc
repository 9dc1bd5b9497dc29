#include "bookie/admin/bookie_service.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_world.h"
#include "common/base/strings.h"
#include "common/observe/testing/metrics_reader.h"
#include "common/rpc/process_service.h"
#include "common/rpc/testing/memory_caller.h"
#include "proto/grpc_health.pb.h"
#include "proto/stele_admin.pb.h"

namespace stele::bookie {
namespace {

namespace v1 = stele::admin::v1;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using wire::ReplyCode;

constexpr char kToken[] = "0123456789abcdef";
const std::string kBookie = "/stele.admin.v1.Bookie/";
const std::string kProcess = "/stele.admin.v1.Process/";
const std::string kHealth = "/grpc.health.v1.Health/";

class QuietLog final : public observe::LevelledLog {
 public:
  void Write(observe::LogLevel, std::string_view message,
             std::initializer_list<observe::LogField> fields) override {
    std::string line(message);
    for (const observe::LogField& field : fields) line += StrCat(" ", field.name, "=", field.value);
    lines.push_back(line);
  }
  observe::LogLevel level() const override { return level_; }
  void SetLevel(observe::LogLevel level) override { level_ = level; }

  std::vector<std::string> lines;

 private:
  observe::LogLevel level_ = observe::LogLevel::kInfo;
};

Task<void> Keep(Task<absl::Status> task, absl::Status* into) { *into = co_await std::move(task); }

class BookieServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(world_.Start().ok());
    operations_ = std::make_unique<BookieOperations>(env().executor, &log_);
    operations_->SetBookie(world_.bookie());
    process_ = std::make_unique<rpc::ProcessService>(
        [this] { return operations_->Readiness().status(); }, &log_);
    router_ = std::make_unique<rpc::Router>(kToken, &log_);
    AddBookieService(operations_.get(), *router_);
    process_->AddTo(*router_);
  }

  Env env() { return world_.world().env(world_.process()); }
  void Pass(absl::Duration time) { EXPECT_TRUE(world_.world().scheduler().RunFor(time).ok()); }

  absl::Status Raw(std::string method, std::string message, rpc::MemoryCaller* caller,
                   std::string authorization = StrCat("Bearer ", kToken)) {
    absl::Status status = absl::UnknownError("");
    const absl::Status ran = world_.world().RunToEnd(
        world_.process(), Keep(router_->Answer({.method = std::move(method),
                                                .message = std::move(message),
                                                .authorization = std::move(authorization),
                                                .peer = "ipv4:1.2.3.4:5"},
                                               caller),
                               &status));
    EXPECT_TRUE(ran.ok()) << ran;
    return status;
  }
  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Call(const std::string& method, const Request& request) {
    rpc::MemoryCaller caller(env().executor, env().clock);
    const absl::Status status = Raw(method, request.SerializeAsString(), &caller);
    if (!status.ok()) {
      EXPECT_EQ(caller.count(), 0u);
      return status;
    }
    EXPECT_EQ(caller.count(), 1u);
    return caller.At<Reply>(0);
  }
  v1::BookieState State() {
    const auto state = Call<v1::BookieState>(kBookie + "GetState", v1::GetBookieStateRequest());
    EXPECT_TRUE(state.ok()) << state.status();
    return state.value_or(v1::BookieState());
  }
  absl::StatusOr<v1::SetReadOnlyReply> SetReadOnly(bool read_only) {
    v1::SetReadOnlyRequest request;
    request.set_read_only(read_only);
    return Call<v1::SetReadOnlyReply>(kBookie + "SetReadOnly", request);
  }
  std::vector<int64_t> Ledgers(int64_t first, int32_t limit, bool* more) {
    v1::ListLedgersRequest request;
    request.set_first(first);
    request.set_limit(limit);
    const auto page = Call<v1::ListLedgersReply>(kBookie + "ListLedgers", request);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) return {};
    *more = page->more();
    return {page->ledgers().begin(), page->ledgers().end()};
  }

  BookieWorld world_{1};
  QuietLog log_;
  std::unique_ptr<BookieOperations> operations_;
  std::unique_ptr<rpc::ProcessService> process_;
  std::unique_ptr<rpc::Router> router_;
};

TEST_F(BookieServiceTest, CallsAreCountedByMethodAndByHowTheyEnded) {
  const auto handled = [&](std::string_view service, std::string_view method,
                           std::string_view code) {
    observe::MetricsText text(env().clock->Now());
    router_->Export(text);
    const auto metrics = observe::MetricsReader::Parse(text.ToString());
    EXPECT_TRUE(metrics.ok()) << metrics.status();
    return metrics->Value(StrCat("grpc_server_handled_total{grpc_code=\"", code,
                                 "\",grpc_method=\"", method, "\",grpc_service=\"", service,
                                 "\",grpc_type=\"unary\"}"));
  };
  const std::string_view bookie = "stele.admin.v1.Bookie";
  EXPECT_EQ(handled(bookie, "GetState", "OK"), "0");
  State();
  State();
  EXPECT_EQ(handled(bookie, "GetState", "OK"), "2");
  rpc::MemoryCaller caller(env().executor, env().clock);
  EXPECT_FALSE(Raw(kBookie + "SetReadOnly", "", &caller, "").ok());
  EXPECT_FALSE(Raw(kBookie + "SetReadOnly", "\xFF", &caller).ok());
  EXPECT_EQ(handled(bookie, "SetReadOnly", "Unauthenticated"), "1");
  EXPECT_EQ(handled(bookie, "SetReadOnly", "InvalidArgument"), "1");
  EXPECT_EQ(handled(bookie, "SetReadOnly", "OK"), "0");
  EXPECT_EQ(handled("grpc.health.v1.Health", "Check", "OK"), "0");
}

TEST_F(BookieServiceTest, StateFollowsTheReadOnlySwitch) {
  EXPECT_EQ(State().bookie_id(), "bookie:3181");
  EXPECT_EQ(State().registration(), v1::BookieState::REGISTRATION_WRITABLE);
  EXPECT_FALSE(State().read_only());
  EXPECT_GT(State().disk_bytes(), 0);
  const auto reply = SetReadOnly(true);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_TRUE(reply->read_only());
  EXPECT_EQ(world_.CodeOfCall(LedgerRequests{LedgerId(7)}.Add(0, "x")), ReplyCode::kReadOnly);
  Pass(absl::Seconds(5));
  EXPECT_TRUE(State().read_only_by_operator());
  EXPECT_EQ(State().registration(), v1::BookieState::REGISTRATION_READ_ONLY);
  EXPECT_FALSE(SetReadOnly(false)->read_only());
  Pass(absl::Seconds(5));
  EXPECT_EQ(State().registration(), v1::BookieState::REGISTRATION_WRITABLE);
}

TEST_F(BookieServiceTest, TheConfigurationIsNotOverruled) {
  world_.Kill();
  world_.options().force_read_only = true;
  SetUp();
  EXPECT_EQ(SetReadOnly(false).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(State().read_only_by_configuration());
}

TEST_F(BookieServiceTest, CollectionsBeginAndCompactionsAreSuspended) {
  v1::CollectGarbageRequest request;
  request.mutable_compact()->set_minor(true);
  const auto collect = [&] {
    return Call<v1::CollectGarbageReply>(kBookie + "CollectGarbage", request).status();
  };
  EXPECT_TRUE(collect().ok());
  EXPECT_TRUE(State().forced_gc_running());
  EXPECT_EQ(collect().code(), absl::StatusCode::kAlreadyExists);
  Pass(absl::Seconds(10));
  EXPECT_FALSE(State().forced_gc_running());
  EXPECT_EQ(world_.bookie()->Status().garbage.compaction.minor_runs, 1);
  v1::CompactionKinds kinds;
  const std::string suspend = kBookie + "SuspendCompaction";
  EXPECT_EQ(Call<v1::CompactionState>(suspend, kinds).status().code(),
            absl::StatusCode::kInvalidArgument);
  kinds.set_major(true);
  EXPECT_TRUE(Call<v1::CompactionState>(suspend, kinds)->major_suspended());
  EXPECT_FALSE(State().compaction().minor_suspended());
  EXPECT_FALSE(Call<v1::CompactionState>(kBookie + "ResumeCompaction", kinds)->major_suspended());
}

TEST_F(BookieServiceTest, ACheckpointLetsTheJournalsGo) {
  EXPECT_EQ(world_.CodeOfCall(LedgerRequests{LedgerId(7)}.Add(0, "x")), ReplyCode::kOk);
  EXPECT_GT(world_.bookie()->Status().storage.memtable_bytes, 0u);
  const auto done = Call<v1::CheckpointReply>(kBookie + "Checkpoint", v1::CheckpointRequest());
  EXPECT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(world_.bookie()->Status().storage.memtable_bytes, 0u);
}

TEST_F(BookieServiceTest, LedgersComeInPages) {
  bool more = true;
  EXPECT_TRUE(Ledgers(0, 0, &more).empty());
  EXPECT_FALSE(more);
  for (const int64_t ledger : {3, 5, 9}) {
    EXPECT_EQ(world_.CodeOfCall(LedgerRequests{LedgerId(ledger)}.Add(0, "x")), ReplyCode::kOk);
  }
  EXPECT_EQ(Ledgers(0, 2, &more), (std::vector<int64_t>{3, 5}));
  EXPECT_TRUE(more);
  EXPECT_EQ(Ledgers(6, 2, &more), (std::vector<int64_t>{9}));
  EXPECT_FALSE(more);
  EXPECT_EQ(Ledgers(3, 3, &more), (std::vector<int64_t>{3, 5, 9}));
  EXPECT_FALSE(more);
  v1::ListLedgersRequest bad;
  bad.set_limit(10'001);
  EXPECT_EQ(Call<v1::ListLedgersReply>(kBookie + "ListLedgers", bad).status().code(),
            absl::StatusCode::kInvalidArgument);
  bad.set_limit(0);
  bad.set_first(-1);
  EXPECT_EQ(Call<v1::ListLedgersReply>(kBookie + "ListLedgers", bad).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(BookieServiceTest, ChangesNeedTheTokenAndAreLogged) {
  const std::string message = [] {
    v1::SetReadOnlyRequest request;
    request.set_read_only(true);
    return request.SerializeAsString();
  }();
  rpc::MemoryCaller caller(env().executor, env().clock);
  for (const std::string wrong : {"", "Bearer wrong", kToken}) {
    EXPECT_EQ(Raw(kBookie + "SetReadOnly", message, &caller, wrong).code(),
              absl::StatusCode::kUnauthenticated)
        << wrong;
  }
  EXPECT_FALSE(State().read_only());
  EXPECT_EQ(log_.lines.back(),
            "asked over gRPC for a change method=/stele.admin.v1.Bookie/SetReadOnly "
            "peer=ipv4:1.2.3.4:5 outcome=UNAUTHENTICATED");
  for (const char* change :
       {"CollectGarbage", "SuspendCompaction", "ResumeCompaction", "Checkpoint"}) {
    EXPECT_EQ(Raw(kBookie + change, "", &caller, "").code(), absl::StatusCode::kUnauthenticated)
        << change;
  }
  rpc::Router closed("", &log_);
  AddBookieService(operations_.get(), closed);
  absl::Status status;
  EXPECT_TRUE(world_.world()
                  .RunToEnd(world_.process(), Keep(closed.Answer({.method = kBookie + "SetReadOnly",
                                                                  .message = message,
                                                                  .authorization = "Bearer "},
                                                                 &caller),
                                                   &status))
                  .ok());
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_FALSE(State().read_only());
  EXPECT_EQ(caller.count(), 0u);
}

TEST_F(BookieServiceTest, WhatIsNoMessageOrNoMethodIsRefused) {
  rpc::MemoryCaller caller(env().executor, env().clock);
  for (const rpc::Method& method : router_->Methods()) {
    EXPECT_EQ(Raw(method.name, "\xFF\xFF\xFF", &caller).code(), absl::StatusCode::kInvalidArgument)
        << method.name;
  }
  EXPECT_EQ(Raw(kBookie + "Format", "", &caller).code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(caller.count(), 0u);
}

TEST_F(BookieServiceTest, WithoutABookieNothingIsAnsweredButHealth) {
  operations_->SetBookie(nullptr);
  rpc::MemoryCaller caller(env().executor, env().clock);
  for (const rpc::Method& method : router_->Methods()) {
    if (!method.name.starts_with(kBookie)) continue;
    const bool names_none = method.name.ends_with("Compaction");  // of an empty request
    EXPECT_EQ(Raw(method.name, "", &caller).code(),
              names_none ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kUnavailable)
        << method.name;
  }
  EXPECT_EQ(Call<HealthCheckResponse>(kHealth + "Check", HealthCheckRequest())->status(),
            HealthCheckResponse::NOT_SERVING);
}

TEST_F(BookieServiceTest, HealthIsTheReadinessOfThePortsServices) {
  HealthCheckRequest request;
  for (const std::string service : {"", "stele.admin.v1.Bookie", "stele.admin.v1.Process"}) {
    request.set_service(service);
    EXPECT_EQ(Call<HealthCheckResponse>(kHealth + "Check", request)->status(),
              HealthCheckResponse::SERVING)
        << service;
  }
  request.set_service("stele.admin.v1.Autorecovery");
  EXPECT_EQ(Call<HealthCheckResponse>(kHealth + "Check", request).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(BookieServiceTest, WatchedHealthIsToldWhenItChangesUntilTheCallerGoes) {
  rpc::MemoryCaller caller(env().executor, env().clock);
  TaskScope scope(env().executor);
  absl::Status ended = absl::UnknownError("");
  scope.Spawn(Keep(router_->Answer({.method = kHealth + "Watch"}, &caller), &ended));
  Pass(absl::Seconds(5));
  EXPECT_EQ(caller.count(), 1u);
  EXPECT_EQ(caller.At<HealthCheckResponse>(0).status(), HealthCheckResponse::SERVING);
  operations_->SetBookie(nullptr);
  Pass(absl::Seconds(5));
  EXPECT_EQ(caller.count(), 2u);
  EXPECT_EQ(caller.At<HealthCheckResponse>(1).status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(scope.size(), 1u);
  caller.Leave();
  Pass(absl::Milliseconds(1));
  EXPECT_EQ(scope.size(), 0u);
}

TEST_F(BookieServiceTest, TheLogLevelIsSetWhileItRuns) {
  v1::SetLogLevelRequest request;
  EXPECT_EQ(Call<v1::LogLevelReply>(kProcess + "SetLogLevel", request).status().code(),
            absl::StatusCode::kInvalidArgument);
  request.set_level(v1::LOG_LEVEL_DEBUG);
  EXPECT_EQ(Call<v1::LogLevelReply>(kProcess + "SetLogLevel", request)->level(),
            v1::LOG_LEVEL_DEBUG);
  EXPECT_EQ(log_.level(), observe::LogLevel::kDebug);
  EXPECT_EQ(Call<v1::LogLevelReply>(kProcess + "GetLogLevel", v1::GetLogLevelRequest())->level(),
            v1::LOG_LEVEL_DEBUG);
}

}  // namespace
}  // namespace stele::bookie
