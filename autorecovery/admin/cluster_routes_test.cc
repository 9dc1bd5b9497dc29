#include "autorecovery/admin/cluster_routes.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/admin/ledger_routes.h"
#include "autorecovery/internal/testing/repair_cluster.h"
#include "common/base/strings.h"

namespace stele::autorecovery {
namespace {

constexpr char kToken[] = "0123456789abcdef";
constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};
constexpr quorum::Replication kOne{
    .ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1};

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

class ClusterRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    repair_.StartAutorecovery("a");
    simulation::SimProcess* const process = repair_.process("a");
    store_ = std::make_unique<CountingStore>(repair_.world().NewMetadataStore(process));
    const Env env = repair_.world().env(process);
    routes_ = std::make_unique<ClusterRoutes>(env, &operations_, &log_);
    ledger_routes_ = std::make_unique<LedgerRoutes>(env, &operations_);
    router_ = std::make_unique<http::Router>(kToken, &log_);
    routes_->AddTo(*router_);
    ledger_routes_->AddTo(*router_);
    repair_.cluster().RunUntil(
        [&] { return repair_.autorecovery("a").auditor_status().is_leader; });
    absl::StatusOr<metadata::Cluster> cluster = absl::UnknownError("not looked for");
    EXPECT_TRUE(repair_.world().RunToEnd(process, FindCluster(store_.get(), &cluster)).ok());
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    operations_.SetAccess({store_.get(), *cluster, RepairCluster::QuickOptions().client});
  }

  http::Response Ask(std::string method, std::string_view target, std::string body = "",
                     std::string authorization = StrCat("Bearer ", kToken)) {
    http::Request request{.method = std::move(method),
                          .target = *http::ParseTarget(target),
                          .body = std::move(body),
                          .authorization = std::move(authorization)};
    http::Response response;
    const absl::Status ran = repair_.world().RunToEnd(
        repair_.process("a"), Keep(router_->Answer(std::move(request)), &response));
    EXPECT_TRUE(ran.ok()) << ran;
    return response;
  }
  std::string Get(std::string_view target) { return Ask("GET", target).body; }
  void DisableRepair() { EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(false)).ok()); }

  RepairCluster repair_{1, 4};
  NoLog log_;
  std::unique_ptr<CountingStore> store_;
  ClusterOperations operations_;
  std::unique_ptr<ClusterRoutes> routes_;
  std::unique_ptr<LedgerRoutes> ledger_routes_;
  std::unique_ptr<http::Router> router_;
};

TEST_F(ClusterRoutesTest, WithoutAWayToTheClusterNothingIsAnswered) {
  operations_.ClearAccess();
  EXPECT_EQ(Ask("GET", "/api/v1/autorecovery/status").status, 503);
  EXPECT_EQ(Ask("GET", "/api/v1/bookie/cluster_info").status, 503);
  EXPECT_EQ(Ask("GET", "/api/v1/ledger/list").status, 503);
  EXPECT_EQ(Ask("DELETE", "/api/v1/ledger/delete?ledger_id=0").status, 503);
}

