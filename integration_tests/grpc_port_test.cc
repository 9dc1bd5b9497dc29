// gRPC of real processes, called by a real client: what it says is what was done, and what
// strangers send there harms nobody.
#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bookie/testing/wire_client.h"
#include "common/base/strings.h"
#include "integration_tests/child_process.h"
#include "integration_tests/live_bookie.h"
#include "proto/grpc_health.grpc.pb.h"
#include "proto/stele_admin.grpc.pb.h"

namespace stele::integration {
namespace {

namespace v1 = stele::admin::v1;
namespace health = grpc::health::v1;
using wire::ReplyCode;

constexpr int kUsage = 2;  // an exit code, from docs/CLI.md
constexpr char kToken[] = "a token of some length";
constexpr size_t kConnectionsMax = 64;  // docs/GRPC.md
constexpr size_t kStreamsMax = 32;
constexpr int kMessageMaxBytes = 64 << 10;

std::string TokenFile() {
  const std::string path = StrCat(std::getenv("TEST_TMPDIR"), "/grpc-token");
  std::ofstream(path) << kToken << "\n";
  chmod(path.c_str(), 0600);
  return path;
}

// A connection of its own.
std::shared_ptr<grpc::Channel> Connect(const Endpoint& to) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(StrCat(to.host, ":", to.port),
                                   grpc::InsecureChannelCredentials(), arguments);
}

// One call's context: it waits for a connection, but not for ever.
class Context {
 public:
  explicit Context(std::string_view authorization = "") {
    context_.set_wait_for_ready(true);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    if (!authorization.empty()) {
      context_.AddMetadata("authorization", std::string(authorization));
    }
  }
  grpc::ClientContext* get() { return &context_; }

 private:
  grpc::ClientContext context_;
};

const std::string kToAdmit = StrCat("Bearer ", kToken);

class GrpcPortTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    bookie_ = std::make_unique<LiveBookie>(
        LiveBookie::Options{.settings = {"stele.grpcEnabled=true", "stele.grpcPort=0",
                                         StrCat("stele.grpcTokenFile=", TokenFile())}});
    writer_ = std::make_unique<HealthyWriter>(bookie_->endpoint());
  }
  static void TearDownTestSuite() {
    writer_.reset();
    EXPECT_EQ(bookie_->Stop(), 0) << bookie_->log();
    bookie_.reset();
  }
  void SetUp() override {
    channel_ = Connect(bookie_->grpc_endpoint());
    stub_ = v1::Bookie::NewStub(channel_);
  }
  void TearDown() override {
    ASSERT_TRUE(bookie_->IsRunning()) << bookie_->log();
    EXPECT_EQ(Health(channel_, ""), health::HealthCheckResponse::SERVING);
    EXPECT_TRUE(writer_->AwaitProgress());
  }

  static health::HealthCheckResponse::ServingStatus Health(
      const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
    Context context;
    health::HealthCheckRequest request;
    request.set_service(service);
    health::HealthCheckResponse response;
    const grpc::Status status =
        health::Health::NewStub(channel)->Check(context.get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.status();
  }
  v1::BookieState State() {
    Context context;
    v1::BookieState state;
    const grpc::Status status = stub_->GetState(context.get(), v1::GetBookieStateRequest(), &state);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return state;
  }
  grpc::StatusCode SetReadOnly(bool read_only, std::string_view authorization) {
    Context context(authorization);
    v1::SetReadOnlyRequest request;
    request.set_read_only(read_only);
    v1::SetReadOnlyReply reply;
    return stub_->SetReadOnly(context.get(), request, &reply).error_code();
  }
  // What `stele bookies list` prints.
  static std::string Registry() {
    const auto list =
        ChildProcess::Start({.argv = {SteleProgram(), "bookies", "list", "--json", "--metadata",
                                      StrCat("sqlite://", bookie_->directory(), "/metadata.db")}});
    std::string text;
    while (const auto line = list->ReadLine()) text += *line + "\n";
    EXPECT_EQ(list->Wait(), 0);
    return text;
  }

  static std::unique_ptr<LiveBookie> bookie_;
  static std::unique_ptr<HealthyWriter> writer_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Bookie::Stub> stub_;
};

