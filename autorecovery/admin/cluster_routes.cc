#include "autorecovery/admin/cluster_routes.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "autorecovery/cluster_check.h"
#include "autorecovery/recover.h"
#include "autorecovery/repair_backlog.h"
#include "common/async/run_concurrently.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/observe/record.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/bookie_id.h"
#include "metadata/bookie_registry.h"

namespace stele::autorecovery {
namespace {

using http::Request;
using http::Response;
using metadata::AutorecoverySettings;
using observe::Record;

constexpr int64_t kRecoveryDelayMaxSeconds = 366 * 86'400;
// Bookies that are asked for their space at the same time.
constexpr size_t kAskedMax = 32;
// Bookies that one request may name.
constexpr size_t kRecoveredMax = 100;

Task<Response> Say(absl::Status failure) { co_return http::Failure(failure); }

std::string Quoted(const std::vector<BookieId>& bookies) {
  std::string list;
  for (const BookieId& bookie : bookies) {
    list += StrCat(list.empty() ? "" : ", ", observe::JsonText(bookie.value()));
  }
  return "[" + list + "]";
}

// As Apache writes numbers of bytes: by thousands, cut off behind three digits.
std::string Readable(int64_t bytes) {
  int64_t thousandths = bytes;
  for (const std::string_view unit : {"KB", "MB", "GB", "TB"}) {
    if (thousandths < 1'000) return "";
    if (thousandths < 1'000'000 || unit == "TB") {
      std::string digits = absl::StrFormat("%d.%03d", thousandths / 1'000, thousandths % 1'000);
      digits.erase(digits.find_last_not_of('0') + 1);
      if (digits.ends_with('.')) digits.pop_back();
      return StrCat("(", digits, unit, ")");
    }
    thousandths /= 1'000;
  }
  return "";
}

std::string SpaceText(const BookieSpace& space) {
  return StrCat("{Free: ", space.free_bytes, Readable(space.free_bytes),
                ", Total: ", space.total_bytes, Readable(space.total_bytes), "}");
}

using Spaces = std::map<BookieId, BookieSpace>;  // of those that answered

Task<absl::Status> AskForSpace(ClusterCheck* check, BookieId bookie, Spaces* spaces) {
  const absl::StatusOr<BookieSpace> space = co_await check->SpaceOf(bookie);
  if (space.ok()) spaces->emplace(bookie, *space);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<Spaces>> AskForSpaces(Env env, ClusterOperations::Access access) {
  metadata::BookieRegistry registry(env, access.store, access.paths());
  STELE_CO_TRY_OK(co_await registry.Start());
  STELE_CO_TRY(const std::unique_ptr<ClusterCheck> check,
               co_await ClusterCheck::Open(env, access.store, access.cluster, access.client));
  std::vector<BookieId> bookies = registry.bookies().writable;
  const std::vector<BookieId>& read_only = registry.bookies().read_only;
  bookies.insert(bookies.end(), read_only.begin(), read_only.end());
  Spaces spaces;
  const auto ask = [&](size_t i) { return AskForSpace(check.get(), bookies[i], &spaces); };
  (co_await RunConcurrently(env.executor, bookies.size(), kAskedMax, ask)).IgnoreError();
  co_await check->Close();
  co_return spaces;
}

absl::StatusOr<std::vector<BookieId>> ToBookies(const std::vector<std::string>& names) {
  std::vector<BookieId> bookies;
  for (const std::string& name : names) {
    if (!metadata::IsValidBookieId(name)) {
      return MakeError(ErrorCode::kInvalidArgument, "bookie_src must name bookies");
    }
    bookies.emplace_back(name);
  }
  if (bookies.empty() || bookies.size() > kRecoveredMax) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("bookie_src must name 1 to ", kRecoveredMax, " bookies"));
  }
  return bookies;
}

// Apache's removes the cookie once all is copied, which can take days and ends with the process.
absl::Status CheckKeepsCookie(const Record& body) {
  STELE_TRY(const std::optional<bool> wanted, http::BoolMember(body, "delete_cookie"));
  if (!wanted.value_or(false)) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidArgument,
                   "delete_cookie is not done here: stele cookie delete, when nothing names it");
}

// The bookies that a body names: a list of them.
absl::StatusOr<std::vector<BookieId>> BookiesIn(const std::string& text) {
  STELE_TRY(const Record body, http::ParseJsonObject(text));
  STELE_TRY_OK(CheckKeepsCookie(body));
  STELE_TRY(const auto names, http::TextsMember(body, "bookie_src"));
  return ToBookies(names.value_or(std::vector<std::string>()));
}

// One.
absl::StatusOr<std::vector<BookieId>> BookieIn(const std::string& text) {
  STELE_TRY(const Record body, http::ParseJsonObject(text));
  STELE_TRY_OK(CheckKeepsCookie(body));
  STELE_TRY(const auto name, http::TextMember(body, "bookie_src"));
  return ToBookies({name.value_or("")});
}

}  // namespace

