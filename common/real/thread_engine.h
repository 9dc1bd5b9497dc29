// ThreadEngine: disk operations by plain system calls on threads, where io_uring is refused.
#pragma once

#include <cstddef>
#include <memory>

#include "common/real/blocking_pool.h"
#include "common/real/disk_operation.h"
#include "common/real/event_loop.h"

namespace stele::real {

class ThreadEngine final : public DiskEngine {
 public:
  // `loop` must outlive the engine.
  ThreadEngine(EventLoop* loop, size_t threads_max);
  ~ThreadEngine() override;

  void WaitForAll() override;

 private:
  void Issue(std::unique_ptr<DiskOperation> operation) override;

  EventLoop* const loop_;
  std::unique_ptr<BlockingPool> pool_;
};

}  // namespace stele::real
