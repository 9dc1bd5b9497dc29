// The simulated metadata server and its clients: one tree, a session per store object, seeded
// delays, and the ways in which a metadata store lets its users down.
//
// Between a store and the server there is one ordered connection: requests are applied in the order
// of their calls, and replies and watch events arrive in the order in which they arose, so an event
// comes before the first read that could show its change.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "metadata/metadata_store.h"
#include "simulation/scheduler.h"
#include "simulation/sim_metadata_tree.h"
#include "simulation/sim_process.h"
#include "simulation/sim_random.h"

namespace stele::simulation {

struct SimMetadataOptions {
  absl::Duration delay_min = absl::Microseconds(100);
  absl::Duration delay_spread = absl::Milliseconds(2);
  // Without contact for this long, the server ends a session.
  absl::Duration session_timeout = absl::Seconds(10);
  // From the call to the answer.
  absl::Duration operation_timeout = absl::Seconds(10);
};

// Sees every write that took effect, each of several deletions by itself; for checkers.
class MetadataObserver {
 public:
  virtual ~MetadataObserver() = default;
  virtual void OnWritten(const std::string& process, const MetadataRequest& request) = 0;
};

class SimMetadataClient;

class SimMetadataServer {
 public:
  // `scheduler` must outlive the server, and the server all processes that use it: crash them
  // first.
  SimMetadataServer(Scheduler* scheduler, SimMetadataOptions options);
  SimMetadataServer(const SimMetadataServer&) = delete;
  SimMetadataServer& operator=(const SimMetadataServer&) = delete;
  ~SimMetadataServer();

  // A store with a new session. Destroying it without Close() leaves the session to its timeout, as
  // a crash does. While the process is disconnected it begins without contact.
  std::unique_ptr<metadata::MetadataStore> NewStore(SimExecutor* executor);

  // Cuts a process off, and lets it back. Meanwhile its sessions may time out.
  void Disconnect(SimProcess* process);
  void Reconnect(SimProcess* process);

  // The server is down, and comes back with all that it had applied. No session times out
  // meanwhile.
  void Stop();
  void Start();

  // Ends the sessions of a process now. It learns of it later, and makes new ones.
  void Expire(SimProcess* process);

  // The process is not heard of for a while, and believes all the time that it is connected. Called
  // by World::Pause and World::Resume.
  void OnPause(SimProcess* process);
  void OnResume(SimProcess* process);

  // Every message takes so many times as long.
  void set_slowness(int64_t factor) { slowness_ = factor; }
  // Events of watches come so much later, but never after a reply that could show their change.
  void set_watch_delay_max(absl::Duration delay) { watch_delay_max_ = delay; }

  // What an operator does by hand, or a foreign program. At once.
  MetadataReply ActAsOperator(const MetadataRequest& request);

  // A backup, and the server that was started from it: it has forgotten all that came later, its
  // sessions included. An empty tree is a new server at the old address.
  SimMetadataTree TakeBackup() const { return tree_; }
  void RestoreBackup(SimMetadataTree backup);

  // Nothing goes wrong from now on. Sessions that have ended have ended.
  void Heal();

  // The next `count` writes of the process are applied and their replies lost; or the requests are
  // lost and never applied. What is lost is lost with its connection: all writes that are under way
  // end with kMetadataUnavailable and Effect::kUnknown as soon as the client notices, and after a
  // moment it goes on with its session on a new connection.
  void LoseReplies(SimProcess* process, int count) { lose_replies_[process->name()] += count; }
  void LoseRequests(SimProcess* process, int count) { lose_requests_[process->name()] += count; }

  // So many in a thousand of what the process reads end with kMetadataUnavailable.
  void FailReads(SimProcess* process, uint64_t thousandths) {
    failing_reads_[process->name()] = thousandths;
  }

  size_t open_sessions() const { return sessions_.size(); }

  // Null: none. Must outlive its use here.
  void set_observer(MetadataObserver* observer) { observer_ = observer; }

 private:
  friend class SimMetadataClient;

  // What the server knows of a session.
  struct Session {
    uint64_t id = 0;
    // Null when the store was destroyed.
    std::shared_ptr<SimMetadataClient> client;
    std::optional<Scheduler::TimerId> timeout;
  };
  struct WatchKey {
    SimMetadataTree::Changed what;
    std::string path;
    friend auto operator<=>(const WatchKey&, const WatchKey&) = default;
  };

  absl::Duration DrawDelay();
  absl::Duration DrawWatchDelay();
  bool IsReachable(const SimMetadataClient& client) const;
  uint64_t NewSession(std::shared_ptr<SimMetadataClient> client);
  bool HasSession(uint64_t session) const { return sessions_.contains(session); }
  // Ends a session and all that belongs to it.
  void EndSession(uint64_t session);
  // Starts the time after which a silent session ends, and stops it.
  void StartTimeout(uint64_t session);
  void StopTimeout(uint64_t session);

  // Nothing when the request or its reply is lost.
  std::optional<MetadataReply> OnRequest(const SimMetadataClient& client,
                                         const MetadataRequest& request);
  void Arm(uint64_t session, const WatchKey& key, uint64_t watch) {
    // It may have timed out while the request was under way.
    if (HasSession(session)) watches_[key].insert({session, watch});
  }
  void Disarm(uint64_t session, const WatchKey& key, uint64_t watch);
  void OnChange(SimMetadataTree::Changed what, const std::string& path);
  bool FailsRead(const SimMetadataClient& client);
  bool TakeOne(std::map<std::string, int>* counts, const SimMetadataClient& client);
  std::vector<std::shared_ptr<SimMetadataClient>> ClientsOf(const SimProcess* process) const;
  // The connection of the client breaks; it comes back after a moment.
  void BreakLink(const std::shared_ptr<SimMetadataClient>& client);
  // The store was destroyed.
  void Forget(const std::shared_ptr<SimMetadataClient>& client);

  Scheduler* scheduler_;
  SimMetadataOptions options_;
  SimRandom random_;
  SimMetadataTree tree_;
  MetadataObserver* observer_ = nullptr;
  bool stopped_ = false;
  uint64_t sessions_made_ = 0;
  std::map<uint64_t, Session> sessions_;  // those that have not ended
  std::vector<std::shared_ptr<SimMetadataClient>> clients_;
  std::set<std::string> disconnected_;  // names of processes
  int64_t slowness_ = 1;
  absl::Duration watch_delay_max_ = absl::ZeroDuration();
  std::map<std::string, int> lose_replies_;
  std::map<std::string, int> lose_requests_;
  std::map<std::string, uint64_t> failing_reads_;  // by process, in thousandths
  std::map<WatchKey, std::set<std::pair<uint64_t, uint64_t>>> watches_;  // session, watch
};

}  // namespace stele::simulation
