// RequestLane: what the two connections to a bookie have in common: deadlines with one timer, and
// giving a connection up on which nothing moves.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "absl/time/time.h"
#include "client/internal/bookie_client.h"
#include "client/internal/bookie_connection.h"
#include "common/base/buffer.h"
#include "common/base/errors.h"
#include "common/base/time.h"
#include "common/seams/clock.h"
#include "common/seams/env.h"

namespace stele::client {

struct LaneOptions {
  ConnectionOptions connection;
  absl::Duration add_timeout = absl::Seconds(5);
  absl::Duration read_timeout = absl::Seconds(5);  // of everything but adds
  // A connection that owes answers and has brought nothing for so long when a request times out is
  // given up: the peer may be gone without a word.
  absl::Duration silence_max = absl::Seconds(10);
};

class RequestLane : private BookieConnection::Owner {
 public:
  RequestLane(const Env& env, const BookieId& bookie, const LaneOptions& options,
              BookieAddresses* addresses);

  // Answers everything outstanding with kStopped, and drops the connection.
  void Stop();

 protected:
  ~RequestLane() override = default;

  // The request, which the subclass has recorded, goes out.
  void Send(std::string_view head, Buffer body, MonotonicTime deadline);
  MonotonicTime Now() const { return env_.clock->Now(); }
  // While FailAll runs: the requests were on a connection that stood, and somebody else ended it.
  bool is_cut_off() const { return is_cut_off_; }
  const LaneOptions& options() const { return options_; }

  // The earliest deadline of a recorded request, or Infinite.
  virtual MonotonicTime NextDeadline() const = 0;
  // Answers what is due with kDeadline. An answer's callback may send again.
  virtual void Expire(MonotonicTime now) = 0;
  // Answers everything that is recorded when this is called, oldest first.
  virtual void FailAll(ErrorCode code) = 0;
  // False when the frame is no reply: the connection cannot be trusted any more.
  virtual bool OnFrame(const Buffer& frame) = 0;

 private:
  void OnFrames(std::span<Buffer> frames) final;
  void OnConnectionLost(bool was_open) final;
  void OnTimer();

  const Env env_;
  const LaneOptions options_;
  std::unique_ptr<Timer> timer_;
  MonotonicTime timer_at_ = MonotonicTime::Infinite();
  MonotonicTime last_progress_;  // the last frame, or the first request after all were answered
  bool is_cut_off_ = false;
  BookieConnection connection_;
};

}  // namespace stele::client
