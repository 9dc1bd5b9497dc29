// What the client spends on an append, without kernel and network: three copies, digest included,
// through the handle's state, the window, the codecs and the request tables, against bookies that
// acknowledge every frame at the end of the turn.
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "client/internal/ledger_writer.h"
#include "client/internal/wire_bookie_client.h"
#include "common/async/queue_executor.h"
#include "common/base/endian.h"

namespace stele::client {
namespace {

class StillClock : public Clock {
 public:
  MonotonicTime Now() const override { return MonotonicTime::FromNanoseconds(1); }
  absl::Time WallNow() const override { return absl::UnixEpoch(); }
  std::unique_ptr<Timer> CallAt(MonotonicTime, Job) override { return std::make_unique<Timer>(); }
};

// Acknowledges every v2 add.
class AckingConnection : public Connection {
 public:
  explicit AckingConnection(Executor* executor) : executor_(executor) {}
  void Start(ConnectionHandler* handler) override { handler_ = handler; }
  void Send(std::string_view head, Buffer body) override {
    benchmark::DoNotOptimize(body.data());
    std::string reply(24, '\0');
    reply[0] = 2;
    reply[1] = 1;
    reply.replace(8, 16, head.substr(24, 16));
    replies_ += reply;
    if (std::exchange(is_scheduled_, true)) return;
    executor_->PostAtTurnEnd([this] { Deliver(); });
  }
  void StartTls(TlsUpgrade) override {}
  size_t queued_bytes() const override { return 0; }
  void PauseReading() override {}
  void ResumeReading() override {}
  void Close() override {}
  void CloseAfterSending() override {}
  const std::string& peer() const override { return peer_; }

 private:
  void Deliver() {
    is_scheduled_ = false;
    const Buffer block = Buffer::FromString(std::exchange(replies_, {}));
    std::vector<Buffer> frames;
    for (size_t at = 0; at < block.size(); at += 24) frames.push_back(block.Slice(at, 24));
    handler_->OnFrames(frames);
  }

  Executor* executor_;
  ConnectionHandler* handler_ = nullptr;
  bool is_scheduled_ = false;
  std::string replies_;
  std::string peer_ = "bench";
};

class AckingTransport : public Transport {
 public:
  explicit AckingTransport(Executor* executor) : executor_(executor) {}
  Task<absl::StatusOr<std::unique_ptr<Connection>>> Connect(Endpoint, TransportLimits,
                                                            absl::Duration) override {
    co_return std::make_unique<AckingConnection>(executor_);
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(Endpoint, TransportLimits,
                                                   AcceptHandler*) override {
    return absl::UnimplementedError("");
  }

 private:
  Executor* executor_;
};

Task<absl::StatusOr<Endpoint>> AddressOf(BookieId bookie) {
  co_return Endpoint{bookie.value(), 3181};
}

void BM_Append(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  const int batch = static_cast<int>(state.range(1));
  QueueExecutor executor;
  StillClock clock;
  AckingTransport transport(&executor);
  ClientContext context;
  context.env = {.executor = &executor, .clock = &clock, .transport = &transport};
  WireBookieClient bookies(context.env, {},
                           {.resolve = AddressOf, .on_unreachable = [](const BookieId&) {}});
  context.bookies = &bookies;
  metadata::LedgerMetadataFields fields;
  fields.replication = {3, 3, 2};
  fields.fragments = {{EntryId(0), {BookieId("a:1"), BookieId("b:1"), BookieId("c:1")}}};
  auto cell = std::make_shared<LedgerCell>(
      nullptr, LedgerId(1),
      metadata::Versioned<metadata::LedgerMetadata>{
          metadata::LedgerMetadata::Create(std::move(fields)).value(), 0},
      absl::Seconds(1));
  LedgerWriter writer(&context, cell, std::make_shared<const LedgerKeys>(DigestType::kCrc32c, ""),
                      {});
  const Buffer payload = Buffer::FromString(std::string(size, 'x'));
  int64_t acknowledged = 0;
  for (auto _ : state) {
    for (int i = 0; i < batch; ++i) {
      writer.Append(payload, [&](absl::StatusOr<EntryId> entry) { acknowledged += entry.ok(); });
    }
    executor.Run();
  }
  if (acknowledged != state.iterations() * batch) state.SkipWithError("lost appends");
  state.SetItemsProcessed(acknowledged);
}
BENCHMARK(BM_Append)->Args({1024, 1})->Args({1024, 64})->Args({1024, 1000})->Args({0, 64});

}  // namespace
}  // namespace stele::client