http::Router::Answerer ClusterRoutes::When(Answer answer) {
  return [this, answer](Request request) {
    if (!operations_->access().has_value()) return Say(NoAccess());
    return (this->*answer)(std::move(request));
  };
}

void ClusterRoutes::AddTo(http::Router& router) {
  using R = ClusterRoutes;
  const std::string recovery = "/api/v1/autorecovery/";
  router.Get(recovery + "status", When(&R::Enabled));
  router.Put(recovery + "status", When(&R::SetEnabled));
  router.Get(recovery + "list_under_replicated_ledger", When(&R::UnderReplicated));
  router.Get(recovery + "who_is_auditor", When(&R::Auditor));
  router.Get(recovery + "lost_bookie_recovery_delay", When(&R::RecoveryDelay));
  router.Put(recovery + "lost_bookie_recovery_delay", When(&R::SetRecoveryDelay));
  router.Put(recovery + "trigger_audit", When(&R::Audit));
  router.Put(recovery + "bookie", When(&R::Recover));
  router.Put(recovery + "decommission", When(&R::Decommission));
  const std::string bookie = "/api/v1/bookie/";
  router.Get(bookie + "list_bookies", When(&R::Bookies));
  router.Get(bookie + "list_bookie_info", When(&R::BookieInfos));
  router.Get(bookie + "cluster_info", When(&R::ClusterInfo));
}

Task<Response> ClusterRoutes::Enabled(Request) {
  const absl::StatusOr<bool> enabled = co_await operations_->IsEnabled();
  if (!enabled.ok()) co_return http::Failure(enabled.status());
  co_return http::Json(Record().Set("enabled", *enabled));
}

Task<Response> ClusterRoutes::SetEnabled(Request request) {
  const std::string wanted = request.Parameter("enabled");
  if (wanted != "true" && wanted != "false") {
    co_return http::Text(400, "enabled must be true or false");
  }
  const absl::Status set = co_await operations_->SetEnabled(wanted == "true");
  if (!set.ok()) co_return http::Failure(set);
  co_return http::Json(Record().Set("enabled", wanted == "true"));
}

