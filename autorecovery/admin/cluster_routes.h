// ClusterRoutes: BookKeeper's HTTP paths that are about the whole cluster: its bookies, and
// autorecovery. As with Apache each bookie answers them, and `stele autorecovery` does. Pure: the
// process' shard calls it. Source: docs/HTTP.md; bodies follow Apache's.
#pragma once

#include "autorecovery/admin/cluster_operations.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/http/http.h"
#include "common/http/router.h"
#include "common/observe/log.h"
#include "common/seams/env.h"

namespace stele::autorecovery {

class ClusterRoutes {
 public:
  // `operations`, `log`, and what `env` points to, outlive it. Without a way to the cluster
  // everything answers 503.
  ClusterRoutes(Env env, ClusterOperations* operations, observe::Log* log)
      : env_(env), operations_(operations), log_(log), scope_(env.executor) {}

  // `router` does not outlive it.
  void AddTo(http::Router& router);

 private:
  using Answer = Task<http::Response> (ClusterRoutes::*)(http::Request);

  http::Router::Answerer When(Answer answer);
  Task<http::Response> Enabled(http::Request);
  Task<http::Response> SetEnabled(http::Request request);
  Task<http::Response> UnderReplicated(http::Request request);
  Task<http::Response> Auditor(http::Request);
  Task<http::Response> RecoveryDelay(http::Request);
  Task<http::Response> SetRecoveryDelay(http::Request request);
  Task<http::Response> Audit(http::Request);
  Task<http::Response> Bookies(http::Request request);
  Task<http::Response> BookieInfos(http::Request);
  Task<http::Response> ClusterInfo(http::Request);
  Task<http::Response> Recover(http::Request request);
  Task<http::Response> Decommission(http::Request request);

  // Checks that all are down, then marks their ledgers behind the answer.
  Task<absl::Status> StartRecovery(std::vector<BookieId> bookies);
  Task<void> MarkLedgers(ClusterOperations::Access access, std::vector<BookieId> bookies);

  const Env env_;
  ClusterOperations* const operations_;
  observe::Log* const log_;
  bool is_asking_bookies_ = false;
  bool is_marking_ = false;
  TaskScope scope_;
};

}  // namespace stele::autorecovery
