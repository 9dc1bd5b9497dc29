#include "common/real/shard.h"

#include <pthread.h>

#include "common/base/check.h"
#include "common/real/link_limits.h"
#include "common/real/real_clock.h"
#include "common/real/real_random.h"
#include "common/real/tcp_transport.h"

namespace stele::real {

namespace {

constexpr size_t kBlockingThreadsMax = 2;

}  // namespace

struct Shard::Seams {
  explicit Seams(FileBackend backend)
      : files(std::make_unique<RealFileSystem>(&loop, &pool, backend)) {}
  // Jobs may hold timers, connections and files: they go while the seams still exist, and so do
  // the disk operations that end when the file system waits for them.
  ~Seams() {
    loop.DropJobs();
    transport.reset();
    files.reset();
    loop.DropJobs();
  }

  EventLoop loop;
  RealClock clock{&loop};
  RealRandom random;
  BlockingPool pool{kBlockingThreadsMax};
  std::unique_ptr<RealFileSystem> files;
  std::unique_ptr<TcpTransport> transport = std::make_unique<TcpTransport>(&loop, &clock);
};

Shard::Shard(ShardOptions options)
    : name_(std::move(options.name)), seams_(std::make_unique<Seams>(options.file_backend)) {}

Shard::~Shard() { Stop(); }

Env Shard::env() const {
  return Env{.executor = &seams_->loop,
             .clock = &seams_->clock,
             .random = &seams_->random,
             .files = seams_->files.get(),
             .transport = seams_->transport.get()};
}

Executor* Shard::executor() const { return &seams_->loop; }

BlockingPool* Shard::blocking_pool() const { return &seams_->pool; }

EventLoop* Shard::loop() const { return &seams_->loop; }

void SetLinkLimits(Shard* shard, LinkLimits limits) {
  static_cast<TcpTransport*>(shard->env().transport)->SetLinkLimits(limits);
}

void Shard::Start() {
  STELE_CHECK(!thread_.joinable());
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
    Run();
    // The kernel cancels what a thread that ends has submitted.
    seams_->files->WaitForAll();
  });
}

void Shard::Stop() {
  if (!thread_.joinable()) return;
  STELE_CHECK(!seams_->loop.IsCurrent());
  RequestStop();
  thread_.join();
  // The thread may have ended before it saw this request.
  stop_.store(false, std::memory_order_relaxed);
}

void Shard::Run() {
  RunLoopUntil([this] { return stop_.load(std::memory_order_acquire); });
  stop_.store(false, std::memory_order_relaxed);
}

void Shard::RequestStop() {
  stop_.store(true, std::memory_order_release);
  seams_->loop.Wake();
}

void Shard::RunLoopUntil(const std::function<bool()>& done) { seams_->loop.RunUntil(done); }

}  // namespace stele::real
