#include "tools/shell/input.h"

#include <atomic>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "common/real/errno_error.h"

namespace stele::shell {
namespace {

constexpr size_t kReadSizeBytes = 256 * 1024;
constexpr int kLookForStopMilliseconds = 100;

}  // namespace

struct Input::State {
  int fd = 0;
  std::atomic<bool> stopped = false;
};

Input::Input(real::Shard* shard, int fd) : shard_(shard), state_(std::make_shared<State>()) {
  state_->fd = fd;
}

void Input::Stop() { state_->stopped = true; }

Task<absl::StatusOr<Buffer>> Input::Read() {
  auto read_some = [state = state_]() -> absl::StatusOr<Buffer> {
    pollfd waits{.fd = state->fd, .events = POLLIN};
    // The thread must not be held for ever by a terminal at which nobody types.
    while (!state->stopped && poll(&waits, 1, kLookForStopMilliseconds) == 0) {
    }
    if (state->stopped) return Buffer();
    MutableBuffer chunk(kReadSizeBytes);
    ssize_t got;
    do {
      got = read(state->fd, chunk.data(), chunk.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return real::FileError(errno, "read", "the input");
    return std::move(chunk).Freeze(static_cast<size_t>(got));
  };
  co_return co_await shard_->blocking_pool()->Run(shard_->executor(), std::move(read_some));
}

}  // namespace stele::shell
