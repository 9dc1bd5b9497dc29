#include "autorecovery/admin/autorecovery_routes.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "common/base/strings.h"
#include "common/observe/testing/metrics_reader.h"

namespace stele::autorecovery {
namespace {

using observe::MetricsReader;

constexpr char kToken[] = "0123456789abcdef";
constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};

class NoLog final : public observe::Log {
 public:
  void Write(observe::LogLevel, std::string_view,
             std::initializer_list<observe::LogField>) override {}
};

Task<void> Keep(Task<http::Response> task, http::Response* into) {
  *into = co_await std::move(task);
}

Task<void> FindCluster(metadata::MetadataStore* store, absl::StatusOr<metadata::Cluster>* into) {
  *into = co_await metadata::OpenCluster(store, "/ledgers", std::nullopt);
}

// The admin ports of bookies, as far as the test says that there are any.
class FakeFetcher final : public HttpFetcher {
 public:
  Task<absl::StatusOr<std::string>> Get(Endpoint from, std::string path) override {
    const auto found = answers.find(StrCat(from.host, ":", from.port, path));
    if (found == answers.end()) co_return MakeError(ErrorCode::kConnectionLost, "nobody is there");
    co_return found->second;
  }
  std::map<std::string, std::string> answers;
};

class AutorecoveryRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    repair_.StartAutorecovery("a");
    simulation::SimProcess* const process = repair_.process("a");
    store_ = repair_.world().NewMetadataStore(process);
    routes_ =
        std::make_unique<AutorecoveryRoutes>(repair_.world().env(process), &operations_, &fetcher_);
    router_ = std::make_unique<http::Router>(kToken, &log_);
    routes_->AddTo(*router_);
    repair_.cluster().RunUntil(
        [&] { return repair_.autorecovery("a").auditor_status().is_leader; });
    repair_.cluster().RunFor(absl::Seconds(10));  // its worker registers itself
    EXPECT_TRUE(repair_.world().RunToEnd(process, FindCluster(store_.get(), &cluster_)).ok());
    ASSERT_TRUE(cluster_.ok()) << cluster_.status();
  }
  void Serve(const std::string& name = "a") {
    routes_->Clear();
    operations_.SetRunning({&repair_.autorecovery(name), store_.get(), *cluster_, name, {}});
  }

  http::Response Ask(std::string method, std::string_view target, std::string body = "") {
    http::Request request{.method = std::move(method),
                          .target = *http::ParseTarget(target),
                          .body = std::move(body),
                          .authorization = StrCat("Bearer ", kToken)};
    http::Response response;
    const absl::Status ran = repair_.world().RunToEnd(
        repair_.process("a"), Keep(router_->Answer(std::move(request)), &response));
    EXPECT_TRUE(ran.ok()) << ran;
    return response;
  }
  std::string Get(std::string_view target) { return Ask("GET", target).body; }
  MetricsReader Metrics() {
    auto metrics = MetricsReader::Parse(Get("/metrics"));
    EXPECT_TRUE(metrics.ok()) << metrics.status();
    return metrics.ok() ? *std::move(metrics) : MetricsReader();
  }

  RepairCluster repair_{1, 4};
  NoLog log_;
  FakeFetcher fetcher_;
  std::unique_ptr<metadata::MetadataStore> store_;
  absl::StatusOr<metadata::Cluster> cluster_ = absl::UnknownError("not looked for");
  AutorecoveryOperations operations_;
  std::unique_ptr<AutorecoveryRoutes> routes_;
  std::unique_ptr<http::Router> router_;
};

TEST_F(AutorecoveryRoutesTest, BeforeItRunsOnlyTheProbesOfLifeAnswer) {
  EXPECT_EQ(Ask("GET", "/healthz").status, 200);
  EXPECT_EQ(Ask("GET", "/readyz").status, 503);
  EXPECT_EQ(Ask("GET", "/metrics").status, 503);
  Serve();
  EXPECT_EQ(Ask("GET", "/readyz").status, 200);
  operations_.Clear();
  EXPECT_EQ(Ask("GET", "/readyz").status, 503);
}

