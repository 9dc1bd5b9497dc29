#include "bookie/admin/bookie_routes.h"

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "bookie/bookie_metrics.h"
#include "bookie/testing/bookie_world.h"
#include "common/base/strings.h"
#include "common/observe/testing/metrics_reader.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {
namespace {

using observe::MetricsReader;
using wire::ReplyCode;

const LedgerRequests kRequests{LedgerId(7)};
constexpr char kToken[] = "0123456789abcdef";

Task<void> Keep(Task<http::Response> task, http::Response* into) {
  *into = co_await std::move(task);
}
Task<void> KeepStatus(Task<absl::Status> task, absl::Status* into) {
  *into = co_await std::move(task);
}

class BookieRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(world_.Start().ok());
    operations_ = std::make_unique<BookieOperations>(world_.world().env(world_.process()).executor,
                                                     &world_.log());
    operations_->SetBookie(world_.bookie());
    routes_ = std::make_unique<BookieRoutes>(
        operations_.get(), world_.world().env(world_.process()),
        std::map<std::string, std::string>{{"bookiePort", "3181"},
                                           {"tlsKeyStorePassword", "hush"}});
    router_ = std::make_unique<http::Router>(kToken, &world_.log());
    routes_->AddTo(*router_);
  }

  http::Response Ask(std::string method, std::string path, std::string body = "",
                     absl::btree_map<std::string, std::string> query = {}) {
    http::Request request{.method = std::move(method),
                          .target = {.path = std::move(path), .query = std::move(query)},
                          .body = std::move(body),
                          .authorization = StrCat("Bearer ", kToken)};
    http::Response response;
    const absl::Status ran = world_.world().RunToEnd(
        world_.process(), Keep(router_->Answer(std::move(request)), &response));
    EXPECT_TRUE(ran.ok()) << ran;
    return response;
  }
  std::string Get(std::string path) { return Ask("GET", std::move(path)).body; }
  std::string Put(std::string path, std::string body) {
    return Ask("PUT", std::move(path), std::move(body)).body;
  }
  MetricsReader Metrics() {
    auto metrics = MetricsReader::Parse(Get("/metrics"));
    EXPECT_TRUE(metrics.ok()) << metrics.status();
    return metrics.ok() ? *std::move(metrics) : MetricsReader();
  }
  void ExpectOk(Task<absl::Status> task) {
    absl::Status done = absl::UnknownError("");
    EXPECT_TRUE(world_.world().RunToEnd(world_.process(), KeepStatus(std::move(task), &done)).ok());
    EXPECT_TRUE(done.ok()) << done;
  }
  void Pass(absl::Duration time) { EXPECT_TRUE(world_.world().scheduler().RunFor(time).ok()); }

  BookieWorld world_{1};
  std::unique_ptr<BookieOperations> operations_;
  std::unique_ptr<BookieRoutes> routes_;
  std::unique_ptr<http::Router> router_;
};

TEST_F(BookieRoutesTest, MeasurementsAreWhatWasDone) {
  uint64_t bytes = 0;
  for (int64_t entry = 0; entry < 5; ++entry) {
    const wire::Request add = kRequests.Add(entry, "payload", entry - 1);
    bytes += std::get<wire::AddRequest>(add.body).body.size();
    EXPECT_EQ(world_.CodeOfCall(add), ReplyCode::kOk);
  }
  for (int64_t entry = 0; entry < 3; ++entry) {
    EXPECT_EQ(world_.CodeOfCall(kRequests.Read(entry)), ReplyCode::kOk);
  }
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(9)), ReplyCode::kNoSuchEntry);
  const LedgerRequests wrong_key{.ledger = LedgerId(7), .password = "wrong"};
  EXPECT_EQ(world_.CodeOfCall(wrong_key.Add(5, "x", 4)), ReplyCode::kUnauthorized);

  const MetricsReader metrics = Metrics();
  const auto count = [&](std::string_view name, std::string_view success) {
    return metrics.Value(StrCat(name, "_count{success=\"", success, "\"}"));
  };
  EXPECT_EQ(count("bookkeeper_server_ADD_ENTRY_REQUEST", "true"), "5");
  EXPECT_EQ(count("bookkeeper_server_ADD_ENTRY_REQUEST", "false"), "1");
  EXPECT_EQ(count("bookkeeper_server_READ_ENTRY_REQUEST", "true"), "3");
  EXPECT_EQ(count("bookkeeper_server_READ_ENTRY_REQUEST", "false"), "1");
  EXPECT_EQ(metrics.Value("bookie_WRITE_BYTES"), StrCat(bytes));
  EXPECT_EQ(metrics.Value("bookie_READ_BYTES"), StrCat(bytes / 5 * 3));
  EXPECT_EQ(metrics.Value("bookkeeper_server_ADD_ENTRY_IN_PROGRESS"), "0");
  EXPECT_EQ(metrics.Value("bookkeeper_server_READ_ENTRY_IN_PROGRESS"), "0");
  EXPECT_EQ(metrics.Value("bookie_SERVER_STATUS"), "1");
  EXPECT_EQ(metrics.Value("bookie_ledgers_count"), "1");
  // Five adds and the ledger's key.
  EXPECT_EQ(metrics.Value("bookie_journal_JOURNAL_FORCE_WRITE_BATCH_ENTRIES_sum{"
                          "journalIndex=\"0\",success=\"true\"}"),
            "6");
  EXPECT_NE(metrics.Value("bookie_journal_JOURNAL_SYNC{journalIndex=\"0\",quantile=\"0.99\","
                          "success=\"true\"}"),
            "NaN");
  EXPECT_NE(metrics.Value("bookkeeper_server_ADD_ENTRY_REQUEST{quantile=\"0.5\",success=\"true\"}"),
            "0.000000");
  // The file behind the one that is written is made while that begins to be filled.
  EXPECT_EQ(metrics.Value("bookie_journal_JOURNAL_CREATION_LATENCY_count{"
                          "journalIndex=\"0\",success=\"true\"}"),
            "1");
  EXPECT_EQ(metrics.Value("bookie_write_cache_size"),
            metrics.Value("stele_mem_used_bytes{pool=\"memtable\"}"));
  EXPECT_NE(metrics.Value("bookie_write_cache_size"), "0");
}

