#include "common/real/shard.h"

#include <pthread.h>

#include "common/base/check.h"
#include "common/real/real_clock.h"
#include "common/real/real_random.h"

namespace stele::real {

// The order is that of construction; the loop dies last.
struct Shard::Seams {
  EventLoop loop;
  RealClock clock{&loop};
  RealRandom random;
};

Shard::Shard(ShardOptions options)
    : name_(std::move(options.name)), seams_(std::make_unique<Seams>()) {}

Shard::~Shard() {
  Stop();
  // Jobs may hold timers, connections and files: they go while the seams still exist.
  seams_->loop.DropJobs();
}

Env Shard::env() const {
  return Env{.executor = &seams_->loop, .clock = &seams_->clock, .random = &seams_->random};
}

Executor* Shard::executor() const { return &seams_->loop; }

EventLoop* Shard::loop() const { return &seams_->loop; }

void Shard::Start() {
  STELE_CHECK(!thread_.joinable());
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
    Run();
  });
}

void Shard::Stop() {
  if (!thread_.joinable()) return;
  STELE_CHECK(!seams_->loop.IsCurrent());
  RequestStop();
  thread_.join();
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
