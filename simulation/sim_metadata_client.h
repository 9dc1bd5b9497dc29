// The client's side of a simulated metadata session: what a driver does for its store.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/async/completion.h"
#include "common/async/task.h"
#include "common/base/errors.h"
#include "metadata/drivers/subscriptions.h"
#include "metadata/metadata_store.h"
#include "simulation/scheduler.h"
#include "simulation/sim_metadata_store.h"

namespace stele::simulation {

// Shared by the store and the jobs that are under way; the store ends it. A link is one connection
// to the server: what was sent over an earlier one is lost.
class SimMetadataClient : public std::enable_shared_from_this<SimMetadataClient> {
 public:
  SimMetadataClient(SimMetadataServer* server, SimExecutor* executor);

  // ---- What the server asks for. The client learns of it after a delay.
  // The link is broken.
  void OnCut();
  // The server can be reached again, or the session has ended.
  void OnRestored();
  // A watch of this client has something to tell.
  void SendEvent(uint64_t watch);

  // ---- What the store asks for.
  void Open();
  Task<MetadataReply> Perform(MetadataRequest request);
  std::unique_ptr<metadata::Watch> AddWatch(SimMetadataTree::Changed what, std::string path,
                                            metadata::WatchCallback changed);
  std::unique_ptr<metadata::Watch> AddSessionWatch(metadata::SessionCallback changed);
  Task<void> Close();
  void Destroy();

  uint64_t session() const { return session_; }
  SimExecutor* executor() const { return executor_; }

 private:
  struct Pending {
    MetadataRequest request;
    Completer<MetadataReply> completer;
    bool sent = false;
    bool loses_answer = false;
    bool dies_after = false;
  };

  // Runs `job` at the server, or here, after all that was sent before it; never when the link
  // breaks meanwhile.
  void ToServer(Job job);
  void ToClient(Job job);
  int64_t ArrivalAfter(int64_t* last_nanoseconds);
  void Later(void (SimMetadataClient::*step)());

  void Transmit(uint64_t operation);
  void TransmitArm(uint64_t watch);
  void SendHeldEvents();
  void SendEventNow(uint64_t watch);
  void Complete(uint64_t operation, MetadataReply reply);
  // Ends an operation that will get no answer.
  void Abort(uint64_t operation, ErrorCode code, std::string_view why);

  void NoticeCut();
  void Reestablish();
  void BeginSession();
  void BeginLink();
  void LoseContact();

  SimMetadataServer* server_;
  SimExecutor* executor_;
  Scheduler* scheduler_;
  bool destroyed_ = false;
  bool closed_ = false;
  uint64_t session_ = 0;         // 0: none yet
  bool connected_ = false;       // as far as we know
  uint64_t link_ = 1;            // the true one
  uint64_t connected_link_ = 0;  // the one that we know
  int64_t last_request_nanoseconds_ = 0;
  int64_t last_reply_nanoseconds_ = 0;
  uint64_t operations_made_ = 0;
  std::map<uint64_t, Pending> pending_;
  std::map<uint64_t, SimMetadataServer::WatchKey> watches_;
  std::set<uint64_t> events_held_;  // late ones, at the server
  std::set<uint64_t> events_under_way_;
  std::shared_ptr<metadata::Subscriptions<>> watch_callbacks_;
  std::shared_ptr<metadata::Subscriptions<metadata::SessionState>> session_callbacks_;
};

}  // namespace stele::simulation