TEST_F(ClusterRoutesTest, ApachesPathsOfAutorecovery) {
  const std::string v1 = "/api/v1/autorecovery/";
  EXPECT_EQ(Get(v1 + "status"), "{\"enabled\": true}\n");
  EXPECT_EQ(Ask("PUT", v1 + "status?enabled=false").body, "{\"enabled\": false}\n");
  EXPECT_EQ(Get(v1 + "status"), "{\"enabled\": false}\n");
  EXPECT_EQ(Ask("PUT", v1 + "status?enabled=maybe").status, 400);
  EXPECT_EQ(Get(v1 + "who_is_auditor"), "Auditor: a\n");

  EXPECT_EQ(Ask("GET", v1 + "list_under_replicated_ledger").status, 404);
  EXPECT_TRUE(repair_.Mark(LedgerId(5), {BookieId("x:1"), BookieId("y:1")}));
  EXPECT_TRUE(repair_.Mark(LedgerId(3), {BookieId("y:1")}));
  const std::string list = v1 + "list_under_replicated_ledger";
  EXPECT_EQ(Get(list), "[3, 5]\n");
  EXPECT_EQ(Get(list + "?missingreplica=x:1"), "[5]\n");
  EXPECT_EQ(Get(list + "?missingreplica=y%3A1&excludingmissingreplica=x:1"), "[3]\n");
  EXPECT_EQ(Get(list + "?printmissingreplica=true"),
            "{\"3\": [\"y:1\"], \"5\": [\"x:1\", \"y:1\"]}\n");

  const std::string delay = v1 + "lost_bookie_recovery_delay";
  EXPECT_EQ(Ask("PUT", delay, "{\"delay_seconds\": 300}").status, 200);
  EXPECT_EQ(Get(delay), "lostBookieRecoveryDelay value: 300\n");
  for (const std::string body : {"", "{}", "{\"delay_seconds\": -1}", "{\"delay_seconds\": 1e12}",
                                 "{\"delay_seconds\": \"1\"}", "{\"delay_seconds\": 1.5}"}) {
    EXPECT_EQ(Ask("PUT", delay, body).status, 400) << body;
  }
  EXPECT_EQ(Get(delay), "lostBookieRecoveryDelay value: 300\n");
  EXPECT_EQ(Ask("PUT", v1 + "status?enabled=true").body, "{\"enabled\": true}\n");
  repair_.cluster().Kill(4);
  repair_.cluster().RunFor(absl::Seconds(30));
  const int64_t audits = repair_.autorecovery("a").auditor_status().audits;
  EXPECT_EQ(Ask("PUT", v1 + "trigger_audit").status, 200);
  repair_.cluster().RunUntil(
      [&] { return repair_.autorecovery("a").auditor_status().audits > audits; });
}

TEST_F(ClusterRoutesTest, BookiesAreListedAsApacheDoes) {
  const std::string v1 = "/api/v1/bookie/";
  EXPECT_EQ(Get(v1 + "list_bookies"),
            "{\"b1:3181\": null, \"b2:3181\": null, \"b3:3181\": null, \"b4:3181\": null}\n");
  EXPECT_EQ(Get(v1 + "list_bookies?type=ro"), "{}\n");
  EXPECT_NE(Get(v1 + "list_bookies?type=rw&print_hostnames=true").find("\"b2:3181\": \"b2\""),
            std::string::npos);
  const std::string infos = Get(v1 + "list_bookie_info");
  EXPECT_NE(infos.find("\"b4:3181\": \": {Free: "), std::string::npos) << infos;
  EXPECT_NE(infos.find("},\", \"ClusterInfo: \": \"{Free: "), std::string::npos) << infos;
  repair_.cluster().Kill(4);
  repair_.cluster().RunFor(absl::Seconds(30));
  EXPECT_EQ(Get(v1 + "list_bookie_info").find("b4:3181"), std::string::npos);
  EXPECT_EQ(Get(v1 + "cluster_info"),
            "{\"auditorElected\": true, \"auditorId\": \"a\", \"clusterUnderReplicated\": false, "
            "\"ledgerReplicationEnabled\": true, \"totalBookiesCount\": 4, "
            "\"writableBookiesCount\": 3, \"readonlyBookiesCount\": 0, "
            "\"unavailableBookiesCount\": 1}\n");
}

TEST_F(ClusterRoutesTest, ABookieThatIsDownIsRecoveredWhenItIsAskedFor) {
  DisableRepair();
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 5);
  const BookieId gone = RepairCluster::Id(repair_.BookieAt(ledger, 0, 0));
  const std::string v1 = "/api/v1/autorecovery/";
  const std::string list = StrCat("{\"bookie_src\": [\"", gone.value(), "\"]}");
  EXPECT_EQ(Ask("PUT", v1 + "bookie", list).status, 409) << "it is up";
  repair_.cluster().Kill(RepairCluster::NumberOf(gone));
  repair_.cluster().RunFor(absl::Seconds(30));
  EXPECT_EQ(repair_.CountTasks(), 0u);
  for (const std::string body : {"", "{}", "{\"bookie_src\": []}", "{\"bookie_src\": \"b1:3181\"}",
                                 "{\"bookie_src\": [\"a/b\"]}",
                                 "{\"bookie_src\": [\"b1:3181\"], \"delete_cookie\": true}"}) {
    EXPECT_EQ(Ask("PUT", v1 + "bookie", body).status, 400) << body;
  }
  EXPECT_EQ(Ask("PUT", v1 + "decommission", list).status, 400) << "one, by its name";
  EXPECT_EQ(Ask("PUT", v1 + "bookie", list).body, "Success send recovery request command.\n");
  repair_.cluster().RunUntil([&] { return repair_.CountTasks() == 1; });
  const http::Response again =
      Ask("PUT", v1 + "decommission", StrCat("{\"bookie_src\": \"", gone.value(), "\"}"));
  EXPECT_EQ(again.body, StrCat("Success send decommission Bookie command ", gone.value(), "\n"));
  EXPECT_TRUE(repair_.Run(repair_.settings().SetEnabled(true)).ok());
  repair_.RunUntilRepaired();
  repair_.ExpectFullyReplicated(ledger);
}