TEST_F(BookieRoutesTest, AFencingReadIsMeasuredApart) {
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(0)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(9)), ReplyCode::kNoSuchEntry);
  const MetricsReader metrics = Metrics();
  EXPECT_EQ(metrics.Value("bookkeeper_server_READ_ENTRY_REQUEST_count{success=\"true\"}"), "1");
  EXPECT_EQ(metrics.Value("bookkeeper_server_READ_ENTRY_FENCE_REQUEST_count{success=\"true\"}"),
            "1");
  EXPECT_EQ(metrics.Value("bookkeeper_server_READ_ENTRY_FENCE_REQUEST_count{success=\"false\"}"),
            "1");
  EXPECT_EQ(metrics.Value("bookkeeper_server_READ_ENTRY_IN_PROGRESS"), "0");
}

TEST_F(BookieRoutesTest, PassesOverTheDisksAreMeasured) {
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kOk);
  EXPECT_EQ(Metrics().Value("bookie_gc_THREAD_RUNTIME_count{success=\"true\"}"), "0");
  EXPECT_EQ(Metrics().Value("stele_scrub_full_pass_age_seconds"), "absent");
  ExpectOk(world_.bookie()->CollectGarbage(std::nullopt));
  ExpectOk(world_.bookie()->Scrub());
  Pass(absl::Seconds(7));
  const MetricsReader metrics = Metrics();
  EXPECT_EQ(metrics.Value("bookie_gc_THREAD_RUNTIME_count{success=\"true\"}"), "1");
  EXPECT_EQ(metrics.Value("scrubber_runTime_count{success=\"true\"}"), "1");
  EXPECT_EQ(metrics.Value("stele_scrub_full_pass_age_seconds"), "7");
}

TEST_F(BookieRoutesTest, AFullDiskShowsInTheDirectoriesThatCanBeWritten) {
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kOk);
  EXPECT_EQ(Metrics().Value("bookie_index_writable_dirs"), "1");
  const uint64_t size = world_.machine()->disk().used_bytes();
  world_.machine()->disk().set_size_bytes(size + size / 50);
  Pass(absl::Seconds(3));
  EXPECT_EQ(Metrics().Value("bookie_index_writable_dirs"), "0");
  EXPECT_EQ(Metrics().Value("bookie_ledger_writable_dirs"), "0");
}

TEST(EntryLogMetricsTest, WhatDeletedLedgersLeftInEntryLogsIsDebt) {
  observe::MetricsText text{MonotonicTime()};
  ExportEntryLogs({{EntryLogId(1), 100, 60}, {EntryLogId(2), 50, 50}}, text);
  const auto metrics = MetricsReader::Parse(text.ToString());
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(metrics->Value("bookie_gc_ACTIVE_ENTRY_LOG_SPACE_BYTES"), "150");
  EXPECT_EQ(metrics->Value("stele_compaction_debt_bytes"), "40");
}

TEST_F(BookieRoutesTest, WhatElseTheProcessMeasuresIsShownToo) {
  routes_->ShowAlso([](observe::MetricsText& into) { into.Counter("else_total", {}, 3); });
  EXPECT_EQ(Metrics().Value("else_total"), "3");
}

