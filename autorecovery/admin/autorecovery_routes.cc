#include "autorecovery/admin/autorecovery_routes.h"

#include <utility>

#include "autorecovery/restart_check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/http/console/console.h"
#include "common/observe/record.h"
#include "metadata/ledger_manager.h"

namespace stele::autorecovery {
namespace {

using http::Request;
using http::Response;
using observe::Record;

Task<Response> Say(absl::Status failure) { co_return http::Failure(failure); }

Response ToResponse(const RestartVerdict& verdict) {
  std::vector<Record> refusals;
  for (const auto& [kind, count] : verdict.counts) {
    refusals.emplace_back();
    refusals.back()
        .Set("code", std::string(LabelOf(kind)))
        .Set("because", std::string(ReasonOf(kind)))
        .Set("ledgers", count);
  }
  Response response = http::Json(Record()
                                     .Set("granted", verdict.IsGranted())
                                     .Set("ledgers", verdict.ledgers)
                                     .Set("ledgers_touched", verdict.ledgers_touched)
                                     .Set("refusals", std::move(refusals)));
  response.status = verdict.IsGranted() ? 200 : 503;
  return response;
}

}  // namespace

void AutorecoveryRoutes::Clear() {
  view_.reset();
  backlog_.reset();
}

http::Router::Answerer AutorecoveryRoutes::When(Answer answer) {
  return [this, answer](Request request) {
    if (!operations_->running().has_value()) return Say(operations_->Readiness());
    return (this->*answer)(std::move(request));
  };
}

void AutorecoveryRoutes::AddTo(http::Router& router) {
  using R = AutorecoveryRoutes;
  router.AddLifeProbes();
  router.Get("/readyz", When(&R::Ready));
  router.Get("/metrics", When(&R::Metrics));
  router.Get("/restartz", When(&R::Restart));
  http::AddConsole(router);
  router.Get(http::kViewPath, When(&R::View));
}

Task<Response> AutorecoveryRoutes::Ready(Request) { co_return http::Text(200, "running"); }

Task<Response> AutorecoveryRoutes::Metrics(Request) {
  const AuditorStatus auditor = operations_->running()->autorecovery->auditor_status();
  const bool is_old = backlog_ == nullptr || env_.clock->Now() - backlog_read_at_ >= kBacklogAgeMax;
  if (auditor.is_leader && is_old && !is_reading_backlog_) {
    is_reading_backlog_ = true;
    absl::StatusOr<RepairBacklog> read = co_await ReadRepairBacklog(
        env_, operations_->running()->store, operations_->running()->cluster);
    is_reading_backlog_ = false;
    // While the store does not answer, what it says is not known.
    backlog_ = read.ok() ? std::make_shared<const RepairBacklog>(*std::move(read)) : nullptr;
    backlog_read_at_ = env_.clock->Now();
    if (!operations_->running().has_value()) co_return http::Failure(operations_->Readiness());
  }
  observe::MetricsText text(env_.clock->Now());
  const AuditorStatus now = operations_->running()->autorecovery->auditor_status();
  ExportStatus(now, operations_->running()->autorecovery->worker_status(), text);
  operations_->running()->autorecovery->Export(text);
  if (export_more_) export_more_(text);
  if (now.is_leader) {
    text.Gauge("stele_backlog_known", {}, backlog_ != nullptr ? 1 : 0);
    if (backlog_ != nullptr) ExportBacklog(*backlog_, env_.clock->WallNow(), text);
  }
  co_return Response{.body = text.ToString(),
                     .content_type = std::string(observe::kMetricsContentType)};
}

// It reads the metadata of all ledgers: one question at a time.
Task<Response> AutorecoveryRoutes::Restart(Request request) {
  const std::string bookie = request.Parameter("bookie");
  if (bookie.empty()) co_return http::Text(400, "name it: /restartz?bookie=ID");
  if (is_asking_gate_) co_return http::Text(503, "another question is being answered");
  is_asking_gate_ = true;
  const AutorecoveryOperations::Running running = *operations_->running();
  absl::StatusOr<RestartVerdict> verdict = absl::UnknownError("");
  const absl::StatusOr<RepairBacklog> backlog =
      co_await ReadRepairBacklog(env_, running.store, running.cluster);
  if (backlog.ok() && operations_->running().has_value()) {
    metadata::LedgerManager ledgers(env_, running.store, running.cluster.layout);
    verdict = co_await CheckRestart(&ledgers, {.stopping = {BookieId(bookie)},
                                               .bookies = backlog->bookies,
                                               .under_repair = backlog->UnderRepair(),
                                               .in_limbo = backlog->in_limbo});
  }
  is_asking_gate_ = false;
  if (!operations_->running().has_value()) co_return http::Failure(operations_->Readiness());
  if (!backlog.ok()) co_return http::Failure(backlog.status());
  if (!verdict.ok()) co_return http::Failure(verdict.status());
  co_return ToResponse(*verdict);
}

Task<Response> AutorecoveryRoutes::View(Request) {
  if (view_ == nullptr) {
    const AutorecoveryOperations::Running& running = *operations_->running();
    view_ = std::make_unique<ClusterView>(
        env_, fetcher_,
        ClusterView::Cluster{running.autorecovery, running.store, running.cluster, running.name});
  }
  co_return http::Json(view_->Look());
}

}  // namespace stele::autorecovery
