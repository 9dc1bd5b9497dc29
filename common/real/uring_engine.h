// UringEngine: disk operations through one io_uring. What a turn begins is submitted with one
// system call at its end; what the kernel completes in that call is answered without a wake-up.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "common/real/disk_operation.h"
#include "common/real/event_loop.h"
#include "common/real/fd_watcher.h"

struct io_uring;

namespace stele::real {

class UringEngine final : public DiskEngine, private Flusher, private ReadinessHandler {
 public:
  // Null where the kernel or a sandbox refuses io_uring, or knows too old a one.
  static std::unique_ptr<UringEngine> TryMake(EventLoop* loop);
  UringEngine(const UringEngine&) = delete;
  UringEngine& operator=(const UringEngine&) = delete;
  // Waits for the operations in flight: the kernel may write into their buffers until then.
  ~UringEngine() override;

  void WaitForAll() override;

 private:
  struct RingDeleter {
    void operator()(io_uring* ring) const;
  };
  using Ring = std::unique_ptr<io_uring, RingDeleter>;

  UringEngine(EventLoop* loop, Ring ring);
  void Issue(std::unique_ptr<DiskOperation> operation) override;
  void Flush() override;
  void OnReadable() override;
  void Prepare();
  bool Submit();
  size_t Reap();

  EventLoop* const loop_;
  const Ring ring_;
  FdWatcher watcher_;                                   // readable when a completion is there
  std::deque<std::unique_ptr<DiskOperation>> waiting_;  // not yet in the ring
  size_t in_ring_ = 0;                                  // in the ring or in the kernel
  bool has_unsubmitted_ = false;
};

}  // namespace stele::real
