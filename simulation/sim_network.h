// SimNetwork: the network between simulated processes. A connection is two pipes of frames. Within
// a pipe frames arrive in order, each run of them after a seeded delay; between connections there
// is no order. A pipe holds a bounded number of bytes, so a reader that pauses fills the queue of
// its peer.
//
// Hosts are names of machines; "", "localhost", "127.0.0.1" and "0.0.0.0" mean the own one. Frames
// arrive whole: a frame that is begun and never finished does not occur here.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
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

  // Resets every connection between two hosts: what is under way is cut at a random point, then
  // each end learns of the loss.
  void ResetConnections(const std::string& a, const std::string& b);

  // As a peer that shuts down its sending side only: what is queued is sent, then the other end
  // sees OnPeerFinished, while this one can still read.
  static void FinishSending(Connection* connection);

  size_t open_connections() const { return links_.size(); }

  // What follows is for the parts of the network.
  Scheduler* scheduler() { return scheduler_; }
  const SimNetworkOptions& options() const { return options_; }
  SimRandom& random() { return random_; }
  absl::Duration DrawDelay();
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
  };

  void Connect(Attempt attempt);
  void Arrive(Attempt attempt);
  void LinksBetween(const std::string& a, const std::string& b,
                    std::vector<std::shared_ptr<SimLink>>* links);

  Scheduler* scheduler_;
  SimNetworkOptions options_;
  SimRandom random_;
  uint64_t links_made_ = 0;
  std::set<std::pair<std::string, std::string>> blocked_;
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