TEST_F(AutorecoveryRoutesTest, MeasurementsShowWhatIsLeftAndWhatWasDone) {
  Serve();
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 20);
  MetricsReader metrics = Metrics();
  EXPECT_EQ(metrics.Value("stele_auditor_leader"), "1");
  EXPECT_EQ(metrics.Value("stele_bookies{state=\"writable\"}"), "4");
  EXPECT_EQ(metrics.Value("stele_ur_ledgers{state=\"marked\"}"), "0");
  EXPECT_EQ(metrics.Value("stele_ur_oldest_seconds"), "0");
  EXPECT_EQ(metrics.Value("stele_autorecovery_workers"), "1");

  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(false)).ok());
  const BookieId dead = RepairCluster::Id(repair_.BookieAt(ledger, 0, 0));
  EXPECT_TRUE(repair_.Mark(ledger, {dead}));
  // What was read a moment ago is good enough.
  EXPECT_EQ(Metrics().Value("stele_ur_ledgers{state=\"marked\"}"), "0");
  repair_.cluster().RunFor(absl::Seconds(31));
  metrics = Metrics();
  EXPECT_EQ(metrics.Value("stele_ur_ledgers{state=\"marked\"}"), "1");
  EXPECT_EQ(metrics.Value("stele_ur_replicas_missing_max"), "1");
  EXPECT_EQ(metrics.Value("stele_autorecovery_enabled"), "0");
  EXPECT_NE(metrics.Value("stele_ur_oldest_seconds"), "0");

  repair_.NameInstead(ledger, 0, dead);
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(true)).ok());
  repair_.RunUntilRepaired();
  EXPECT_EQ(Metrics().Value("replication_worker_NUM_FULL_OR_PARTIAL_LEDGERS_REPLICATED"), "1");
}

TEST_F(AutorecoveryRoutesTest, WhatTheClusterLacksIsShownByTheLeaderAlone) {
  Serve();
  repair_.StartAutorecovery("b");
  repair_.cluster().RunFor(absl::Seconds(10));
  ASSERT_FALSE(repair_.autorecovery("b").auditor_status().is_leader);
  Serve("b");
  const MetricsReader metrics = Metrics();
  EXPECT_EQ(metrics.Value("stele_auditor_leader"), "0");
  EXPECT_FALSE(metrics.names().contains("stele_ur_ledgers"));
  EXPECT_FALSE(metrics.names().contains("stele_backlog_known"));
}

TEST_F(AutorecoveryRoutesTest, TheGateSaysWhetherABookieMayBeStopped) {
  Serve();
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 5);
  EXPECT_EQ(Ask("GET", "/restartz").status, 400);
  const std::string b =
      StrCat("/restartz?bookie=", RepairCluster::Id(repair_.BookieAt(ledger, 0, 0)).value());
  http::Response response = Ask("GET", b);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.body,
            "{\"granted\": true, \"ledgers\": 1, \"ledgers_touched\": 1, \"refusals\": []}\n");
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(false)).ok());
  EXPECT_TRUE(repair_.Mark(ledger, {BookieId("x:1")}));
  response = Ask("GET", b);
  EXPECT_EQ(response.status, 503);
  EXPECT_NE(response.body.find("\"code\": \"G5\""), std::string::npos) << response.body;
}

class ClusterViewTest : public AutorecoveryRoutesTest {
 protected:
  // What is seen when it was looked at anew.
  std::string Look() {
    Get("/api/v1/stele/view");
    repair_.cluster().RunFor(absl::Seconds(30));
    return Get("/api/v1/stele/view");
  }
  static ::testing::AssertionResult Has(const std::string& view, std::string_view part) {
    if (view.find(part) != std::string::npos) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "no " << part << " in " << view;
  }
};

TEST_F(ClusterViewTest, ThePageRunsNothingButItself) {
  const http::Response page = Ask("GET", "/");
  EXPECT_EQ(page.status, 200) << "also before it runs: the page says so";
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_TRUE(Has(page.content_security_policy, "default-src 'none'; script-src 'sha256-"));
  EXPECT_FALSE(Has(page.content_security_policy, "unsafe"));
  EXPECT_EQ(Ask("GET", "/api/v1/stele/view").status, 503);
}

TEST_F(ClusterViewTest, AnsweringDoesNotWait) {
  Serve();
  std::string view = Get("/api/v1/stele/view");
  EXPECT_TRUE(Has(view, "\"scope\": \"cluster\", \"name\": \"a\""));
  EXPECT_TRUE(Has(view, "\"bookies\": []"));
  EXPECT_FALSE(Has(view, "as_of_ms"));
  view = Look();
  EXPECT_TRUE(Has(view, "as_of_ms"));
  EXPECT_TRUE(Has(view, "\"id\": \"b1:3181\", \"state\": \"writable\""));
  EXPECT_TRUE(Has(view, "\"answers\": true, \"disk_total_bytes\": "));
  EXPECT_TRUE(Has(view, "\"admin_error\": \"it has no admin port\""));
}

