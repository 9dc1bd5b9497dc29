#include "common/real/fd_watcher.h"

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace stele::real {

// Shared with the waits in asio and with the posted jobs, which may outlive the watcher.
struct FdWatcher::State {
  State(EventLoop* shard_loop, int fd, ReadinessHandler* readiness_handler)
      : loop(shard_loop), handler(readiness_handler), descriptor(shard_loop->io(), fd) {}

  EventLoop* loop;
  ReadinessHandler* handler;  // null after the watcher is gone
  boost::asio::posix::stream_descriptor descriptor;
  bool waits_readable = false;
  bool waits_writable = false;
};

FdWatcher::FdWatcher(EventLoop* loop, int fd, ReadinessHandler* handler)
    : state_(std::make_shared<State>(loop, fd, handler)) {}

FdWatcher::~FdWatcher() {
  state_->handler = nullptr;
  state_->descriptor.release();
}

// The wait itself only posts: a handler that waits again at once would otherwise keep asio's poll
// busy for as long as its peer sends.
void FdWatcher::WaitReadable() {
  if (std::exchange(state_->waits_readable, true)) return;
  state_->descriptor.async_wait(boost::asio::posix::descriptor_base::wait_read,
                                [state = state_](const boost::system::error_code&) {
                                  if (state->handler == nullptr) return;
                                  EventLoop* const loop = state->loop;
                                  loop->Post([state] {
                                    state->waits_readable = false;
                                    if (state->handler != nullptr) state->handler->OnReadable();
                                  });
                                });
}

void FdWatcher::WaitWritable() {
  if (std::exchange(state_->waits_writable, true)) return;
  state_->descriptor.async_wait(boost::asio::posix::descriptor_base::wait_write,
                                [state = state_](const boost::system::error_code&) {
                                  if (state->handler == nullptr) return;
                                  EventLoop* const loop = state->loop;
                                  loop->Post([state] {
                                    state->waits_writable = false;
                                    if (state->handler != nullptr) state->handler->OnWritable();
                                  });
                                });
}

}  // namespace stele::real