// As Apache's: 404 when there is none.
Task<Response> ClusterRoutes::UnderReplicated(Request request) {
  const std::string with = request.Parameter("missingreplica");
  const std::string without = request.Parameter("excludingmissingreplica");
  const bool print_replicas = request.Parameter("printmissingreplica") == "true";
  const absl::StatusOr<RepairBacklog> backlog = co_await ReadRepairBacklog(
      env_, operations_->access()->store, operations_->access()->cluster);
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

Task<Response> ClusterRoutes::Auditor(Request) {
  const auto auditor = co_await operations_->Auditor();
  if (!auditor.ok()) co_return http::Failure(auditor.status());
  if (!auditor->has_value()) co_return http::Text(404, "No auditor elected");
  co_return http::Text(200, StrCat("Auditor: ", **auditor));
}

Task<Response> ClusterRoutes::RecoveryDelay(Request) {
  AutorecoverySettings settings(operations_->access()->store, operations_->access()->paths());
  const auto delay = co_await settings.RecoveryDelay();
  if (!delay.ok()) co_return http::Failure(delay.status());
  co_return http::Text(200, StrCat("lostBookieRecoveryDelay value: ",
                                   delay->has_value() ? absl::ToInt64Seconds(**delay) : 0));
}

Task<Response> ClusterRoutes::SetRecoveryDelay(Request request) {
  const absl::StatusOr<Record> body = http::ParseJsonObject(request.body);
  if (!body.ok()) co_return http::Failure(body.status());
  const absl::StatusOr<std::optional<int64_t>> seconds =
      http::IntegerMember(*body, "delay_seconds");
  if (!seconds.ok()) co_return http::Failure(seconds.status());
  if (!seconds->has_value() || **seconds < 0 || **seconds > kRecoveryDelayMaxSeconds) {
    co_return http::Text(400, StrCat("delay_seconds must be 0 to ", kRecoveryDelayMaxSeconds));
  }
  AutorecoverySettings settings(operations_->access()->store, operations_->access()->paths());
  const absl::Status set = co_await settings.SetRecoveryDelay(absl::Seconds(**seconds));
  if (!set.ok()) co_return http::Failure(set);
  co_return http::Text(200, StrCat("Success set lostBookieRecoveryDelay to ", **seconds));
}

// The same delay again is the order.
Task<Response> ClusterRoutes::Audit(Request) {
  AutorecoverySettings settings(operations_->access()->store, operations_->access()->paths());
  const auto delay = co_await settings.RecoveryDelay();
  if (!delay.ok()) co_return http::Failure(delay.status());
  if (!delay->has_value()) co_return http::Text(404, "No auditor has run in this cluster");
  const absl::Status ordered = co_await settings.SetRecoveryDelay(**delay);
  if (!ordered.ok()) co_return http::Failure(ordered);
  co_return http::Text(200, "Success trigger audit.");
}

// As Apache's: those that take entries, unless type=ro.
Task<Response> ClusterRoutes::Bookies(Request request) {
  const ClusterOperations::Access access = *operations_->access();
  metadata::BookieRegistry registry(env_, access.store, access.paths());
  const absl::Status started = co_await registry.Start();
  if (!started.ok()) co_return http::Failure(started);
  const bool wants_hosts = request.Parameter("print_hostnames") == "true";
  const std::vector<BookieId> bookies = request.Parameter("type") == "ro"
                                            ? registry.bookies().read_only
                                            : registry.bookies().writable;
  std::string list;
  for (const BookieId& bookie : bookies) {
    std::string host = "null";
    if (wants_hosts) {
      const absl::StatusOr<Endpoint> at = co_await registry.Resolve(bookie);
      if (at.ok()) host = observe::JsonText(at->host);
    }
    list += StrCat(list.empty() ? "" : ", ", observe::JsonText(bookie.value()), ": ", host);
  }
  co_return http::Json("{" + list + "}");
}

Task<Response> ClusterRoutes::BookieInfos(Request) {
  if (is_asking_bookies_) co_return http::Text(503, "the bookies are being asked already");
  is_asking_bookies_ = true;
  const auto spaces = co_await AskForSpaces(env_, *operations_->access());
  is_asking_bookies_ = false;
  if (!spaces.ok()) co_return http::Failure(spaces.status());
  if (spaces->empty()) co_return http::Text(404, "Not found any Bookie info.");
  Record record;
  BookieSpace all;
  for (const auto& [bookie, space] : *spaces) {
    record.Set(bookie.value(), StrCat(": ", SpaceText(space), ","));
    all.total_bytes += space.total_bytes;
    all.free_bytes += space.free_bytes;
  }
  co_return http::Json(record.Set("ClusterInfo: ", SpaceText(all)));
}

Task<Response> ClusterRoutes::ClusterInfo(Request) {
  const absl::StatusOr<RepairBacklog> backlog = co_await ReadRepairBacklog(
      env_, operations_->access()->store, operations_->access()->cluster);
  if (!backlog.ok()) co_return http::Failure(backlog.status());
  const metadata::BookieSet& up = backlog->bookies;
  const int64_t down = std::count_if(backlog->joined.begin(), backlog->joined.end(),
                                     [&up](const BookieId& id) { return !up.IsUp(id); });
  const auto writable = static_cast<int64_t>(up.writable.size());
  const auto read_only = static_cast<int64_t>(up.read_only.size());
  co_return http::Json(Record()
                           .Set("auditorElected", backlog->auditor.has_value())
                           .Set("auditorId", backlog->auditor.value_or(""))
                           .Set("clusterUnderReplicated", !backlog->tasks.empty())
                           .Set("ledgerReplicationEnabled", backlog->enabled)
                           .Set("totalBookiesCount", writable + read_only + down)
                           .Set("writableBookiesCount", writable)
                           .Set("readonlyBookiesCount", read_only)
                           .Set("unavailableBookiesCount", down));
}

Task<absl::Status> ClusterRoutes::StartRecovery(std::vector<BookieId> bookies) {
  if (is_marking_) {
    co_return MakeError(ErrorCode::kOverloaded, "ledgers of other bookies are being marked");
  }
  is_marking_ = true;
  const ClusterOperations::Access access = *operations_->access();
  absl::Status down = co_await CheckBookiesAreDown(env_, access.store, access.cluster, bookies);
  if (down.ok()) {
    scope_.Spawn(MarkLedgers(access, std::move(bookies)));
  } else {
    is_marking_ = false;
  }
  co_return down;
}

Task<void> ClusterRoutes::MarkLedgers(ClusterOperations::Access access,
                                      std::vector<BookieId> bookies) {
  const auto marked =
      co_await MarkLedgersOf(env_, access.store, access.cluster, std::move(bookies));
  if (marked.ok()) {
    for (const auto& [bookie, ledgers] : *marked) {
      log_->Write(observe::LogLevel::kInfo, "marked for repair, as asked for over HTTP",
                  {{"bookie", std::string_view(bookie.value())},
                   {"ledgers", ledgers.ledgers},
                   {"newly_marked", ledgers.marked}});
    }
  } else {
    log_->Write(observe::LogLevel::kWarning, "marking for repair, asked for over HTTP, broke off",
                {{"error", ToStd(marked.status().message())}});
  }
  is_marking_ = false;
}

Task<Response> ClusterRoutes::Recover(Request request) {
  const auto bookies = BookiesIn(request.body);
  if (!bookies.ok()) co_return http::Failure(bookies.status());
  const absl::Status started = co_await StartRecovery(*bookies);
  if (!started.ok()) co_return http::Failure(started);
  co_return http::Text(200, "Success send recovery request command.");
}

Task<Response> ClusterRoutes::Decommission(Request request) {
  const auto bookies = BookieIn(request.body);
  if (!bookies.ok()) co_return http::Failure(bookies.status());
  const absl::Status started = co_await StartRecovery(*bookies);
  if (!started.ok()) co_return http::Failure(started);
  co_return http::Text(
      200, StrCat("Success send decommission Bookie command ", bookies->front().value()));
}

}  // namespace stele::autorecovery
