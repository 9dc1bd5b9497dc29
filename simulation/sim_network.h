// SimNetwork: the network between simulated processes. A connection is two pipes of frames. Within
// a pipe frames arrive in order, each run of them after a seeded delay; between connections there
// is no order. A pipe holds a bounded number of bytes, so a reader that pauses fills the queue of
// its peer.
//
// Hosts are names of machines; "", "localhost", "127.0.0.1" and "0.0.0.0" mean the own one. Frames
// arrive whole: bytes are cut into frames by common/real, below this seam.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/async/completion.h"
#include "common/seams/transport.h"
#include "simulation/scheduler.h"
#include "simulation/sim_random.h"

namespace stele::simulation {

struct SimNetworkOptions {
  absl::Duration delay_min = absl::Microseconds(50);
  absl::Duration delay_spread = absl::Microseconds(500);
  // On the way or unread, per direction of a connection.
  size_t window_bytes = 256 * 1024;
  // OnWritable comes when the queue falls below it.
  size_t low_water_bytes = 64 * 1024;
  // Between two attempts to reach a host behind a partition.
  absl::Duration connect_retry = absl::Milliseconds(200);
};

// What befalls all that goes from one host to another. Chances are in thousandths.
struct LinkConditions {
  // On top of the normal delay: the mean of an exponential tail.
  absl::Duration delay_tail = absl::ZeroDuration();
  // Of runs of frames that take a hundred times as long.
  uint64_t spikes = 0;
  // Of runs of frames that wait 0.2, 0.4, 0.8 .. s, as after lost packets.
  uint64_t stalls = 0;
  // Shared by all connections; 0: without limit.
  uint64_t bytes_per_second = 0;
  // Of connections that are reset, also by the sender's death: what was sent still arrives, up to
  // zombie_delay_max later, while newer connections work.
  uint64_t zombies = 0;
  absl::Duration zombie_delay_max = absl::Seconds(120);
  // Of connections whose sender dies: the receiver hears nothing until it sends.
  uint64_t silent_deaths = 0;
  // Of frames behind which their connection is reset, sometimes before they arrive.
  uint64_t resets = 0;
  // Of frames that arrive with one bit changed. TCP's checksum makes this rare.
  uint64_t flips = 0;
  // What happens to attempts to connect.
  enum class Connect { kNormal, kRefused, kBlackholed, kSlow, kAcceptedThenReset };
  Connect connect = Connect::kNormal;
};

// Sees every frame; for checkers. It changes nothing.
class FrameObserver {
 public:
  virtual ~FrameObserver() = default;
  // What one host sends to another on a connection, and what arrives, before its receiver sees it.
  virtual void OnSent(uint64_t connection, const std::string& from, const std::string& to,
                      const Buffer& frame) = 0;
  virtual void OnDelivered(uint64_t connection, const std::string& from, const std::string& to,
                           const Buffer& frame) = 0;
};

class SimConnection;
class SimLink;
class SimListener;

class SimNetwork {
 public:
  // `scheduler` must outlive the network, and the network all processes on it: crash them first.
  SimNetwork(Scheduler* scheduler, SimNetworkOptions options);
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;
  ~SimNetwork();

  // Nothing gets from one host to the other until the heal: neither frames nor the end of a
  // connection nor acknowledgements. It is held back, not lost.
  void Block(const std::string& from, const std::string& to);
  void Unblock(const std::string& from, const std::string& to);
  // Both directions.
  void Partition(const std::string& a, const std::string& b);
  void Heal(const std::string& a, const std::string& b);
  void HealAll();

  // From now on, for one direction; and back to normal for all.
  void SetConditions(const std::string& from, const std::string& to, LinkConditions conditions);
  void ClearConditions();

  // Blocks the directed links one by one, in a random order within the first half of the time, and
  // unblocks them in another order within the second.
  using DirectedLink = std::pair<std::string, std::string>;
  void SwizzleClog(std::vector<DirectedLink> links, absl::Duration duration);