TEST_F(ClusterViewTest, ABookieThatWentStaysInViewWithSinceWhen) {
  Serve();
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(false)).ok());
  EXPECT_TRUE(Has(Look(), "\"id\": \"b4:3181\", \"state\": \"writable\""));
  repair_.cluster().Kill(4);
  repair_.cluster().RunFor(absl::Seconds(30));
  EXPECT_TRUE(repair_.Mark(LedgerId(5), {BookieId("b4:3181")}));
  const std::string view = Look();
  EXPECT_TRUE(Has(view, "\"id\": \"b4:3181\", \"state\": \"down\""));
  EXPECT_TRUE(Has(view, "\"down_since_ms\": "));
  EXPECT_TRUE(Has(view, "\"ledgers_marked\": 1"));
  EXPECT_TRUE(Has(view, "\"ledgers\": [{\"id\": 5, \"missing\": [\"b4:3181\"], \"locked\": false"));
  EXPECT_TRUE(Has(view, "\"repair_enabled\": false"));
}

TEST_F(ClusterViewTest, WhatADrainHasLeftIsCounted) {
  Serve();
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(false)).ok());
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 5);
  const BookieId emptied = RepairCluster::Id(repair_.BookieAt(ledger, 0, 0));
  EXPECT_TRUE(*repair_.Run(repair_.records().SetDraining(emptied, absl::UnixEpoch())));
  EXPECT_TRUE(Has(Look(), "\"draining_since_ms\": 0"));
  EXPECT_TRUE(Has(Look(), "\"draining_ledgers_left\": 1"));
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(true)).ok());
  for (int i = 0; i < 60 && !repair_.ReferencesTo(emptied).empty(); ++i) Look();
  Look();
  EXPECT_TRUE(Has(Look(), "\"draining_ledgers_left\": 0"));
}

TEST_F(ClusterViewTest, ThePageAndTheCommandTellOneDrainAlike) {
  Serve();
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(false)).ok());
  const LedgerId closed = repair_.WriteLedger(kThreeTwo, 5);
  const BookieId emptied = RepairCluster::Id(repair_.BookieAt(closed, 0, 0));
  std::vector<client::WriteHandle> writers;
  int64_t open = 0;
  for (int i = 0; i < 3; ++i) {
    writers.push_back(repair_.OpenLedger(kThreeTwo, 1));
    const metadata::LedgerMetadata now = repair_.Metadata(writers.back().id());
    const metadata::Ensemble& ensemble = now.last_fragment().ensemble;
    if (std::find(ensemble.begin(), ensemble.end(), emptied) != ensemble.end()) ++open;
  }
  ASSERT_GT(open, 0);
  const LedgerId damaged = repair_.WriteLedger(kThreeTwo, 1);
  EXPECT_TRUE(repair_
                  .Run(repair_.store()->Put(*cluster_->layout.PathOf(damaged), "garbage",
                                            metadata::kAnyVersion))
                  .ok());
  EXPECT_TRUE(*repair_.Run(repair_.records().SetDraining(emptied, absl::UnixEpoch())));
  Look();
  EXPECT_TRUE(Has(Look(), StrCat("\"draining_ledgers_left\": 1, \"draining_ledgers_open\": ", open,
                                 ", \"draining_ledgers_unreadable\": 1")));
}

TEST_F(ClusterViewTest, WithoutTheStoreWhatWasKnownStaysInView) {
  Serve();
  Look();
  repair_.world().metadata().Stop();
  repair_.cluster().RunFor(absl::Seconds(60));
  std::string view = Look();
  EXPECT_TRUE(Has(view, "\"store_error\": \""));
  EXPECT_TRUE(Has(view, "\"store_lost_since_ms\": "));
  EXPECT_TRUE(Has(view, "\"id\": \"b1:3181\", \"state\": \"writable\""));
  repair_.world().metadata().Start();
  repair_.cluster().RunFor(absl::Seconds(60));
  Look();
  view = Look();
  EXPECT_FALSE(Has(view, "store_error"));
}

}  // namespace
}  // namespace stele::autorecovery
