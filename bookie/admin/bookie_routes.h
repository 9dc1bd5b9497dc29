// BookieRoutes: what a bookie answers over HTTP: probes, measurements, BookKeeper's paths below
// /api/v1/bookie with their bodies. Pure: the bookie's shard calls it, sockets are elsewhere.
// Source: docs/HTTP.md; bodies follow Apache's.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "bookie/admin/bookie_operations.h"
#include "common/async/task.h"
#include "common/http/http.h"
#include "common/http/router.h"
#include "common/observe/metrics_text.h"
#include "common/seams/clock.h"
#include "common/seams/env.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

class BookieRoutes {
 public:
  // settings: the keys that were set, as they were written. Values of secret ones are not shown.
  // Without a bookie in `operations`, all but the probes of life and the page answer 503. What it
  // points to outlives this.
  BookieRoutes(BookieOperations* operations, const Env& env,
               std::map<std::string, std::string> settings)
      : operations_(operations),
        clock_(env.clock),
        files_(env.files),
        settings_(std::move(settings)) {}

  // `router` does not outlive it.
  void AddTo(http::Router& router);
  // Adds to the measurements, when they are asked for.
  void ShowAlso(absl::AnyInvocable<void(observe::MetricsText&) const> export_more) {
    export_more_ = std::move(export_more);
  }

 private:
  using Answer = http::Response (BookieRoutes::*)(const http::Request&);

  http::Router::Answerer When(Answer answer);
  Task<http::Response> AnswerNow(Answer answer, http::Request request);

  http::Response Ready(const http::Request&);
  http::Response Started(const http::Request&);
  http::Response Metrics(const http::Request&);
  http::Response View(const http::Request&);
  http::Response Settings(const http::Request&);
  http::Response Info(const http::Request&);
  http::Response State(const http::Request&);
  http::Response ReadOnlyState(const http::Request&);
  http::Response GarbageState(const http::Request&);
  http::Response GarbageDetails(const http::Request&);
  http::Response SuspendedState(const http::Request&);
  http::Response LogMarks(const http::Request&);
  http::Response StartGarbage(const http::Request& request);
  http::Response Suspend(const http::Request& request);
  http::Response Resume(const http::Request& request);
  http::Response SwitchCompaction(const http::Request& request, std::string_view verb,
                                  bool suspended);
  Task<http::Response> SetReadOnly(http::Request request);
  Task<http::Response> DiskFiles(http::Request request);

  BookieOperations* const operations_;
  const Clock* const clock_;
  FileSystem* const files_;
  const std::map<std::string, std::string> settings_;
  absl::AnyInvocable<void(observe::MetricsText&) const> export_more_;
};

}  // namespace stele::bookie
