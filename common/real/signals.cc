#include "common/real/signals.h"

#include <csignal>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace stele::real {

// Shared with the handler that waits, which may run after StopSignals is gone.
struct StopSignals::State : std::enable_shared_from_this<StopSignals::State> {
  State(boost::asio::io_context& io, std::function<void(int)> callback)
      : signals(io, SIGTERM, SIGINT), on_signal(std::move(callback)) {}

  void Wait() {
    signals.async_wait(
        [self = shared_from_this()](const boost::system::error_code& error, int signal) {
          if (error || !self->on_signal) return;
          self->Wait();
          // A copy: the callback may destroy the StopSignals.
          const auto call = self->on_signal;
          call(signal);
        });
  }

  boost::asio::signal_set signals;
  std::function<void(int)> on_signal;
};

StopSignals::StopSignals(Shard* shard, std::function<void(int)> on_signal)
    : state_(std::make_shared<State>(shard->loop()->io(), std::move(on_signal))) {
  state_->Wait();
}

StopSignals::~StopSignals() {
  state_->on_signal = nullptr;
  state_->signals.cancel();
  state_->signals.clear();
}

}  // namespace stele::real
