// AutorecoveryRoutes: what `stele autorecovery` answers over HTTP: probes, measurements, the
// restart gate, BookKeeper's paths below /api/v1/autorecovery with their bodies. Pure: its shard
// calls it. Source: docs/HTTP.md; bodies follow Apache's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "autorecovery/admin/cluster_view.h"
#include "autorecovery/auto_recovery.h"
#include "autorecovery/repair_backlog.h"
#include "common/async/task.h"
#include "common/http/http.h"
#include "common/http/router.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

class AutorecoveryRoutes {
 public:
  // What `env` points to, and `fetcher`, outlive it.
  AutorecoveryRoutes(Env env, HttpFetcher* fetcher) : env_(env), fetcher_(fetcher) {}

  // `router` does not outlive it.
  void AddTo(http::Router& router);

  // What is answered for, from now on: it runs. Both outlive this, or end after Clear().
  //   name   of this process
  void SetRunning(AutoRecovery* running, metadata::MetadataStore* store, metadata::Cluster cluster,
                  std::string name);
  // All but the probes answer 503 again.
  void Clear();

 private:
  using Answer = Task<http::Response> (AutorecoveryRoutes::*)(http::Request);
  struct Running {
    AutoRecovery* autorecovery;
    metadata::MetadataStore* store;
    metadata::Cluster cluster;
  };
  // How old the backlog that measurements show may be: reading it costs the store some operations
  // for each marked ledger.
  static constexpr absl::Duration kBacklogAgeMax = absl::Seconds(30);

  http::Router::Answerer When(Answer answer);
  Task<http::Response> Ready(http::Request);
  Task<http::Response> Metrics(http::Request);
  Task<http::Response> Restart(http::Request request);
  Task<http::Response> Enabled(http::Request);
  Task<http::Response> SetEnabled(http::Request request);
  Task<http::Response> UnderReplicated(http::Request request);
  Task<http::Response> Auditor(http::Request);
  Task<http::Response> RecoveryDelay(http::Request);
  Task<http::Response> SetRecoveryDelay(http::Request request);
  Task<http::Response> Audit(http::Request);
  Task<http::Response> View(http::Request);

  const Env env_;
  HttpFetcher* const fetcher_;
  std::optional<Running> running_;
  std::unique_ptr<ClusterView> view_;
  std::shared_ptr<const RepairBacklog> backlog_;
  MonotonicTime backlog_read_at_;
  bool is_reading_backlog_ = false;
  bool is_asking_gate_ = false;
};

// What this process has done.
void ExportStatus(const AuditorStatus& auditor, const WorkerStatus& worker,
                  observe::MetricsText& into);
// What is left to do, for the whole cluster: for the leader of the auditors alone, so that it is
// counted once.
void ExportBacklog(const RepairBacklog& backlog, absl::Time now, observe::MetricsText& into);

}  // namespace stele::autorecovery
