// LedgerRoutes: BookKeeper's HTTP paths below /api/v1/ledger: list, metadata, entries, delete. As
// with Apache each bookie answers them, and `stele autorecovery` does. Pure: the process' shard
// calls it. Source: docs/HTTP.md; bodies follow Apache's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "autorecovery/admin/cluster_operations.h"
#include "client/read_handle.h"
#include "common/async/task.h"
#include "common/http/http.h"
#include "common/http/router.h"
#include "common/seams/env.h"

namespace stele::autorecovery {

class LedgerRoutes {
 public:
  // What one answer holds at most. More is asked for by pages.
  static constexpr int64_t kIdsMax = 100'000;
  static constexpr int64_t kMetadataMax = 100;
  static constexpr int64_t kEntriesMax = 1'000;
  static constexpr size_t kPayloadMaxBytes = 8 << 20;

  // `operations`, and what `env` points to, outlive it. Without a way to the cluster everything
  // answers 503.
  LedgerRoutes(Env env, ClusterOperations* operations) : env_(env), operations_(operations) {}

  // `router` does not outlive it.
  void AddTo(http::Router& router);

 private:
  using Answer = Task<http::Response> (LedgerRoutes::*)(http::Request);
  // Answers that list or read are made one at a time: they are large, and cost the store or the
  // bookies.
  Task<http::Response> OneAtATime(Answer answer, http::Request request);
  http::Router::Answerer When(Answer answer);
  http::Router::Answerer Alone(Answer answer);

  Task<http::Response> List(http::Request request);
  Task<http::Response> Metadata(http::Request request);
  Task<http::Response> Read(http::Request request);
  Task<http::Response> Delete(http::Request request);

  const Env env_;
  ClusterOperations* const operations_;
  bool is_busy_ = false;
};

}  // namespace stele::autorecovery
