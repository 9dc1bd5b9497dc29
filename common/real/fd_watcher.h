// FdWatcher: tells when a descriptor can be read or written. The only use that the edges make of
// asio's reactor: the system calls on the descriptor are their own.
#pragma once

#include <memory>

#include "common/real/event_loop.h"

namespace stele::real {

class ReadinessHandler {
 public:
  virtual ~ReadinessHandler() = default;
  virtual void OnReadable() = 0;
  virtual void OnWritable() {}
};

class FdWatcher {
 public:
  // Does not own `fd`, which must stay open longer and is made non-blocking.
  FdWatcher(EventLoop* loop, int fd, ReadinessHandler* handler);
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;
  // No callback follows, also not one that was due.
  ~FdWatcher();

  // Calls OnReadable once, from a job of the loop, when a read would not block. Without effect
  // while an earlier call waits.
  void WaitReadable();

  // The same for writing.
  void WaitWritable();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace stele::real
