// SimLink: one simulated connection: two ends, and a pipe from each to the other.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "common/base/buffer.h"
#include "common/seams/transport.h"
#include "simulation/scheduler.h"
#include "simulation/sim_network.h"

namespace stele::simulation {

class SimLink : public std::enable_shared_from_this<SimLink> {
 public:
  // The side that connected is 0, the one that accepted 1.
  using Side = int;

  struct Setup {
    SimExecutor* executor;
    std::string host;
    uint16_t port;
    TransportLimits limits;
  };
  SimLink(SimNetwork* network, uint64_t id, Setup connecting, Setup accepting);

  // The calls of Connection, by one side.
  void Start(Side side, ConnectionHandler* handler);
  void Send(Side side, std::string_view head, Buffer body);
  void StartTls(Side side, TlsUpgrade upgrade);
  size_t queued_bytes(Side side) const { return ends_[side].queued_bytes; }
  void SetPaused(Side side, bool paused);
  void Close(Side side);
  void CloseAfterSending(Side side);
  const std::string& peer(Side side) const { return ends_[side].peer; }

  void FinishSending(Side side);
  // Cuts both pipes; both ends learn of it.
  void Reset();
  // `side` learns of the end now; what it has sent arrives after `delay`.
  void ResetWithZombies(Side side, absl::Duration delay);
  // `side` learns of the end; the other one hears nothing of it.
  void BreakSilently(Side side, SimNetwork::Silence silence);
  void OnWindowOpened(const std::string& host);
  // After a partition: what was held back goes on.
  void Resume();
  const std::string& host(Side side) const { return ends_[side].host; }

 private:
  struct Item {
    enum class Kind { kFrame, kFinish, kReset, kTlsHello, kTlsAlert };
    Kind kind;
    int64_t arrival_nanoseconds;
    Buffer frame;
    bool in_tls = false;  // of a frame
  };
  struct End {
    SimExecutor* executor;
    std::string host;
    std::string peer;
    TransportLimits limits;

    ConnectionHandler* handler = nullptr;
    bool open = true;  // until the owner closed it or was told that it is closed
    bool paused = false;
    bool above_low_water = false;
    // What this end wants to happen when its queue is empty.
    enum class Then { kNothing, kFinish, kClose } then = Then::kNothing;
    bool finished = false;  // kFinish was put into the pipe

    std::deque<Buffer> queue;
    size_t queued_bytes = 0;
    bool pump_pending = false;

    // What it sends is lost from now on, and what it is sent is never acknowledged.
    bool is_mute = false;

    enum class Tls { kNone, kShakingHands, kSecure } tls = Tls::kNone;
    TlsUpgrade upgrade;            // since StartTls
    size_t clear_frames_left = 0;  // at the front of `queue`, from before StartTls
    bool has_hello = false;        // a message of the handshake waits to be sent
    bool has_heard_hello = false;

    // Towards the other end.
    std::deque<Item> pipe;
    size_t pipe_bytes = 0;
    int64_t last_arrival_nanoseconds = 0;
  };

  int64_t now() const { return network_->scheduler()->Now().nanoseconds(); }
  bool IsBlockedFrom(Side side) const {
    return network_->IsBlocked(ends_[side].host, ends_[1 - side].host);
  }
  // Puts an item into the pipe of `side`; a new arrival time is drawn unless it `follows` the one
  // before it.
  void Append(Side side, Item::Kind kind, Buffer frame, bool follows);
  void AppendReset(Side side);
  void CutPipe(Side side);
  // The connection ends for the other side, in one of the ways that the conditions allow.
  void CutAndReset(Side side);
  void Postpone(Side side, absl::Duration delay);
  absl::Duration DrawDelayFrom(Side side) {
    return network_->DrawDelay(ends_[side].host, ends_[1 - side].host);
  }
  const LinkConditions* ConditionsFrom(Side side) const {
    return network_->ConditionsOf(ends_[side].host, ends_[1 - side].host);
  }
  // sim_link_tls.cc
  void SayHello(Side side);
  bool TakeHello(Side side);
  void RefuseTls(Side side, absl::Status why);
  bool IsExpected(Side side, const Item& item);

  // Moves frames from the queue into the pipe.
  void PostPump(Side side);
  void Pump(Side side);
  // Hands what has arrived from `side` to the other end.
  void DeliverAt(Side side, int64_t when_nanoseconds);
  void Deliver(Side side);
  // One run of frames; false when nothing more is to be delivered now.
  bool DeliverFrames(Side side);
  void CallPumpAfterAcknowledgement(Side side);
  // Ends `side`; its handler is told `why`.
  void Fail(Side side, absl::Status why);
  void MarkClosed(Side side);

  SimNetwork* network_;
  uint64_t id_;
  End ends_[2];
};

// What the owner of one end holds.
class SimConnection : public Connection {
 public:
  SimConnection(std::shared_ptr<SimLink> link, SimLink::Side side)
      : link_(std::move(link)), side_(side) {}
  ~SimConnection() override { link_->Close(side_); }

  void Start(ConnectionHandler* handler) override { link_->Start(side_, handler); }
  void Send(std::string_view head, Buffer body) override {
    link_->Send(side_, head, std::move(body));
  }
  void StartTls(TlsUpgrade upgrade) override { link_->StartTls(side_, std::move(upgrade)); }
  size_t queued_bytes() const override { return link_->queued_bytes(side_); }
  void PauseReading() override { link_->SetPaused(side_, true); }
  void ResumeReading() override { link_->SetPaused(side_, false); }
  void Close() override { link_->Close(side_); }
  void CloseAfterSending() override { link_->CloseAfterSending(side_); }
  const std::string& peer() const override { return link_->peer(side_); }

  void FinishSending() { link_->FinishSending(side_); }

 private:
  std::shared_ptr<SimLink> link_;
  SimLink::Side side_;
};

}  // namespace stele::simulation