TEST_F(ClusterRoutesTest, SeveralBookiesAreRecoveredWithOneLookAtTheLedgers) {
  constexpr int64_t kLedgers = 40;
  DisableRepair();
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 1);
  for (int64_t i = 1; i < kLedgers; ++i) repair_.WriteLedger(kThreeTwo, 1);
  std::vector<BookieId> gone;
  for (BookieIndex i = 0; i < 2; ++i) {
    gone.push_back(RepairCluster::Id(repair_.BookieAt(ledger, 0, i)));
    repair_.cluster().Kill(RepairCluster::NumberOf(gone.back()));
  }
  repair_.cluster().RunFor(absl::Seconds(30));
  const int64_t before = store_->operations();
  EXPECT_EQ(Ask("PUT", "/api/v1/autorecovery/bookie",
                StrCat("{\"bookie_src\": [\"", gone[0].value(), "\", \"", gone[1].value(), "\"]}"))
                .status,
            200);
  // Every ledger has three of the four: each names one of the two at least.
  repair_.cluster().RunUntil([&] { return repair_.CountTasks() == kLedgers; });
  EXPECT_EQ(repair_.FindTask(ledger)->mark.replicas.size(), 2u);
  // One read and one mark for each, and a few for the whole.
  EXPECT_LE(store_->operations() - before, 2 * kLedgers + 20);
}

TEST_F(ClusterRoutesTest, LedgersAreListedWithTheirMetadata) {
  const LedgerId closed = repair_.WriteLedger(kOne, 2);
  const client::WriteHandle writer = repair_.OpenLedger(kOne, 1);
  EXPECT_EQ(Get("/api/v1/ledger/list"),
            StrCat("{\"", closed.value(), "\": null, \"", writer.id().value(), "\": null}\n"));
  const std::string metadata = Get(StrCat("/api/v1/ledger/metadata?ledger_id=", closed.value()));
  EXPECT_EQ(metadata.find(StrCat("{\"", closed.value(), "\": {\"ledgerId\": ", closed.value(),
                                 ", \"metadataFormatVersion\": 3, \"ensembleSize\": 1, ")),
            0u)
      << metadata;
  EXPECT_NE(metadata.find("\"state\": \"CLOSED\", \"length\": "), std::string::npos);
  EXPECT_NE(metadata.find("\"lastEntryId\": 1, \"ctime\": "), std::string::npos);
  EXPECT_NE(metadata.find("\"digestType\": \"CRC32C\", \"password\": \"\""), std::string::npos)
      << "the password is not shown: " << metadata;
  EXPECT_NE(metadata.find("\"allEnsembles\": {\"0\": [{\"id\": \"b"), std::string::npos);
  const std::string all = Get("/api/v1/ledger/list?print_metadata=true&decode_meta=true");
  EXPECT_NE(all.find(metadata.substr(1, metadata.size() - 3)), std::string::npos) << all;
  EXPECT_NE(all.find("\"state\": \"OPEN\", \"length\": 0, \"lastEntryId\": -1"), std::string::npos);
  EXPECT_EQ(Get("/api/v1/ledger/list?page=2"), "{}\n");
  for (const std::string query : {"list?page=0", "list?page=x", "metadata", "metadata?ledger_id=-1",
                                  "read", "read?ledger_id=0&start_entry_id=5&end_entry_id=4"}) {
    EXPECT_EQ(Ask("GET", "/api/v1/ledger/" + query).status, 400) << query;
  }
  EXPECT_EQ(Ask("GET", "/api/v1/ledger/metadata?ledger_id=99").status, 404);
}

