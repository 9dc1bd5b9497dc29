// The admin port of a real bookie: what it says is what was done, and what strangers send there
// harms nobody.
#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "bookie/testing/wire_client.h"
#include "common/base/strings.h"
#include "common/observe/testing/metrics_reader.h"
#include "integration_tests/live_bookie.h"

namespace stele::integration {
namespace {

using observe::MetricsReader;
using wire::ReplyCode;

constexpr int kUsage = 2;  // an exit code, from docs/CLI.md
constexpr char kToken[] = "a token of some length";

std::string TokenFile() {
  const std::string path = StrCat(std::getenv("TEST_TMPDIR"), "/token");
  std::ofstream(path) << kToken << "\n";
  chmod(path.c_str(), 0600);
  return path;
}

class AdminPortTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    bookie_ = std::make_unique<LiveBookie>(
        LiveBookie::Options{.settings = {"httpServerEnabled=true", "httpServerPort=0",
                                         StrCat("stele.httpTokenFile=", TokenFile())}});
    writer_ = std::make_unique<HealthyWriter>(bookie_->endpoint());
  }
  static void TearDownTestSuite() {
    writer_.reset();
    EXPECT_EQ(bookie_->Stop(), 0) << bookie_->log();
    bookie_.reset();
  }
  void TearDown() override {
    ASSERT_TRUE(bookie_->IsRunning()) << bookie_->log();
    EXPECT_TRUE(writer_->AwaitProgress());
  }

  // The whole answer.
  static std::string Send(std::string_view bytes) {
    real::RawPeer peer(bookie_->http_endpoint());
    peer.Send(bytes);
    return peer.ReceiveAll();
  }
  static std::string Ask(std::string_view method, std::string_view target,
                         std::string_view headers = "", std::string_view body = "") {
    return Send(StrCat(method, " ", target, " HTTP/1.1\r\nContent-Length: ", body.size(),
                       "\r\nConnection: close\r\n", headers, "\r\n", body));
  }
  static int StatusOf(const std::string& answer) {
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(answer.substr(9)) : 0;
  }
  static std::string BodyOf(const std::string& answer) {
    const size_t end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
  }
  static MetricsReader Metrics() {
    auto metrics = MetricsReader::Parse(BodyOf(Ask("GET", "/metrics")));
    EXPECT_TRUE(metrics.ok()) << metrics.status();
    return metrics.ok() ? *std::move(metrics) : MetricsReader();
  }
  static int64_t Number(const std::string& sample) {
    const std::string value = Metrics().Value(sample);
    EXPECT_NE(value, "absent") << sample;
    return value == "absent" ? 0 : std::stoll(value);
  }

  static std::unique_ptr<LiveBookie> bookie_;
  static std::unique_ptr<HealthyWriter> writer_;
};

std::unique_ptr<LiveBookie> AdminPortTest::bookie_;
std::unique_ptr<HealthyWriter> AdminPortTest::writer_;

const std::string kToAdmit = StrCat("Authorization: Bearer ", kToken, "\r\n");

TEST_F(AdminPortTest, MeasurementsAreWhatWasDone) {
  const std::string reads = "bookkeeper_server_READ_ENTRY_REQUEST_count{success=\"true\"}";
  const std::string misses = "bookkeeper_server_READ_ENTRY_REQUEST_count{success=\"false\"}";
  const int64_t reads_before = Number(reads);
  const int64_t misses_before = Number(misses);
  const bookie::LedgerRequests requests{LedgerId(5)};
  EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Add(0, "entry")).code, ReplyCode::kOk);
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Read(0)).code, ReplyCode::kOk);
  }
  EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Read(1)).code, ReplyCode::kNoSuchEntry);
  EXPECT_EQ(Number(reads), reads_before + 7);
  EXPECT_EQ(Number(misses), misses_before + 1);
  const MetricsReader metrics = Metrics();
  EXPECT_EQ(metrics.Value("bookie_SERVER_STATUS"), "1");
  EXPECT_NE(metrics.Value("bookie_journal_JOURNAL_SYNC{journalIndex=\"0\",quantile=\"0.99\","
                          "success=\"true\"}"),
            "NaN");
}

TEST_F(AdminPortTest, ProbesAndBookKeepersPaths) {
  EXPECT_EQ(BodyOf(Ask("GET", "/heartbeat")), "OK\n");
  EXPECT_EQ(BodyOf(Ask("GET", "/readyz")), "writable\n");
  EXPECT_EQ(BodyOf(Ask("GET", "/api/v1/bookie/state/readonly")), "{\"readOnly\": false}\n");
  EXPECT_NE(BodyOf(Ask("GET", "/api/v1/bookie/list_bookies")).find("\": null"), std::string::npos);
  EXPECT_NE(BodyOf(Ask("GET", "/api/v1/bookie/cluster_info")).find("\"writableBookiesCount\": 1"),
            std::string::npos);
  EXPECT_EQ(BodyOf(Ask("GET", "/api/v1/ledger/list")), "{}\n");
  EXPECT_EQ(StatusOf(Ask("GET", "/api/v1/ledger/read?ledger_id=0")), 401);
  EXPECT_EQ(StatusOf(Ask("GET", "/api/v1/ledger/read?ledger_id=0", kToAdmit)), 404);
  EXPECT_EQ(StatusOf(Ask("DELETE", "/api/v1/ledger/delete?ledger_id=12345", kToAdmit)), 404);
  EXPECT_NE(Ask("GET", "/api/v1/bookie/info").find("Content-Type: application/json\r\n"),
            std::string::npos);
}

