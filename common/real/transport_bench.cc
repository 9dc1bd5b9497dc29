// Echo of 1 KiB frames over loopback, between two shards on threads of their own, with some frames
// outstanding; and the same bytes between two threads with plain blocking sockets:
//   bazel run --config=release //common/real:transport_bench
// One iteration is one frame there and back. CPU is that of the whole process, kernel included.
#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/async/completion.h"
#include "common/base/check.h"
#include "common/real/shard.h"
#include "common/real/socket_address.h"

namespace stele::real {
namespace {

constexpr size_t kFrameBytes = 1024;

class EchoServer : public AcceptHandler {
 public:
  void OnAccept(std::unique_ptr<Connection> connection) override {
    ends_.push_back(std::make_unique<End>(std::move(connection)));
  }

 private:
  struct End : ConnectionHandler {
    explicit End(std::unique_ptr<Connection> accepted) : connection(std::move(accepted)) {
      connection->Start(this);
    }
    void OnFrames(std::span<Buffer> frames) override {
      for (Buffer& frame : frames) connection->Send("", std::move(frame));
    }
    void OnPeerFinished() override { connection->CloseAfterSending(); }
    void OnClosed(absl::Status) override {}
    std::unique_ptr<Connection> connection;
  };
  std::vector<std::unique_ptr<End>> ends_;
};

// Keeps `outstanding` frames under way.
class EchoClient : public ConnectionHandler {
 public:
  EchoClient(std::unique_ptr<Connection> connection, Completer<bool> done)
      : connection_(std::move(connection)), done_(std::move(done)) {
    connection_->Start(this);
  }
  void Run(int64_t frames, int64_t outstanding) {
    to_send_ = frames;
    to_receive_ = frames;
    SendSome(std::min(frames, outstanding));
  }
  void OnFrames(std::span<Buffer> frames) override {
    to_receive_ -= static_cast<int64_t>(frames.size());
    SendSome(std::min(to_send_, static_cast<int64_t>(frames.size())));
    if (to_receive_ == 0) done_.Set(true);
  }
  void OnPeerFinished() override {}
  void OnClosed(absl::Status why) override { STELE_CHECK(why.ok()); }

 private:
  void SendSome(int64_t count) {
    for (int64_t i = 0; i < count; ++i) connection_->Send("", frame_);
    to_send_ -= count;
  }
  const Buffer frame_ = Buffer::FromString(std::string(kFrameBytes, 'x'));
  std::unique_ptr<Connection> connection_;
  Completer<bool> done_;
  int64_t to_send_ = 0;
  int64_t to_receive_ = 0;
};

// Measures batches of this many frames, so that the loop of the benchmark costs nothing.
constexpr int64_t kBatch = 20'000;

Task<void> RunClient(benchmark::State* state, Env env, Endpoint to) {
  auto connection = co_await env.transport->Connect(to, {}, absl::Seconds(5));
  STELE_CHECK(connection.ok());
  std::unique_ptr<Connection> next = *std::move(connection);
  const int64_t outstanding = state->range(0);
  while (state->KeepRunningBatch(kBatch)) {
    Completion<bool> done(env.executor);
    if (next == nullptr) {
      state->PauseTiming();
      auto again = co_await env.transport->Connect(to, {}, absl::Seconds(5));
      STELE_CHECK(again.ok());
      next = *std::move(again);
      state->ResumeTiming();
    }
    EchoClient client(std::move(next), done.GetCompleter());
    client.Run(kBatch, outstanding);
    co_await done;
  }
}

void BM_ShardsEcho(benchmark::State& state) {
  Shard server_shard({.name = "server"});
  Shard client_shard({.name = "client"});
  EchoServer server;
  auto listener = server_shard.env().transport->Listen({"127.0.0.1", 0}, {}, &server);
  STELE_CHECK(listener.ok());
  const Endpoint endpoint = (*listener)->endpoint();
  server_shard.Start();
  client_shard.RunUntil(RunClient(&state, client_shard.env(), endpoint));
  server_shard.Stop();
  listener->reset();
}

void SendAll(int fd, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t sent = send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return;
    done += static_cast<size_t>(sent);
  }
}

bool ReceiveAll(int fd, std::string* bytes) {
  size_t done = 0;
  while (done < bytes->size()) {
    const ssize_t size = recv(fd, bytes->data() + done, bytes->size() - done, 0);
    if (size <= 0) return false;
    done += static_cast<size_t>(size);
  }
  return true;
}

// What is the least that the kernel asks for: the same bytes, as one message of all that are
// outstanding.
void BM_PlainSocketsEcho(benchmark::State& state) {
  const UniqueFd listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any = {};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  STELE_CHECK(bind(listening.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) == 0);
  STELE_CHECK(listen(listening.get(), 1) == 0);
  const SocketAddress at = LocalAddress(listening.get());
  UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  STELE_CHECK(connect(client.get(), reinterpret_cast<const sockaddr*>(&at.storage), at.size) == 0);
  const UniqueFd server(accept(listening.get(), nullptr, nullptr));
  SetConnectionOptions(client.get());
  SetConnectionOptions(server.get());

  const int64_t outstanding = state.range(0);
  const size_t size = static_cast<size_t>(outstanding) * (kFrameBytes + 4);
  std::thread echo([&server, size] {
    std::string bytes(size, '\0');
    while (ReceiveAll(server.get(), &bytes)) SendAll(server.get(), bytes);
  });
  std::string bytes(size, 'x');
  while (state.KeepRunningBatch(outstanding)) {
    SendAll(client.get(), bytes);
    STELE_CHECK(ReceiveAll(client.get(), &bytes));
  }
  client.Close();
  echo.join();
}

BENCHMARK(BM_ShardsEcho)->Arg(1)->Arg(32)->Arg(1000)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(BM_PlainSocketsEcho)->Arg(1)->Arg(32)->Arg(1000)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace stele::real
