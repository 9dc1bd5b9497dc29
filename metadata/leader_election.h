// LeaderElection: which of all auditors, Stele's and Apache's, is the one. Everybody has a vote, an
// ephemeral node with a number that grows; the lowest number is the auditor. Two may believe it for
// a while: what auditors do may be done twice.
//
// While the store cannot be reached everything waits. Source: docs/METADATA.md "Under-replication".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "metadata/backoff.h"
#include "metadata/metadata_store.h"
#include "metadata/signal.h"
#include "metadata/underreplication_format.h"

namespace stele::metadata {

struct Vote {
  std::string name;  // of the node
  int64_t number = 0;
  friend bool operator==(const Vote&, const Vote&) = default;
};
// Ascending by number; names that are no votes are passed over. Pure.
std::vector<Vote> SortVotes(const std::vector<std::string>& names);

// Belongs to one shard. Its tasks do not outlive it.
class LeaderElection {
 public:
  // `env` (executor, clock, random) and `store` outlive it.
  //   candidate   what the vote says, for people: the id of the bookie, or the host
  LeaderElection(Env env, MetadataStore* store, const ClusterPaths& paths, std::string candidate);

  // Votes, and completes when the vote is the lowest; also when it was so already. After the
  // session has ended it votes again.
  //   kStopped and others that waiting does not help against
  Task<absl::Status> WaitUntilElected();

  // Is our vote still there, and the lowest? To be asked before anything is written for others.
  //   kMetadataUnavailable   nobody knows
  Task<absl::StatusOr<bool>> IsLeader();

  // Takes the vote back.
  Task<void> Resign();

 private:
  Task<absl::StatusOr<std::vector<Vote>>> Votes();
  // Our vote among `votes`: the one we made, or one of which we never heard that it was made.
  Task<absl::StatusOr<std::optional<Vote>>> FindOwn(std::vector<Vote> votes);
  // Only the predecessor is watched, so that one end wakes one.
  void Follow(const std::string& predecessor);

  Env env_;
  MetadataStore* store_;
  UnderreplicationPaths paths_;
  std::string candidate_;
  std::optional<std::string> own_;  // the name of our vote
  Signal look_;
  std::string watched_;
  std::unique_ptr<Watch> vote_watch_;
  std::unique_ptr<Watch> session_watch_;
};

// What the lowest vote says; nothing when nobody votes.
Task<absl::StatusOr<std::optional<std::string>>> CurrentLeader(MetadataStore* store,
                                                               ClusterPaths paths);

}  // namespace stele::metadata