std::unique_ptr<LiveBookie> GrpcPortTest::bookie_;
std::unique_ptr<HealthyWriter> GrpcPortTest::writer_;

TEST_F(GrpcPortTest, HealthKnowsTheServices) {
  EXPECT_EQ(Health(channel_, "stele.admin.v1.Bookie"), health::HealthCheckResponse::SERVING);
  Context context;
  health::HealthCheckRequest request;
  request.set_service("stele.admin.v1.Autorecovery");
  health::HealthCheckResponse response;
  EXPECT_EQ(
      health::Health::NewStub(channel_)->Check(context.get(), request, &response).error_code(),
      grpc::StatusCode::NOT_FOUND);
}

// Asked by the bytes of the protocol: list_services.
TEST_F(GrpcPortTest, ReflectionListsTheServices) {
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  Context context;
  const grpc::Slice list_services(std::string("\x3a\x00", 2));
  grpc::ByteBuffer request(&list_services, 1);
  const auto call = stub.PrepareUnaryCall(
      context.get(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", request,
      &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, this);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  ASSERT_TRUE(status.ok()) << status.error_message();
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(response.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  for (const std::string service :
       {"stele.admin.v1.Bookie", "stele.admin.v1.Process", "grpc.health.v1.Health"}) {
    EXPECT_NE(text.find(service), std::string::npos) << service;
  }
  EXPECT_EQ(text.find("stele.admin.v1.Autorecovery"), std::string::npos);
}

TEST_F(GrpcPortTest, TheReadOnlySwitchIsSeenInTheRegistry) {
  writer_.reset();
  EXPECT_NE(Registry().find("\"writable\""), std::string::npos) << Registry();
  ASSERT_EQ(SetReadOnly(true, kToAdmit), grpc::StatusCode::OK);
  EXPECT_TRUE(State().read_only());
  const bookie::LedgerRequests requests{LedgerId(5)};
  EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Add(0, "entry")).code, ReplyCode::kReadOnly);
  while (State().registration() != v1::BookieState::REGISTRATION_READ_ONLY) {
  }
  EXPECT_EQ(Registry().find("\"writable\""), std::string::npos) << Registry();
  ASSERT_EQ(SetReadOnly(false, kToAdmit), grpc::StatusCode::OK);
  while (State().registration() != v1::BookieState::REGISTRATION_WRITABLE) {
  }
  writer_ = std::make_unique<HealthyWriter>(bookie_->endpoint());
}

TEST_F(GrpcPortTest, CollectionCheckpointAndLedgers) {
  const bookie::LedgerRequests requests{LedgerId(2'000'000)};
  EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Add(0, "entry")).code, ReplyCode::kOk);
  Context checkpoint(kToAdmit);
  v1::CheckpointReply checkpointed;
  const grpc::Status done =
      stub_->Checkpoint(checkpoint.get(), v1::CheckpointRequest(), &checkpointed);
  EXPECT_TRUE(done.ok()) << done.error_message();
  Context list;
  v1::ListLedgersRequest page;
  page.set_first(2'000'000);
  v1::ListLedgersReply ledgers;
  ASSERT_TRUE(stub_->ListLedgers(list.get(), page, &ledgers).ok());
  ASSERT_EQ(ledgers.ledgers_size(), 1);
  EXPECT_EQ(ledgers.ledgers(0), 2'000'000);
  EXPECT_FALSE(ledgers.more());
  Context collect(kToAdmit);
  v1::CollectGarbageReply collected;
  EXPECT_TRUE(stub_->CollectGarbage(collect.get(), v1::CollectGarbageRequest(), &collected).ok());
  while (State().forced_gc_running()) {
  }
}