TEST_F(BookieRoutesTest, FilesAndMarksAreNamedInApachesWords) {
  EXPECT_EQ(Get("/api/v1/bookie/last_log_mark"),
            "{\"LastLogMark: Journal Id - 0(0.txn)\": \"Pos - 0\"}\n");
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kOk);
  absl::Status done = absl::UnknownError("");
  EXPECT_TRUE(
      world_.world().RunToEnd(world_.process(), KeepStatus(operations_->Checkpoint(), &done)).ok());
  EXPECT_TRUE(done.ok()) << done;
  const std::string mark = Get("/api/v1/bookie/last_log_mark");
  EXPECT_NE(mark.find(".txn)\": \"Pos - "), std::string::npos) << mark;
  EXPECT_EQ(mark.find("- 0(0.txn)"), std::string::npos) << mark;
  const std::string files = Get("/api/v1/bookie/list_disk_file");
  EXPECT_NE(files.find(".txn\\t"), std::string::npos) << files;
  EXPECT_NE(files.find("\"entrylog files\": \"0.log\\t\""), std::string::npos) << files;
  EXPECT_NE(files.find("\"index files\": \"7.idx\\t\""), std::string::npos) << files;
  EXPECT_EQ(Ask("GET", "/api/v1/bookie/list_disk_file", "", {{"file_type", "index"}}).body,
            "{\"index files\": \"7.idx\\t\"}\n");
  operations_->SetBookie(nullptr);
  EXPECT_EQ(Ask("GET", "/api/v1/bookie/list_disk_file").status, 503);
}

TEST_F(BookieRoutesTest, ItsOwnView) {
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kOk);
  const std::string view = Get("/api/v1/stele/view");
  for (const std::string_view part :
       {"\"scope\": \"bookie\", \"name\": \"bookie:3181\"", "\"state\": \"writable\"",
        "\"adds\": 1", "\"journal_sync_p99_us\": ",
        "\"directories\": [{\"path\": \"/data/ledgers\", \"used_permyriad\": "}) {
    EXPECT_NE(view.find(part), std::string::npos) << part << " in " << view;
  }
  EXPECT_NE(Get("/").find("<h1"), std::string::npos);
}

TEST_F(BookieRoutesTest, BadInputIsCountedByItsReason) {
  EXPECT_EQ(Metrics().Value("stele_bad_input_total{reason=\"frame_length\"}"), "absent");
  world_.Run([](Env env, Endpoint to) -> Task<void> {
    WireClient client(env, wire::ProtocolVersion::kV3);
    (co_await client.Connect(to)).IgnoreError();
    client.SendFrame(Buffer::CopyOf("\xFF\xFF\xFF"));
    co_await client.UntilClosed();
  }(world_.peer_env(), world_.endpoint()));
  std::string all = Get("/metrics");
  EXPECT_NE(all.find("stele_bad_input_total{reason=\""), std::string::npos) << all;
}

TEST_F(BookieRoutesTest, TheOperatorsReadOnlySwitch) {
  EXPECT_EQ(Get("/api/v1/bookie/state/readonly"), "{\"readOnly\": false}\n");
  EXPECT_EQ(Put("/api/v1/bookie/state/readonly", "{\"readOnly\":true}"), "{\"readOnly\": true}\n");
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kReadOnly);
  Pass(absl::Seconds(5));
  EXPECT_EQ(Get("/readyz"), "read-only\n");
  EXPECT_EQ(Metrics().Value("bookie_SERVER_STATUS"), "0");
  EXPECT_EQ(Get("/api/v1/bookie/state"),
            "{\"running\": true, \"readOnly\": true, \"shuttingDown\": false, "
            "\"availableForHighPriorityWrites\": true}\n");
  EXPECT_EQ(Put("/api/v1/bookie/state/readonly", "{\"readOnly\":false}"),
            "{\"readOnly\": false}\n");
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kOk);
  Pass(absl::Seconds(5));
  EXPECT_EQ(Get("/readyz"), "writable\n");
}

TEST_F(BookieRoutesTest, TheSwitchDoesNotOverruleTheConfiguration) {
  world_.Kill();
  world_.options().force_read_only = true;
  SetUp();
  EXPECT_EQ(Ask("PUT", "/api/v1/bookie/state/readonly", "{\"readOnly\":false}").status, 400);
  world_.Kill();
  world_.options().force_read_only = false;
  world_.options().read_only_mode_enabled = false;
  SetUp();
  EXPECT_EQ(Ask("PUT", "/api/v1/bookie/state/readonly", "{\"readOnly\":true}").status, 400);
  EXPECT_EQ(Get("/api/v1/bookie/state/readonly"), "{\"readOnly\": false}\n");
}

