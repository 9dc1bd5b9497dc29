// ClusterView: the whole cluster as people look at it, as JSON (docs/HTTP.md): bookies with their
// disks and what they measure, what lacks copies, what is being emptied.
//
// Answering never waits: it gives what was seen last, and says when. Who asks makes it look again,
// so nothing is spent while nobody looks, and no more for many who look than for one. A bookie that
// went, and everything while the metadata store does not answer, stays in view as it was.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "autorecovery/auto_recovery.h"
#include "autorecovery/drain.h"
#include "autorecovery/repair_backlog.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/http/console/node_health.h"
#include "common/observe/record.h"
#include "common/seams/env.h"
#include "common/seams/http_fetcher.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

// Belongs to one shard. Its tasks do not outlive it.
class ClusterView {
 public:
  struct Cluster {
    AutoRecovery* autorecovery;  // whose client asks bookies
    metadata::MetadataStore* store;
    metadata::Cluster cluster;
    std::string name;  // of this process
  };
  // What `env` and `cluster` point to, and `fetcher`, outlive it.
  ClusterView(Env env, HttpFetcher* fetcher, Cluster cluster);

  // What is known, with its age; looks again when that is old.
  observe::Record Look();

 private:
  // How often it looks at most, and how small a part of the time that may take: a look reads a node
  // for each ledger that lacks copies, and asks each bookie.
  static constexpr absl::Duration kLookInterval = absl::Seconds(2);
  static constexpr int kPauseFactor = 4;
  static constexpr absl::Duration kLookIntervalMax = absl::Seconds(60);
  // Bookies that are asked at the same time, and for how long.
  static constexpr size_t kAskedMax = 32;
  static constexpr absl::Duration kAnswerWaitMax = absl::Seconds(2);
  // A look at drains reads the metadata of all ledgers: apart, and seldom.
  static constexpr absl::Duration kDrainsInterval = absl::Seconds(10);
  static constexpr int kDrainsPauseFactor = 9;
  static constexpr absl::Duration kDrainsIntervalMax = absl::Minutes(10);
  // Ledgers that are named one by one.
  static constexpr size_t kLedgersNamedMax = 20;

  // What a bookie said when it was asked last.
  struct Seen {
    std::string address;
    std::string admin;                   // where its admin port is; empty: not known
    std::optional<absl::Status> answer;  // nullopt: not asked yet
    std::optional<BookieSpace> space;
    absl::Status measured = absl::OkStatus();
    std::optional<http::NodeHealth> health;
    MonotonicTime sampled_at;
    std::optional<absl::Time> down_since;  // as far as this process knows
  };
  struct Drains {
    std::map<BookieId, DrainView> views;
    absl::Time looked_at;
  };

  Task<void> LookAgain();
  Task<absl::Status> AskOne(BookieId bookie);
  void NoteWhoIsUp();
  void LookAtDrainsIfDue();
  Task<void> LookAgainAtDrains();
  // All that there are or should be.
  std::vector<BookieId> Known() const;
  observe::Record ToRecord(const BookieId& bookie) const;
  std::vector<observe::Record> Ledgers() const;

  const Env env_;
  HttpFetcher* const fetcher_;
  const Cluster cluster_;
  std::shared_ptr<const RepairBacklog> backlog_;
  absl::Time read_at_;  // the backlog
  absl::Status store_ = absl::OkStatus();
  std::optional<absl::Time> store_lost_at_;
  std::map<BookieId, Seen> seen_;
  bool is_looking_ = false;
  MonotonicTime look_after_;
  std::optional<Drains> drains_;
  bool is_looking_at_drains_ = false;
  MonotonicTime look_at_drains_after_;
  TaskScope scope_;
};

}  // namespace stele::autorecovery