// Row 47 of docs/BAD_INPUT.md.
TEST_F(AdminPortTest, Row47WhatIsNotAskedProperlyIsRefused) {
  EXPECT_EQ(StatusOf(Ask("GET", "/nowhere")), 404);
  EXPECT_EQ(StatusOf(Ask("GET", "/../etc/passwd")), 404);
  EXPECT_EQ(StatusOf(Ask("GET", "/%2e%2e/metrics")), 404);
  EXPECT_EQ(StatusOf(Ask("POST", "/metrics")), 405);
  EXPECT_EQ(StatusOf(Ask("BREW", "/metrics")), 405);
  EXPECT_EQ(StatusOf(Ask("HEAD", "/metrics")), 405);
  for (const std::string body : {"{", "{\"readOnly\":1}", "{\"readOnly\":true,\"readOnly\":true}",
                                 "{\"readOnly\":-1e999}"}) {
    EXPECT_EQ(StatusOf(Ask("PUT", "/api/v1/bookie/state/readonly", kToAdmit, body)), 400) << body;
  }
  EXPECT_EQ(StatusOf(Ask("GET", "/metrics", StrCat("X: ", std::string(16'384, 'x'), "\r\n"))), 431);
  EXPECT_EQ(StatusOf(Ask("PUT", "/api/v1/bookie/gc", kToAdmit, std::string(65'537, ' '))), 413);
  EXPECT_EQ(StatusOf(Send("PUT /api/v1/bookie/gc HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")),
            411);
  EXPECT_EQ(StatusOf(Send("PUT /api/v1/bookie/gc HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                          "Content-Length: 4\r\n\r\n")),
            400);
  EXPECT_EQ(StatusOf(Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), 400);
  EXPECT_EQ(StatusOf(Send(std::string_view("GET /\0 HTTP/1.1\r\n\r\n", 19))), 400);
  EXPECT_EQ(Metrics().Value("bookie_SERVER_STATUS"), "1");
}

TEST_F(AdminPortTest, Row47PeersThatStopHoldNothingUp) {
  std::vector<std::unique_ptr<real::RawPeer>> peers;
  for (int i = 0; i < 50; ++i) {
    peers.push_back(std::make_unique<real::RawPeer>(bookie_->http_endpoint()));
    if (i % 3 == 1) peers.back()->Send("GET /metrics HTTP/1.1\r\nX: ");
    if (i % 3 == 2) {
      peers.back()->Send("PUT /api/v1/bookie/gc HTTP/1.1\r\nContent-Length: 9\r\n\r\n{");
    }
  }
  EXPECT_EQ(BodyOf(Ask("GET", "/healthz")), "ok\n");
  EXPECT_TRUE(writer_->AwaitProgress());
  for (size_t i = 0; i < peers.size(); i += 2) peers[i]->Reset();
  EXPECT_EQ(BodyOf(Ask("GET", "/healthz")), "ok\n");
}

// Row 48.
TEST_F(AdminPortTest, Row48ChangesNeedTheToken) {
  const std::string path = "/api/v1/bookie/state/readonly";
  const std::string body = "{\"readOnly\":true}";
  EXPECT_EQ(StatusOf(Ask("PUT", path, "", body)), 401);
  EXPECT_EQ(StatusOf(Ask("PUT", path, "Authorization: Bearer wrong\r\n", body)), 403);
  EXPECT_EQ(StatusOf(Ask("PUT", path, kToAdmit + "Origin: http://evil\r\n", body)), 403);
  EXPECT_EQ(StatusOf(Ask("GET", path + "?readOnly=true", kToAdmit, body)), 200);
  EXPECT_EQ(BodyOf(Ask("GET", path)), "{\"readOnly\": false}\n");
  EXPECT_NE(bookie_->log().find("asked over HTTP for what needs the token"), std::string::npos);
  EXPECT_EQ(bookie_->log().find(kToken), std::string::npos);
}

// Row 49.
TEST_F(AdminPortTest, Row49TheConfigurationIsShownWithoutSecrets) {
  const std::string shown = BodyOf(Ask("GET", "/api/v1/config/server_config"));
  EXPECT_NE(shown.find("\"httpServerEnabled\": \"true\""), std::string::npos) << shown;
  EXPECT_NE(shown.find("\"stele.httpTokenFile\": \"(hidden)\""), std::string::npos) << shown;
  EXPECT_EQ(shown.find(kToken), std::string::npos);
}

TEST(AdminPortStartTest, ATokenThatOthersCanReadIsRefused) {
  const std::string path = TokenFile();
  LiveBookie bookie({.settings = {"httpServerEnabled=true", "httpServerPort=0",
                                  StrCat("stele.httpTokenFile=", path)}});
  EXPECT_EQ(bookie.Stop(), 0);
  chmod(path.c_str(), 0644);
  EXPECT_FALSE(bookie.Start());
  EXPECT_EQ(bookie.exit_code(), kUsage);
}

TEST(AdminPortStartTest, WithoutATokenNothingIsChangedAndAnOpenConnectionDoesNotHoldUpTheEnd) {
  LiveBookie bookie({.settings = {"httpServerEnabled=true", "httpServerPort=0"}});
  real::RawPeer idle(bookie.http_endpoint());
  real::RawPeer peer(bookie.http_endpoint());
  peer.Send(
      "PUT /api/v1/bookie/gc HTTP/1.1\r\nAuthorization: Bearer \r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(peer.Receive(12), "HTTP/1.1 403");
  EXPECT_EQ(bookie.Stop(), 0) << bookie.log();
}

TEST(AdminPortStartTest, ItIsOffUnlessItIsAskedFor) {
  const LiveBookie bookie({});
  EXPECT_EQ(bookie.log().find("admin port"), std::string::npos);
}

}  // namespace
}  // namespace stele::integration