TEST_F(BookieRoutesTest, CollectionsStartAndCompactionsAreSuspended) {
  EXPECT_EQ(Get("/api/v1/bookie/gc"), "{\"is_in_force_gc\": \"false\"}\n");
  EXPECT_EQ(Put("/api/v1/bookie/gc", ""), "\"Triggered GC on BookieServer: bookie:3181\"\n");
  Pass(absl::Seconds(10));
  EXPECT_EQ(Get("/api/v1/bookie/gc"), "{\"is_in_force_gc\": \"false\"}\n");
  EXPECT_EQ(Metrics().Value("stele_gc_passes_total"), "1");
  EXPECT_EQ(Metrics().Value("bookie_gc_MAJOR_COMPACTION_TOTAL"), "1");
  Put("/api/v1/bookie/gc", "{\"forceMajor\":false,\"forceMinor\":true}");
  Pass(absl::Seconds(10));
  EXPECT_EQ(Get("/api/v1/bookie/gc_details"),
            "[{\"forceCompacting\": false, \"majorCompacting\": false, \"minorCompacting\": false, "
            "\"majorCompactionCounter\": 1, \"minorCompactionCounter\": 1}]\n");
  const std::string suspend = "/api/v1/bookie/gc/suspend_compaction";
  EXPECT_EQ(Put(suspend, "{\"suspendMajor\":true}"),
            "{\"isMajorGcSuspended\": \"true\", \"isMinorGcSuspended\": \"false\"}\n");
  EXPECT_EQ(Put("/api/v1/bookie/gc/resume_compaction", "{\"resumeMajor\":true}"), Get(suspend));
  EXPECT_EQ(Get(suspend),
            "{\"isMajorGcSuspended\": \"false\", \"isMinorGcSuspended\": \"false\"}\n");
}

TEST_F(BookieRoutesTest, BadBodiesChangeNothing) {
  for (const std::string path :
       {"state/readonly", "gc/suspend_compaction", "gc/resume_compaction"}) {
    for (const std::string body : {"", "{", "[]",
                                   "{\"readOnly\":1,\"suspendMajor\":1,"
                                   "\"resumeMajor\":1}",
                                   "{\"readOnly\":\"true\","
                                   "\"suspendMajor\":null}"}) {
      EXPECT_EQ(Ask("PUT", "/api/v1/bookie/" + path, body).status, 400) << path << body;
    }
  }
  EXPECT_EQ(Ask("PUT", "/api/v1/bookie/gc", "{\"forceMajor\":0}").status, 400);
  EXPECT_EQ(Get("/api/v1/bookie/state/readonly"), "{\"readOnly\": false}\n");
}

TEST_F(BookieRoutesTest, ProbesTellLifeFromService) {
  EXPECT_EQ(Get("/heartbeat"), "OK\n");
  EXPECT_EQ(Get("/api/v1/bookie/is_ready"), "OK\n");
  EXPECT_EQ(Get("/readyz"), "writable\n");
  operations_->SetBookie(nullptr);
  EXPECT_EQ(Ask("GET", "/healthz").status, 200);
  EXPECT_EQ(Ask("GET", "/livez").status, 200);
  for (const std::string path :
       {"/startupz", "/readyz", "/metrics", "/api/v1/bookie/is_ready", "/api/v1/bookie/state"}) {
    EXPECT_EQ(Ask("GET", path).status, 503) << path;
  }
  EXPECT_EQ(Ask("PUT", "/api/v1/bookie/state/readonly", "{\"readOnly\":true}").status, 503);
}

TEST_F(BookieRoutesTest, SecretsAreNotShown) {
  EXPECT_EQ(Get("/api/v1/config/server_config"),
            "{\"bookiePort\": \"3181\", \"tlsKeyStorePassword\": \"(hidden)\"}\n");
}

TEST_F(BookieRoutesTest, SpaceIsThatOfTheLedgerDirectories) {
  const BookieStatus status = world_.bookie()->Status();
  EXPECT_EQ(Get("/api/v1/bookie/info"),
            StrCat("{\"freeSpace\": ", status.disk.free_bytes,
                   ", \"totalSpace\": ", status.disk.total_bytes, "}\n"));
  EXPECT_EQ(Metrics().Value("bookie_ledger_num_dirs"), "1");
  EXPECT_EQ(Metrics().Value("stele_dir_free_bytes{dir=\"/data/ledgers\"}"),
            StrCat(status.disk.free_bytes));
}

}  // namespace
}  // namespace stele::bookie