TEST_F(GrpcPortTest, TheLogLevelIsSetWhileItRuns) {
  const auto process = v1::Process::NewStub(channel_);
  const auto set = [&](v1::LogLevel level) {
    Context context(kToAdmit);
    v1::SetLogLevelRequest request;
    request.set_level(level);
    v1::LogLevelReply reply;
    EXPECT_TRUE(process->SetLogLevel(context.get(), request, &reply).ok());
    return reply.level();
  };
  EXPECT_EQ(set(v1::LOG_LEVEL_ERROR), v1::LOG_LEVEL_ERROR);
  const size_t before = bookie_->log().size();
  EXPECT_EQ(SetReadOnly(false, "Bearer wrong"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(bookie_->log().size(), before);
  EXPECT_EQ(set(v1::LOG_LEVEL_INFO), v1::LOG_LEVEL_INFO);
  EXPECT_EQ(SetReadOnly(false, "Bearer wrong"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_GT(bookie_->log().size(), before);
}

TEST_F(GrpcPortTest, ChangesNeedTheToken) {
  for (const std::string& wrong : {std::string(), std::string("Bearer wrong"), kToAdmit + "x"}) {
    EXPECT_EQ(SetReadOnly(true, wrong), grpc::StatusCode::UNAUTHENTICATED) << wrong;
  }
  EXPECT_FALSE(State().read_only());
  EXPECT_NE(bookie_->log().find("asked over gRPC for a change"), std::string::npos);
  EXPECT_EQ(bookie_->log().find(kToken), std::string::npos);
}

TEST_F(GrpcPortTest, RequestsAreBounded) {
  Context large;
  v1::GetBookieStateRequest request;
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(
      15, std::string(kMessageMaxBytes, 'x'));
  v1::BookieState state;
  EXPECT_EQ(stub_->GetState(large.get(), request, &state).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  Context many_headers;
  many_headers.get()->AddMetadata("x-filler", std::string(17 << 10, 'x'));
  EXPECT_FALSE(stub_->GetState(many_headers.get(), v1::GetBookieStateRequest(), &state).ok());
  Context compressed;
  compressed.get()->set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::GetBookieStateRequest bomb;
  bomb.GetReflection()->MutableUnknownFields(&bomb)->AddLengthDelimited(15,
                                                                        std::string(1 << 20, 'x'));
  EXPECT_FALSE(stub_->GetState(compressed.get(), bomb, &state).ok());
}

TEST_F(GrpcPortTest, StreamsAreBoundedAndEndWithTheirCaller) {
  struct Watch {
    std::unique_ptr<Context> context = std::make_unique<Context>();
    std::unique_ptr<grpc::ClientReader<health::HealthCheckResponse>> reader;
  };
  const auto stub = health::Health::NewStub(channel_);
  const auto watch = [](health::Health::Stub& on) {
    Watch started;
    started.reader = on.Watch(started.context->get(), health::HealthCheckRequest());
    return started;
  };
  health::HealthCheckResponse response;
  std::vector<Watch> watches;
  for (size_t i = 0; i < kStreamsMax; ++i) {
    watches.push_back(watch(*stub));
    ASSERT_TRUE(watches.back().reader->Read(&response)) << i;
  }
  const auto other_channel = Connect(bookie_->grpc_endpoint());
  const auto other = health::Health::NewStub(other_channel);
  Watch refused = watch(*other);
  EXPECT_FALSE(refused.reader->Read(&response));
  EXPECT_EQ(refused.reader->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Health(other_channel, ""), health::HealthCheckResponse::SERVING);
  for (Watch& started : watches) {
    started.context->get()->TryCancel();
    EXPECT_EQ(started.reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  // The other end hears of that a moment later.
  for (bool is_admitted = false; !is_admitted;) {
    Watch again = watch(*other);
    is_admitted = again.reader->Read(&response);
    again.context->get()->TryCancel();
    again.reader->Finish();
  }
}

TEST_F(GrpcPortTest, StrangeBytesHarmNobody) {
  std::string noise;
  for (int i = 0; i < 20'000; ++i) noise.push_back(static_cast<char>(i * 2654435761u >> 13));
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (const std::string& bytes :
       {noise, preface + noise, std::string("GET / HTTP/1.1\r\n\r\n"), preface.substr(0, 10) + "x",
        preface + std::string("\x00\x00\x04\x7f\x00\x00\x00\x00\x00", 9) + noise}) {
    real::RawPeer peer(bookie_->grpc_endpoint());
    peer.Send(bytes);
    peer.ReceiveAll();  // until it is closed
  }
  EXPECT_EQ(State().bookie_id(), "bookie-1");
}

TEST_F(GrpcPortTest, ConnectionsAreBounded) {
  const int64_t before = bookie_->descriptors();
  {
    std::vector<std::unique_ptr<real::RawPeer>> peers;
    for (size_t i = 0; i < 3 * kConnectionsMax; ++i) {
      peers.push_back(std::make_unique<real::RawPeer>(bookie_->grpc_endpoint()));
    }
    for (size_t i = kConnectionsMax; i < peers.size(); ++i) peers[i]->ReceiveAll();
    // Two descriptors for each that is open.
    EXPECT_GE(bookie_->descriptors(), before + static_cast<int64_t>(kConnectionsMax));
    EXPECT_LE(bookie_->descriptors(), before + 2 * static_cast<int64_t>(kConnectionsMax) + 8);
    EXPECT_TRUE(writer_->AwaitProgress());
  }
  // Their places are free again.
  for (size_t i = 0; i < 2 * kConnectionsMax; ++i) {
    EXPECT_EQ(Health(Connect(bookie_->grpc_endpoint()), ""), health::HealthCheckResponse::SERVING);
  }
}

// ---- Starts

// The exit code of a bookie that does not start, and what it says.
int StartBadly(const std::vector<std::string>& settings, std::string* said) {
  std::string directory = StrCat(std::getenv("TEST_TMPDIR"), "/bad-XXXXXX");
  EXPECT_NE(mkdtemp(directory.data()), nullptr);
  ChildProcess::Options options{
      .argv = {SteleProgram(), "bookie", "--init", "--metadata",
               StrCat("sqlite://", directory, "/metadata.db"), "--data", directory + "/data",
               "--port", "0", "--set", "bookieId=bad", "--set", "stele.grpcEnabled=true"},
      .output_path = directory + "/log"};
  for (const std::string& setting : settings) {
    options.argv.push_back("--set");
    options.argv.push_back(setting);
  }
  const int code = ChildProcess::Start(std::move(options))->Wait();
  std::ifstream log(directory + "/log");
  *said = {std::istreambuf_iterator<char>(log), {}};
  return code;
}

TEST(GrpcPortStartTest, APortThatIsTakenABadHostAndABadTokenFileAreRefused) {
  const LiveBookie bookie({.settings = {"stele.grpcEnabled=true", "stele.grpcPort=0"}});
  std::string said;
  EXPECT_NE(StartBadly({StrCat("stele.grpcPort=", bookie.grpc_endpoint().port)}, &said), 0);
  EXPECT_NE(said.find("gRPC port"), std::string::npos) << said;
  EXPECT_NE(StartBadly({"stele.grpcPort=0", "stele.grpcHost=no host"}, &said), 0);
  EXPECT_NE(said.find("gRPC port"), std::string::npos) << said;
  const std::string path = TokenFile();
  chmod(path.c_str(), 0644);
  EXPECT_EQ(StartBadly({"stele.grpcPort=0", "stele.grpcTokenFile=" + path}, &said), kUsage) << said;
}

TEST(GrpcPortStartTest, WithoutATokenNothingIsChanged) {
  LiveBookie bookie({.settings = {"stele.grpcEnabled=true", "stele.grpcPort=0"}});
  const auto channel = Connect(bookie.grpc_endpoint());
  Context context("Bearer ");
  v1::SetReadOnlyReply reply;
  EXPECT_EQ(v1::Bookie::NewStub(channel)
                ->SetReadOnly(context.get(), v1::SetReadOnlyRequest(), &reply)
                .error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  // An open stream does not hold up the end.
  Context watching;
  const auto health_stub = health::Health::NewStub(channel);
  const auto reader = health_stub->Watch(watching.get(), health::HealthCheckRequest());
  health::HealthCheckResponse response;
  EXPECT_TRUE(reader->Read(&response));
  EXPECT_EQ(bookie.Stop(), 0) << bookie.log();
  while (reader->Read(&response)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

TEST(GrpcPortStartTest, ItIsOffUnlessItIsAskedFor) {
  const LiveBookie bookie({});
  EXPECT_EQ(bookie.log().find("gRPC port"), std::string::npos);
}

// ---- Autorecovery

std::string AwaitText(const std::string& path, const std::string& wanted) {
  for (const absl::Time give_up = absl::Now() + absl::Seconds(60); absl::Now() < give_up;) {
    std::ifstream file(path);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (const size_t found = text.find(wanted); found != std::string::npos) {
      return text.substr(found + wanted.size());
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  ADD_FAILURE() << path << " does not say: " << wanted;
  return "";
}

// A cluster in one process, and an auditor and worker with gRPC beside it.
class GrpcAutorecoveryTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = StrCat(std::getenv("TEST_TMPDIR"), "/cluster-XXXXXX");
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
    uri_ = StrCat("sqlite://", directory_, "/metadata.db");
    cluster_ = Start({"standalone", "--bookies", "4", "--data", directory_, "--ready-file",
                      directory_ + "/ready"},
                     "cluster");
    AwaitText(directory_ + "/ready", "bookie-4");
    daemon_ = Start({"autorecovery", "--metadata", uri_, "--grpc", "127.0.0.1:0",
                     "--grpc-token-file", TokenFile()},
                    "daemon");
    AwaitText(directory_ + "/daemon", "autorecovery runs");
    const std::string port = AwaitText(directory_ + "/daemon", "gRPC port host=127.0.0.1 port=");
    channel_ = Connect({"127.0.0.1", static_cast<uint16_t>(std::stoi(port))});
    stub_ = v1::Autorecovery::NewStub(channel_);
  }
  void TearDown() override {
    for (ChildProcess* const process : {daemon_.get(), cluster_.get()}) {
      process->Signal(SIGTERM);
      EXPECT_EQ(process->Wait(), 0);
    }
  }

  std::unique_ptr<ChildProcess> Start(std::vector<std::string> arguments, const std::string& log) {
    arguments.insert(arguments.begin(), SteleProgram());
    return ChildProcess::Start(
        {.argv = std::move(arguments), .output_path = directory_ + "/" + log});
  }
  void WriteLedger() {
    const auto append = Start({"ledger", "append", "--create", "--metadata", uri_}, "append");
    append->WriteLine("an entry");
    append->CloseStandardInput();
    EXPECT_EQ(append->Wait(), 0);
  }
  // All that a drain tells.
  std::vector<v1::DrainProgress> Drain(const std::string& bookie, bool dry_run) {
    Context context(kToAdmit);
    v1::DrainRequest request;
    request.set_bookie_id(bookie);
    request.set_dry_run(dry_run);
    const auto reader = stub_->Drain(context.get(), request);
    std::vector<v1::DrainProgress> told;
    for (v1::DrainProgress progress; reader->Read(&progress);) told.push_back(progress);
    const grpc::Status ended = reader->Finish();
    EXPECT_TRUE(ended.ok()) << ended.error_message();
    return told;
  }

  std::string directory_;
  std::string uri_;
  std::unique_ptr<ChildProcess> cluster_;
  std::unique_ptr<ChildProcess> daemon_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Autorecovery::Stub> stub_;
};

TEST_F(GrpcAutorecoveryTest, ADrainIsToldUntilTheBookieIsEmpty) {
  WriteLedger();
  std::string bookie;
  for (int i = 1; bookie.empty() && i <= 4; ++i) {
    const auto would = Drain(StrCat("bookie-", i), true);
    ASSERT_EQ(would.size(), 1u);
    EXPECT_EQ(would[0].state(), v1::DrainProgress::WOULD_RUN);
    if (would[0].ledgers_left() > 0) bookie = StrCat("bookie-", i);
  }
  const auto told = Drain(bookie, false);
  ASSERT_GT(told.size(), 1u);
  EXPECT_EQ(told.front().state(), v1::DrainProgress::RUNNING);
  EXPECT_EQ(told.front().ledgers_total(), 1);
  EXPECT_EQ(told.back().state(), v1::DrainProgress::DRAINED);
  EXPECT_EQ(told.back().bytes_left(), 0);

  v1::UndrainRequest request;
  request.set_bookie_id(bookie);
  v1::UndrainReply reply;
  Context stranger;
  EXPECT_EQ(stub_->Undrain(stranger.get(), request, &reply).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  Context undrain(kToAdmit);
  EXPECT_TRUE(stub_->Undrain(undrain.get(), request, &reply).ok());
  Context look;
  v1::AutorecoveryState state;
  EXPECT_TRUE(stub_->GetState(look.get(), v1::GetAutorecoveryStateRequest(), &state).ok());
  EXPECT_TRUE(state.enabled());
  EXPECT_NE(state.auditor(), "");
}

}  // namespace
}  // namespace stele::integration