TEST_F(ClusterRoutesTest, ManyLedgersAreGivenByPages) {
  for (int i = 0; i < 101; ++i) repair_.WriteLedger(kOne, 0);
  const std::string with = "/api/v1/ledger/list?print_metadata=true";
  EXPECT_EQ(Ask("GET", with).status, 400) << "a part would look like the whole";
  const std::string first = Get(with + "&page=1");
  const std::string second = Get(with + "&page=2");
  EXPECT_NE(first.find("\"ledgerId\": 99,"), std::string::npos);
  EXPECT_EQ(first.find("\"ledgerId\": 100,"), std::string::npos);
  EXPECT_EQ(second.find("{\"100\": {\"ledgerId\": 100,"), 0u) << second;
}

TEST_F(ClusterRoutesTest, EntriesAreReadWithTheTokenAlone) {
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 1'001);
  const auto text = [&](int64_t entry) {
    return StrCat("\"", entry, "\": \"", RepairCluster::PayloadOf(ledger, entry), "\"");
  };
  const std::string read = StrCat("/api/v1/ledger/read?ledger_id=", ledger.value());
  EXPECT_EQ(Ask("GET", read, "", "").status, 401);
  EXPECT_EQ(Ask("GET", read, "", "Bearer wrong-wrong-wrong").status, 403);
  EXPECT_EQ(Get(read + "&start_entry_id=3&end_entry_id=4"),
            StrCat("{", text(3), ", ", text(4), "}\n"));
  EXPECT_EQ(Ask("GET", read).status, 400) << "more than a page";
  const std::string second = StrCat("{\"Entries for page: \": \"2\", ", text(1'000), "}\n");
  EXPECT_EQ(Get(read + "&page=2"), second);
  EXPECT_EQ(Get(read + "&page=3"), "{\"Entries for page: \": \"3\"}\n");
  EXPECT_EQ(Ask("GET", "/api/v1/ledger/read?ledger_id=99").status, 404);
}

TEST_F(ClusterRoutesTest, AnAnswerOfEntriesIsBounded) {
  client::WriteHandle writer = repair_.OpenLedger(kOne, 0);
  const Buffer large = Buffer::CopyOf(std::string(900 << 10, '\xe9'));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(repair_.cluster().Get(writer.Append(large, UseFuture())).ok());
  }
  ASSERT_TRUE(repair_.cluster().Get(writer.Close(UseFuture())).ok());
  const std::string read = StrCat("/api/v1/ledger/read?ledger_id=", writer.id().value());
  const http::Response all = Ask("GET", read);
  EXPECT_EQ(all.status, 400);
  EXPECT_NE(all.body.find("ask for fewer"), std::string::npos) << all.body;
  const std::string one = Get(read + "&end_entry_id=0");
  EXPECT_EQ(one.find("{\"0\": \"\xef\xbf\xbd\xef\xbf\xbd"), 0u) << "no ASCII";
}

TEST_F(ClusterRoutesTest, WhatMayHaveAWriterIsNotDeletedByTheWay) {
  const LedgerId closed = repair_.WriteLedger(kOne, 1);
  const client::WriteHandle writer = repair_.OpenLedger(kOne, 1);
  const auto path = [](LedgerId ledger) {
    return StrCat("/api/v1/ledger/delete?ledger_id=", ledger.value());
  };
  EXPECT_EQ(Ask("DELETE", path(closed), "", "").status, 401);
  EXPECT_EQ(Ask("GET", path(closed)).status, 405);
  EXPECT_EQ(Ask("DELETE", path(closed)).body, StrCat("\"Deleted ledger: ", closed.value(), "\"\n"));
  EXPECT_EQ(Ask("DELETE", path(closed)).status, 404);
  EXPECT_EQ(Ask("DELETE", path(writer.id())).status, 409);
  EXPECT_EQ(Ask("DELETE", path(writer.id()) + "&force=true").status, 200);
  EXPECT_EQ(Get("/api/v1/ledger/list"), "{}\n");
}

}  // namespace
}  // namespace stele::autorecovery
