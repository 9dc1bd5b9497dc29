#include "client/internal/request_lane.h"

#include <utility>

namespace stele::client {

RequestLane::RequestLane(const Env& env, const BookieId& bookie, const LaneOptions& options,
                         BookieAddresses* addresses)
    : env_(env), options_(options), connection_(env, bookie, options.connection, addresses, this) {}

void RequestLane::Send(std::string_view head, Buffer body, MonotonicTime deadline) {
  if (deadline < timer_at_) {
    // Requests of one kind have one timeout, so this happens when the lane was idle, and hardly
    // ever else.
    if (timer_ == nullptr) last_progress_ = Now();
    timer_at_ = deadline;
    timer_ = env_.clock->CallAt(deadline, [this] { OnTimer(); });
  }
  connection_.Send(head, std::move(body));
}

void RequestLane::OnFrames(std::span<Buffer> frames) {
  last_progress_ = Now();
  for (const Buffer& frame : frames) {
    if (!OnFrame(frame)) {
      connection_.Drop();
      FailAll(ErrorCode::kConnectionLost);
      return;
    }
  }
}

void RequestLane::OnConnectionLost(bool was_open) {
  is_cut_off_ = was_open;
  FailAll(ErrorCode::kConnectionLost);
  is_cut_off_ = false;
}

void RequestLane::OnTimer() {
  const std::unique_ptr<Timer> fired = std::move(timer_);
  timer_at_ = MonotonicTime::Infinite();
  const MonotonicTime now = Now();
  const bool is_overdue = NextDeadline() <= now;
  Expire(now);
  if (is_overdue &&
      (connection_.queued_bytes() > 0 || now - last_progress_ >= options_.silence_max)) {
    connection_.Drop();
    FailAll(ErrorCode::kConnectionLost);
  }
  const MonotonicTime next = NextDeadline();
  if (next < timer_at_) {
    timer_at_ = next;
    timer_ = env_.clock->CallAt(next, [this] { OnTimer(); });
  }
}

void RequestLane::Stop() {
  connection_.Drop();
  FailAll(ErrorCode::kStopped);
}

}  // namespace stele::client
