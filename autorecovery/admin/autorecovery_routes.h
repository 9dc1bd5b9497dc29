// AutorecoveryRoutes: what `stele autorecovery` answers over HTTP: probes, measurements, the
// restart gate, the page. Pure: its shard calls it. Source: docs/HTTP.md. What is about the whole
// cluster is in cluster_routes.h and ledger_routes.h.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "autorecovery/admin/autorecovery_operations.h"
#include "autorecovery/admin/cluster_view.h"
#include "autorecovery/autorecovery_status.h"
#include "autorecovery/repair_backlog.h"
#include "common/async/task.h"
#include "common/http/http.h"
#include "common/http/router.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"

namespace stele::autorecovery {

class AutorecoveryRoutes {
 public:
  // `operations`, `fetcher`, and what `env` points to, outlive it. Until it runs all but the probes
  // of life answer 503.
  AutorecoveryRoutes(Env env, AutorecoveryOperations* operations, HttpFetcher* fetcher)
      : env_(env), operations_(operations), fetcher_(fetcher) {}

  // `router` does not outlive it.
  void AddTo(http::Router& router);

  // Adds to the measurements, when they are asked for.
  void ShowAlso(absl::AnyInvocable<void(observe::MetricsText&) const> export_more) {
    export_more_ = std::move(export_more);
  }

  // Forgets what it has looked at: before that which runs ends, or another takes its place.
  void Clear();

 private:
  using Answer = Task<http::Response> (AutorecoveryRoutes::*)(http::Request);
  // How old the backlog that measurements show may be: reading it costs the store some operations
  // for each marked ledger.
  static constexpr absl::Duration kBacklogAgeMax = absl::Seconds(30);

  http::Router::Answerer When(Answer answer);
  Task<http::Response> Ready(http::Request);
  Task<http::Response> Metrics(http::Request);
  Task<http::Response> Restart(http::Request request);
  Task<http::Response> View(http::Request);

  const Env env_;
  AutorecoveryOperations* const operations_;
  HttpFetcher* const fetcher_;
  absl::AnyInvocable<void(observe::MetricsText&) const> export_more_;
  std::unique_ptr<ClusterView> view_;  // null until somebody looks
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
