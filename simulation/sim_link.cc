#include "simulation/sim_link.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_process.h"

namespace stele::simulation {
namespace {

absl::Status Lost(std::string_view peer) {
  return MakeError(ErrorCode::kConnectionLost, Effect::kUnknown, StrCat(peer, ": connection lost"));
}

Buffer WithOneBitChanged(const Buffer& frame, SimRandom* random) {
  MutableBuffer changed(frame.size());
  std::copy_n(frame.data(), frame.size(), changed.data());
  const uint64_t bit = random->Below(frame.size() * 8);
  changed.data()[bit / 8] = static_cast<char>(changed.data()[bit / 8] ^ (1 << bit % 8));
  return std::move(changed).Freeze();
}

}  // namespace

SimLink::SimLink(SimNetwork* network, uint64_t id, Setup connecting, Setup accepting)
    : network_(network), id_(id) {
  Setup* setups[] = {&connecting, &accepting};
  for (Side side : {0, 1}) {
    End& end = ends_[side];
    end.executor = setups[side]->executor;
    end.host = setups[side]->host;
    end.limits = setups[side]->limits;
    end.peer = StrCat(setups[1 - side]->host, ":", setups[1 - side]->port);
  }
}

// ---- What the owners call

void SimLink::Start(Side side, ConnectionHandler* handler) {
  End& end = ends_[side];
  if (!end.open) return;
  STELE_CHECK(end.handler == nullptr);
  end.handler = handler;
  DeliverAt(1 - side, now());
}

void SimLink::Send(Side side, std::string_view head, Buffer body) {
  End& end = ends_[side];
  if (!end.open || end.then != End::Then::kNothing || !end.executor->alive()) return;
  const SeamVerdict verdict = network_->scheduler()->AskSeamHook(
      {SeamKind::kSend, end.executor->process(), ends_[1 - side].host});
  if (verdict == SeamVerdict::kCrashBefore) {
    end.executor->process()->Crash();
    return;
  }
  if (verdict == SeamVerdict::kFail) {
    network_->ResetLater(shared_from_this(), absl::ZeroDuration());
    return;
  }
  Buffer frame;
  if (head.empty()) {
    frame = std::move(body);
  } else if (body.empty()) {
    frame = Buffer::CopyOf(head);
  } else {
    MutableBuffer whole(head.size() + body.size());
    std::copy(head.begin(), head.end(), whole.data());
    std::copy_n(body.data(), body.size(), whole.data() + head.size());
    frame = std::move(whole).Freeze();
  }
  end.queued_bytes += frame.size() + 4;
  if (end.queued_bytes > network_->options().low_water_bytes) end.above_low_water = true;
  if (FrameObserver* observer = network_->observer(); observer != nullptr) {
    observer->OnSent(id_, end.host, ends_[1 - side].host, frame);
  }
  end.queue.push_back(std::move(frame));
  if (verdict == SeamVerdict::kLoseAnswer || verdict == SeamVerdict::kCrashAfter) {
    end.above_low_water = false;  // no callback inside this call
    Pump(side);
    // What has left arrives before the end does.
    ResetWithZombies(side, network_->options().delay_spread);
    if (verdict == SeamVerdict::kCrashAfter) end.executor->process()->Crash();
    return;
  }
  PostPump(side);
}

void SimLink::SetPaused(Side side, bool paused) {
  End& end = ends_[side];
  if (end.paused && !paused) DeliverAt(1 - side, now());
  end.paused = paused;
}

void SimLink::Close(Side side) {
  End& end = ends_[side];
  if (!end.open) return;
  // What was handed to the network arrives; or the connection is reset, as always when there is
  // input that nobody will read. A process that crashes is always seen as a loss.
  const bool reset =
      !end.executor->alive() || !ends_[1 - side].pipe.empty() || network_->random().Chance(1, 2);
  const LinkConditions* conditions = ConditionsFrom(side);
  if (!end.executor->alive() && conditions != nullptr &&
      network_->random().Chance(conditions->silent_deaths, 1'000)) {
    network_->scheduler()->faults().Count("network.silent_death");
    end.pipe.clear();
    end.pipe_bytes = 0;
  } else if (reset) {
    CutAndReset(side);
  } else if (!end.finished) {
    end.finished = true;
    Append(side, Item::Kind::kFinish, Buffer(), false);
  }
  MarkClosed(side);
}

void SimLink::CloseAfterSending(Side side) {
  End& end = ends_[side];
  if (!end.open || end.then == End::Then::kClose) return;
  end.then = End::Then::kClose;
  PostPump(side);
}

void SimLink::FinishSending(Side side) {
  End& end = ends_[side];
  if (!end.open || end.then != End::Then::kNothing) return;
  end.then = End::Then::kFinish;
  PostPump(side);
}

void SimLink::Reset() {
  for (Side side : {0, 1}) {
    ends_[side].queue.clear();
    ends_[side].queued_bytes = 0;
    CutAndReset(side);
  }
}

void SimLink::ResetWithZombies(Side side, absl::Duration delay) {
  if (!ends_[side].pipe.empty()) network_->scheduler()->faults().Count("network.zombie");
  for (Side each : {0, 1}) {
    ends_[each].queue.clear();
    ends_[each].queued_bytes = 0;
  }
  Postpone(side, delay);
  AppendReset(side);
  CutPipe(1 - side);
  AppendReset(1 - side);
}

void SimLink::BreakSilently(Side side, SimNetwork::Silence silence) {
  End& end = ends_[side];
  end.queue.clear();
  end.queued_bytes = 0;
  end.pipe.clear();
  end.pipe_bytes = 0;
  CutPipe(1 - side);
  AppendReset(1 - side);
  // What `side` still sends before it learns goes nowhere.
  if (silence == SimNetwork::Silence::kForever) end.is_mute = true;
}

void SimLink::OnWindowOpened(const std::string& host) {
  for (Side side : {0, 1}) {
    if (ends_[side].host == host) DeliverAt(1 - side, now());
  }
}

void SimLink::Resume() {
  for (Side side : {0, 1}) {
    if (IsBlockedFrom(side)) continue;
    End& end = ends_[side];
    int64_t arrival = now() + absl::ToInt64Nanoseconds(DrawDelayFrom(side));
    for (Item& item : end.pipe) {
      item.arrival_nanoseconds = std::max(item.arrival_nanoseconds, arrival);
      end.last_arrival_nanoseconds = item.arrival_nanoseconds;
    }
    if (!end.pipe.empty()) DeliverAt(side, end.last_arrival_nanoseconds);
    CallPumpAfterAcknowledgement(1 - side);
  }
}

// ---- Sending

void SimLink::Append(Side side, Item::Kind kind, Buffer frame, bool follows) {
  End& end = ends_[side];
  if (end.is_mute) return;
  const LinkConditions* conditions = ConditionsFrom(side);
  int64_t sent = now();
  if (conditions != nullptr) {
    const absl::Duration transfer =
        network_->TransferTime(end.host, ends_[1 - side].host, frame.size() + 4);
    sent += absl::ToInt64Nanoseconds(transfer);
    if (transfer > absl::ZeroDuration()) follows = false;
    if (kind == Item::Kind::kFrame && !frame.empty() &&
        network_->random().Chance(conditions->flips, 1'000)) {
      network_->scheduler()->faults().Count("network.flip");
      frame = WithOneBitChanged(frame, &network_->random());
    }
    if (kind == Item::Kind::kFrame && network_->random().Chance(conditions->resets, 1'000)) {
      network_->scheduler()->faults().Count("network.flaky");
      network_->ResetLater(shared_from_this(), DrawDelayFrom(side));
    }
  }
  int64_t arrival = end.last_arrival_nanoseconds;
  if (!follows) {
    arrival = std::max(arrival, sent + absl::ToInt64Nanoseconds(DrawDelayFrom(side)));
  }
  end.last_arrival_nanoseconds = arrival;
  end.pipe_bytes += frame.size() + 4;
  const bool in_tls = end.tls != End::Tls::kNone && end.clear_frames_left == 0;
  end.pipe.push_back({kind, arrival, std::move(frame), in_tls});
  if (!follows) DeliverAt(side, arrival);
}

void SimLink::AppendReset(Side side) { Append(side, Item::Kind::kReset, Buffer(), false); }

void SimLink::CutPipe(Side side) {
  End& end = ends_[side];
  const size_t kept = network_->random().Below(end.pipe.size() + 1);
  while (end.pipe.size() > kept) {
    end.pipe_bytes -= end.pipe.back().frame.size() + 4;
    end.pipe.pop_back();
  }
}

void SimLink::CutAndReset(Side side) {
  CutPipe(side);
  const LinkConditions* conditions = ConditionsFrom(side);
  if (conditions != nullptr && !ends_[side].pipe.empty() &&
      network_->random().Chance(conditions->zombies, 1'000)) {
    network_->scheduler()->faults().Count("network.zombie");
    const auto bound =
        static_cast<uint64_t>(absl::ToInt64Nanoseconds(conditions->zombie_delay_max));
    Postpone(side, absl::Nanoseconds(static_cast<int64_t>(network_->random().Below(bound + 1))));
  }
  AppendReset(side);
}

void SimLink::Postpone(Side side, absl::Duration delay) {
  End& end = ends_[side];
  if (end.pipe.empty()) return;
  for (Item& item : end.pipe) item.arrival_nanoseconds += absl::ToInt64Nanoseconds(delay);
  end.last_arrival_nanoseconds = end.pipe.back().arrival_nanoseconds;
  DeliverAt(side, end.pipe.front().arrival_nanoseconds);
  DeliverAt(side, end.last_arrival_nanoseconds);
}

void SimLink::PostPump(Side side) {
  End& end = ends_[side];
  if (end.pump_pending) return;
  end.pump_pending = true;
  network_->scheduler()->Enqueue(end.executor,
                                 [self = shared_from_this(), side] { self->Pump(side); });
}

void SimLink::Pump(Side side) {
  End& end = ends_[side];
  end.pump_pending = false;
  if (!end.open) return;
  bool first = true;
  for (;;) {
    if (end.has_hello && end.clear_frames_left == 0) {
      end.has_hello = false;
      Append(side, Item::Kind::kTlsHello, Buffer(), false);
    }
    if (end.queue.empty()) break;
    if (end.tls == End::Tls::kShakingHands && end.clear_frames_left == 0) break;
    const size_t size = end.queue.front().size() + 4;
    if (end.pipe_bytes > 0 && end.pipe_bytes + size > network_->options().window_bytes) break;
    Buffer frame = std::move(end.queue.front());
    end.queue.pop_front();
    end.queued_bytes -= size;
    // Most frames of one turn travel together.
    const bool follows = !first && network_->random().Chance(7, 8);
    Append(side, Item::Kind::kFrame, std::move(frame), follows);
    if (end.clear_frames_left > 0) --end.clear_frames_left;
    first = false;
  }
  if (end.queue.empty() && end.then != End::Then::kNothing && !end.finished) {
    end.finished = true;
    Append(side, Item::Kind::kFinish, Buffer(), false);
  }
  if (end.queue.empty() && end.then == End::Then::kClose) {
    // A peer that is still sending learns, after all that it was sent, that nobody reads.
    if (!ends_[1 - side].pipe.empty()) AppendReset(side);
    Fail(side, absl::OkStatus());
    return;
  }
  if (end.above_low_water && end.queued_bytes < network_->options().low_water_bytes) {
    end.above_low_water = false;
    if (end.handler != nullptr) end.handler->OnWritable();
  }
}

// ---- Receiving

void SimLink::DeliverAt(Side side, int64_t when_nanoseconds) {
  network_->scheduler()->CallAt(ends_[1 - side].executor,
                                MonotonicTime::FromNanoseconds(when_nanoseconds),
                                [self = shared_from_this(), side] { self->Deliver(side); });
}

void SimLink::Deliver(Side side) {
  End& to = ends_[1 - side];
  std::deque<Item>& pipe = ends_[side].pipe;
  for (;;) {
    if (pipe.empty() || pipe.front().arrival_nanoseconds > now() || IsBlockedFrom(side)) return;
    if (to.open && network_->IsShut(to.host) && pipe.front().kind != Item::Kind::kReset) return;
    if (!to.open && to.is_mute) return;
    if (!to.open) {
      // Nobody is there any more. What arrives is answered by a reset, which comes after all that
      // this end has sent.
      const bool answer = pipe.front().kind == Item::Kind::kFrame && ends_[side].open;
      pipe.clear();
      ends_[side].pipe_bytes = 0;
      if (answer) AppendReset(1 - side);
      return;
    }
    if (to.handler == nullptr) return;
    switch (pipe.front().kind) {
      case Item::Kind::kFrame:
        if (to.paused && to.tls != End::Tls::kShakingHands) return;
        if (!IsExpected(1 - side, pipe.front()) || !DeliverFrames(side)) return;
        break;
      case Item::Kind::kTlsHello:
        pipe.pop_front();
        ends_[side].pipe_bytes -= 4;
        network_->scheduler()->trace().Record(TraceKind::kConnection, id_ * 2 + side, 3);
        if (!TakeHello(1 - side)) return;
        break;
      case Item::Kind::kTlsAlert:
        network_->scheduler()->trace().Record(TraceKind::kConnection, id_ * 2 + side, 4);
        Fail(1 - side, MakeError(ErrorCode::kUnauthorized, Effect::kUnknown,
                                 StrCat(to.peer, ": TLS: the peer refuses")));
        return;
      case Item::Kind::kFinish:
        if (to.paused) return;
        pipe.pop_front();
        network_->scheduler()->trace().Record(TraceKind::kConnection, id_ * 2 + side, 1);
        to.handler->OnPeerFinished();
        break;
      case Item::Kind::kReset:
        network_->scheduler()->trace().Record(TraceKind::kConnection, id_ * 2 + side, 2);
        Fail(1 - side, Lost(to.peer));
        return;
    }
  }
}

bool SimLink::DeliverFrames(Side side) {
  End& from = ends_[side];
  End& to = ends_[1 - side];
  std::vector<Buffer> frames;
  uint64_t digest = 0;
  bool damaged = false;
  const bool in_tls = from.pipe.front().in_tls;
  while (!from.pipe.empty() && from.pipe.front().kind == Item::Kind::kFrame &&
         from.pipe.front().in_tls == in_tls && from.pipe.front().arrival_nanoseconds <= now()) {
    Buffer& frame = from.pipe.front().frame;
    damaged = frame.empty() || frame.size() + 4 > to.limits.frame_size_max_bytes;
    if (damaged) break;
    from.pipe_bytes -= frame.size() + 4;
    digest = digest * 31 + DigestOf(frame.view());
    frames.push_back(std::move(frame));
    from.pipe.pop_front();
  }
  network_->scheduler()->trace().Record(TraceKind::kFrame, id_ * 2 + side, digest);
  if (FrameObserver* observer = network_->observer(); observer != nullptr) {
    for (const Buffer& frame : frames) observer->OnDelivered(id_, from.host, to.host, frame);
  }
  if (!frames.empty()) to.handler->OnFrames(std::span<Buffer>(frames));
  CallPumpAfterAcknowledgement(side);
  if (!damaged || !to.open) return !damaged;
  AppendReset(1 - side);
  Fail(1 - side, MakeError(ErrorCode::kCorruptData, Effect::kUnknown,
                           StrCat(to.peer, ": a frame of a length that cannot be")));
  return false;
}

void SimLink::CallPumpAfterAcknowledgement(Side side) {
  End& end = ends_[side];
  if (end.queue.empty() || end.pump_pending || IsBlockedFrom(1 - side)) return;
  end.pump_pending = true;
  network_->scheduler()->CallAfter(end.executor, DrawDelayFrom(1 - side),
                                   [self = shared_from_this(), side] { self->Pump(side); });
}

// ---- The end

void SimLink::Fail(Side side, absl::Status why) {
  ConnectionHandler* handler = ends_[side].handler;
  MarkClosed(side);
  if (handler != nullptr) handler->OnClosed(std::move(why));
}

void SimLink::MarkClosed(Side side) {
  End& end = ends_[side];
  end.open = false;
  end.handler = nullptr;
  end.queue.clear();
  end.queued_bytes = 0;
  ends_[1 - side].pipe.clear();
  ends_[1 - side].pipe_bytes = 0;
  if (!ends_[1 - side].open) network_->Forget(id_);
}

}  // namespace stele::simulation
