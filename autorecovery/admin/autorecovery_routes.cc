#include "autorecovery/admin/autorecovery_routes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "autorecovery/restart_check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/http/console/console.h"
#include "common/observe/record.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/bookie_id.h"
#include "metadata/cluster_paths.h"

namespace stele::autorecovery {
namespace {

using http::Request;
using http::Response;
using metadata::AutorecoverySettings;
using metadata::ClusterPaths;
using observe::Record;

constexpr int64_t kRecoveryDelayMaxSeconds = 366 * 86'400;

Task<Response> Say(absl::Status failure) { co_return http::Failure(failure); }

// The parameter; empty when it is not given.
std::string ParameterOf(const Request& request, const std::string& name) {
  const auto found = request.target.query.find(name);
  return found == request.target.query.end() ? std::string() : found->second;
}

std::string Quoted(const std::vector<BookieId>& bookies) {
  std::string list;
  for (const BookieId& bookie : bookies) {
    list += StrCat(list.empty() ? "" : ", ", observe::JsonText(bookie.value()));
  }
  return "[" + list + "]";
}

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
  const std::string v1 = "/api/v1/autorecovery/";
  router.Get(v1 + "status", When(&R::Enabled));
  router.Put(v1 + "status", When(&R::SetEnabled));
  router.Get(v1 + "list_under_replicated_ledger", When(&R::UnderReplicated));
  router.Get(v1 + "who_is_auditor", When(&R::Auditor));
  router.Get(v1 + "lost_bookie_recovery_delay", When(&R::RecoveryDelay));
  router.Put(v1 + "lost_bookie_recovery_delay", When(&R::SetRecoveryDelay));
  router.Put(v1 + "trigger_audit", When(&R::Audit));
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
  if (now.is_leader) {
    text.Gauge("stele_backlog_known", {}, backlog_ != nullptr ? 1 : 0);
    if (backlog_ != nullptr) ExportBacklog(*backlog_, env_.clock->WallNow(), text);
  }
  co_return Response{.body = text.ToString(),
                     .content_type = std::string(observe::kMetricsContentType)};
}

// It reads the metadata of all ledgers: one question at a time.
Task<Response> AutorecoveryRoutes::Restart(Request request) {
  const std::string bookie = ParameterOf(request, "bookie");
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
                                               .under_repair = backlog->UnderRepair()});
  }
  is_asking_gate_ = false;
  if (!operations_->running().has_value()) co_return http::Failure(operations_->Readiness());
  if (!backlog.ok()) co_return http::Failure(backlog.status());
  if (!verdict.ok()) co_return http::Failure(verdict.status());
  co_return ToResponse(*verdict);
}

Task<Response> AutorecoveryRoutes::Enabled(Request) {
  const absl::StatusOr<bool> enabled = co_await operations_->IsEnabled();
  if (!enabled.ok()) co_return http::Failure(enabled.status());
  co_return http::Json(Record().Set("enabled", *enabled));
}

Task<Response> AutorecoveryRoutes::SetEnabled(Request request) {
  const std::string wanted = ParameterOf(request, "enabled");
  if (wanted != "true" && wanted != "false") {
    co_return http::Text(400, "enabled must be true or false");
  }
  const absl::Status set = co_await operations_->SetEnabled(wanted == "true");
  if (!set.ok()) co_return http::Failure(set);
  co_return http::Json(Record().Set("enabled", wanted == "true"));
}

// As Apache's: 404 when there is none.
Task<Response> AutorecoveryRoutes::UnderReplicated(Request request) {
  const std::string with = ParameterOf(request, "missingreplica");
  const std::string without = ParameterOf(request, "excludingmissingreplica");
  const bool print_replicas = ParameterOf(request, "printmissingreplica") == "true";
  const absl::StatusOr<RepairBacklog> backlog = co_await ReadRepairBacklog(
      env_, operations_->running()->store, operations_->running()->cluster);
  if (!backlog.ok()) co_return http::Failure(backlog.status());
  std::map<LedgerId, std::vector<BookieId>> found;
  for (const metadata::RepairTask& task : backlog->tasks) {
    const std::vector<BookieId>& missing = task.mark.replicas;
    const auto names = [&](const std::string& bookie) {
      return std::find(missing.begin(), missing.end(), BookieId(bookie)) != missing.end();
    };
    if (!with.empty() && !names(with)) continue;
    if (!without.empty() && names(without)) continue;
    found.emplace(task.ledger, missing);
  }
  if (found.empty()) co_return http::Text(404, "No under replicated ledgers found");
  std::string list;
  for (const auto& [ledger, missing] : found) {
    list += StrCat(list.empty() ? "" : ", ");
    list += print_replicas ? StrCat("\"", ledger.value(), "\": ", Quoted(missing))
                           : StrCat(ledger.value());
  }
  co_return http::Json(print_replicas ? "{" + list + "}" : "[" + list + "]");
}

Task<Response> AutorecoveryRoutes::Auditor(Request) {
  const auto auditor = co_await operations_->Auditor();
  if (!auditor.ok()) co_return http::Failure(auditor.status());
  if (!auditor->has_value()) co_return http::Text(404, "No auditor elected");
  co_return http::Text(200, StrCat("Auditor: ", **auditor));
}

Task<Response> AutorecoveryRoutes::RecoveryDelay(Request) {
  AutorecoverySettings settings(operations_->running()->store,
                                ClusterPaths(operations_->running()->cluster.layout.root()));
  const auto delay = co_await settings.RecoveryDelay();
  if (!delay.ok()) co_return http::Failure(delay.status());
  co_return http::Text(200, StrCat("lostBookieRecoveryDelay value: ",
                                   delay->has_value() ? absl::ToInt64Seconds(**delay) : 0));
}

Task<Response> AutorecoveryRoutes::SetRecoveryDelay(Request request) {
  const absl::StatusOr<Record> body = http::ParseJsonObject(request.body);
  if (!body.ok()) co_return http::Failure(body.status());
  const absl::StatusOr<std::optional<int64_t>> seconds =
      http::IntegerMember(*body, "delay_seconds");
  if (!seconds.ok()) co_return http::Failure(seconds.status());
  if (!seconds->has_value() || **seconds < 0 || **seconds > kRecoveryDelayMaxSeconds) {
    co_return http::Text(400, StrCat("delay_seconds must be 0 to ", kRecoveryDelayMaxSeconds));
  }
  AutorecoverySettings settings(operations_->running()->store,
                                ClusterPaths(operations_->running()->cluster.layout.root()));
  const absl::Status set = co_await settings.SetRecoveryDelay(absl::Seconds(**seconds));
  if (!set.ok()) co_return http::Failure(set);
  co_return http::Text(200, StrCat("Success set lostBookieRecoveryDelay to ", **seconds));
}

// The same delay again is the order.
Task<Response> AutorecoveryRoutes::Audit(Request) {
  AutorecoverySettings settings(operations_->running()->store,
                                ClusterPaths(operations_->running()->cluster.layout.root()));
  const auto delay = co_await settings.RecoveryDelay();
  if (!delay.ok()) co_return http::Failure(delay.status());
  if (!delay->has_value()) co_return http::Text(404, "No auditor has run in this cluster");
  const absl::Status ordered = co_await settings.SetRecoveryDelay(**delay);
  if (!ordered.ok()) co_return http::Failure(ordered);
  co_return http::Text(200, "Success trigger audit.");
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