  // Resets every connection between two hosts: what is under way is cut at a random point, then
  // each end learns of the loss.
  void ResetConnections(const std::string& a, const std::string& b);
  // The same, but all that `from` has sent reaches `to`, within `delay_max`, on connections that
  // `from` knows to be dead.
  void ResetWithZombies(const std::string& from, const std::string& to, absl::Duration delay_max);
  // The end of every connection at `dead` learns of its loss; the one at `other` does not, until it
  // sends something, or never.
  enum class Silence { kUntilItSends, kForever };
  void HalfOpen(const std::string& dead, const std::string& other, Silence silence);

  // The host's receive windows stay shut: nothing is read there, and its peers' queues fill.
  void ShutWindow(const std::string& host);
  void OpenWindow(const std::string& host);

  // Everything but what has happened is as if no fault had ever been asked for.
  void HealAllFaults();

  // As a peer that shuts down its sending side only: what is queued is sent, then the other end
  // sees OnPeerFinished, while this one can still read.
  static void FinishSending(Connection* connection);

  size_t open_connections() const { return links_.size(); }

  // Null: none. Must outlive its use here.
  void set_observer(FrameObserver* observer) { observer_ = observer; }
  FrameObserver* observer() const { return observer_; }

  // What follows is for the parts of the network.
  Scheduler* scheduler() { return scheduler_; }
  const SimNetworkOptions& options() const { return options_; }
  SimRandom& random() { return random_; }
  absl::Duration DrawDelay(const std::string& from, const std::string& to);
  // How long the bytes keep the directed link busy from now on, those before them included.
  absl::Duration TransferTime(const std::string& from, const std::string& to, size_t bytes);
  // Null: normal.
  const LinkConditions* ConditionsOf(const std::string& from, const std::string& to) const;
  bool IsShut(const std::string& host) const {
    return !shut_windows_.empty() && shut_windows_.contains(host);
  }
  // An event of the world that resets a connection later.
  void ResetLater(const std::shared_ptr<SimLink>& link, absl::Duration delay);
  bool IsBlocked(const std::string& from, const std::string& to) const {
    return !blocked_.empty() && blocked_.contains({from, to});
  }
  void Forget(uint64_t link) { links_.erase(link); }

 private:
  friend class SimListener;
  friend class SimTransport;
  using ConnectResult = absl::StatusOr<std::unique_ptr<Connection>>;
  // One attempt to connect; copied along from step to step.
  struct Attempt {
    SimExecutor* executor;
    std::string from_host;
    Endpoint to;
    TransportLimits limits;
    Completer<ConnectResult> completer;
    bool was_slow = false;
  };
  struct LinkState {
    LinkConditions conditions;
    int64_t busy_until_nanoseconds = 0;
  };

  void Connect(Attempt attempt);
  void Arrive(Attempt attempt);
  void TryAgain(Attempt attempt, absl::Duration delay);
  void Refuse(const Attempt& attempt, std::string_view why);
  absl::Duration DrawBelow(absl::Duration bound);
  void LinksBetween(const std::string& a, const std::string& b,
                    std::vector<std::shared_ptr<SimLink>>* links);

  Scheduler* scheduler_;
  SimNetworkOptions options_;
  SimRandom random_;
  FrameObserver* observer_ = nullptr;
  uint64_t links_made_ = 0;
  std::set<DirectedLink> blocked_;
  std::map<DirectedLink, LinkState> conditions_;
  std::set<std::string> shut_windows_;
  std::map<Endpoint, SimListener*> listeners_;
  std::map<uint64_t, std::weak_ptr<SimLink>> links_;  // those with an open end
  std::map<std::string, uint16_t> last_port_;         // chosen per host
};

// The Transport of one shard.
class SimTransport : public Transport {
 public:
  // Network and executor must outlive the transport.
  SimTransport(SimNetwork* network, SimExecutor* executor, std::string host)
      : network_(network), executor_(executor), host_(std::move(host)) {}

  Task<absl::StatusOr<std::unique_ptr<Connection>>> Connect(Endpoint to, TransportLimits limits,
                                                            absl::Duration timeout) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(Endpoint at, TransportLimits limits,
                                                   AcceptHandler* handler) override;

 private:
  std::string Resolve(const std::string& host) const;

  SimNetwork* network_;
  SimExecutor* executor_;
  std::string host_;
};

}  // namespace stele::simulation
