#include "bookie/admin/bookie_routes.h"

#include <algorithm>
#include <cctype>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/observe/record.h"

namespace stele::bookie {
namespace {

using http::Request;
using http::Response;
using observe::Record;

constexpr std::string_view kHidden = "(hidden)";

// By what keys of secrets have in their names: rather one too many.
bool IsSecret(std::string key) {
  std::transform(key.begin(), key.end(), key.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string_view part : {"password", "passwd", "secret", "token", "credential"}) {
    if (key.find(part) != std::string::npos) return true;
  }
  return false;
}

std::string ToText(bool yes) { return yes ? "true" : "false"; }

Response NotServing() { return http::Text(503, "the bookie does not serve"); }

}  // namespace

BookieRoutes::BookieRoutes(Executor* executor, std::map<std::string, std::string> settings,
                           observe::Log* log)
    : settings_(std::move(settings)), log_(log), scope_(executor) {}

Task<Response> BookieRoutes::AnswerNow(Answer answer, Request request) {
  if (bookie_ == nullptr) co_return NotServing();
  co_return (this->*answer)(request);
}

http::Router::Answerer BookieRoutes::When(Answer answer) {
  return [this, answer](Request request) { return AnswerNow(answer, std::move(request)); };
}

void BookieRoutes::AddTo(http::Router& router) {
  router.AddLifeProbes();
  router.Get("/startupz", When(&BookieRoutes::Started));
  router.Get("/readyz", When(&BookieRoutes::Ready));
  router.Get("/metrics", When(&BookieRoutes::Metrics));
  const std::string v1 = "/api/v1/";
  router.Get(v1 + "config/server_config", When(&BookieRoutes::Settings));
  router.Get(v1 + "bookie/info", When(&BookieRoutes::Info));
  router.Get(v1 + "bookie/state", When(&BookieRoutes::State));
  router.Get(v1 + "bookie/is_ready", When(&BookieRoutes::Started));
  router.Get(v1 + "bookie/state/readonly", When(&BookieRoutes::ReadOnlyState));
  router.Put(v1 + "bookie/state/readonly",
             [this](Request request) { return SetReadOnly(std::move(request)); });
  router.Get(v1 + "bookie/gc", When(&BookieRoutes::GarbageState));
  router.Put(v1 + "bookie/gc", When(&BookieRoutes::StartGarbage));
  router.Get(v1 + "bookie/gc_details", When(&BookieRoutes::GarbageDetails));
  router.Get(v1 + "bookie/gc/suspend_compaction", When(&BookieRoutes::SuspendedState));
  router.Put(v1 + "bookie/gc/suspend_compaction", When(&BookieRoutes::Suspend));
  router.Put(v1 + "bookie/gc/resume_compaction", When(&BookieRoutes::Resume));
}

// Whether clients may be sent here: it serves, and the registry says so.
Response BookieRoutes::Ready(const Request&) {
  const BookieStatus status = bookie_->Status();
  if (status.is_stopping) return http::Text(503, "stopping");
  if (!status.registered.has_value()) return http::Text(503, "not registered");
  return http::Text(
      200, status.registered == metadata::BookieMode::kWritable ? "writable" : "read-only");
}

// As Apache means its is_ready: running and not shutting down.
Response BookieRoutes::Started(const Request&) {
  if (bookie_->Status().is_stopping) return http::Text(503, "stopping");
  return http::Text(200, "OK");
}

Response BookieRoutes::Metrics(const Request&) {
  return {.body = bookie_->Metrics().ToString(),
          .content_type = std::string(observe::kMetricsContentType)};
}

Response BookieRoutes::Settings(const Request&) {
  Record record;
  for (const auto& [key, value] : settings_) {
    record.Set(key, IsSecret(key) ? std::string(kHidden) : value);
  }
  return http::Json(record);
}

Response BookieRoutes::Info(const Request&) {
  const DiskTotals disk = bookie_->Status().disk;
  return http::Json(Record()
                        .Set("freeSpace", static_cast<int64_t>(disk.free_bytes))
                        .Set("totalSpace", static_cast<int64_t>(disk.total_bytes)));
}

Response BookieRoutes::State(const Request&) {
  const BookieStatus status = bookie_->Status();
  return http::Json(Record()
                        .Set("running", true)
                        .Set("readOnly", status.mode == metadata::BookieMode::kReadOnly)
                        .Set("shuttingDown", status.is_stopping)
                        .Set("availableForHighPriorityWrites", status.takes_high_priority_writes));
}

Response BookieRoutes::ReadOnlyState(const Request&) {
  return http::Json(
      Record().Set("readOnly", bookie_->Status().mode == metadata::BookieMode::kReadOnly));
}

Task<Response> BookieRoutes::SetReadOnly(Request request) {
  const absl::StatusOr<Record> body = http::ParseJsonObject(request.body);
  if (!body.ok()) co_return http::Failure(body.status());
  const auto wanted = http::BoolMember(*body, "readOnly");
  if (!wanted.ok()) co_return http::Failure(wanted.status());
  if (!wanted->has_value()) co_return http::Text(400, "readOnly must be true or false");
  if (bookie_ == nullptr) co_return NotServing();
  const absl::Status done = co_await bookie_->SetReadOnly(**wanted);
  if (!done.ok()) co_return http::Failure(done);
  if (bookie_ == nullptr) co_return NotServing();
  co_return ReadOnlyState(request);
}

Response BookieRoutes::GarbageState(const Request&) {
  return http::Json(Record().Set("is_in_force_gc", ToText(is_in_forced_gc_)));
}

// Times of the last compactions are not kept.
Response BookieRoutes::GarbageDetails(const Request&) {
  const BookieStatus status = bookie_->Status();
  const CompactionStats& compaction = status.garbage.compaction;
  return http::Json(
      "[" +
      observe::ToJson(Record()
                          .Set("forceCompacting", is_in_forced_gc_)
                          .Set("majorCompacting", status.compacting == CompactionKind::kMajor)
                          .Set("minorCompacting", status.compacting == CompactionKind::kMinor)
                          .Set("majorCompactionCounter", compaction.major_runs)
                          .Set("minorCompactionCounter", compaction.minor_runs)) +
      "]");
}

Response BookieRoutes::StartGarbage(const Request& request) {
  const absl::StatusOr<Record> body = http::ParseJsonObject(request.body);
  if (!body.ok()) return http::Failure(body.status());
  const auto major = http::BoolMember(*body, "forceMajor");
  const auto minor = http::BoolMember(*body, "forceMinor");
  if (!major.ok()) return http::Failure(major.status());
  if (!minor.ok()) return http::Failure(minor.status());
  if (is_in_forced_gc_) return http::Text(409, "a forced collection runs already");
  // As with Apache: without a word both, which the major one includes.
  std::optional<CompactionKind> compact;
  if (minor->value_or(true)) compact = CompactionKind::kMinor;
  if (major->value_or(true)) compact = CompactionKind::kMajor;
  is_in_forced_gc_ = true;
  scope_.Spawn(CollectGarbage(compact));
  return http::Json(
      observe::JsonText(StrCat("Triggered GC on BookieServer: ", bookie_->Status().id.value())));
}

Task<void> BookieRoutes::CollectGarbage(std::optional<CompactionKind> compact) {
  const absl::Status done = co_await bookie_->CollectGarbage(compact);
  is_in_forced_gc_ = false;
  if (done.ok()) co_return;
  log_->Write(observe::LogLevel::kWarning, "the garbage collection that was asked for broke off",
              {{"error", ToStd(done.message())}});
}

Response BookieRoutes::SuspendedState(const Request&) {
  const BookieStatus status = bookie_->Status();
  return http::Json(Record()
                        .Set("isMajorGcSuspended", ToText(status.major_compaction_suspended))
                        .Set("isMinorGcSuspended", ToText(status.minor_compaction_suspended)));
}

Response BookieRoutes::Suspend(const Request& request) {
  return SwitchCompaction(request, "suspend", true);
}

Response BookieRoutes::Resume(const Request& request) {
  return SwitchCompaction(request, "resume", false);
}

Response BookieRoutes::SwitchCompaction(const Request& request, std::string_view verb,
                                        bool suspended) {
  const absl::StatusOr<Record> body = http::ParseJsonObject(request.body);
  if (!body.ok()) return http::Failure(body.status());
  const auto major = http::BoolMember(*body, StrCat(verb, "Major"));
  const auto minor = http::BoolMember(*body, StrCat(verb, "Minor"));
  if (!major.ok()) return http::Failure(major.status());
  if (!minor.ok()) return http::Failure(minor.status());
  if (!major->value_or(false) && !minor->value_or(false)) {
    return http::Text(400, StrCat("neither ", verb, "Major nor ", verb, "Minor is true"));
  }
  if (major->value_or(false)) bookie_->SuspendCompaction(CompactionKind::kMajor, suspended);
  if (minor->value_or(false)) bookie_->SuspendCompaction(CompactionKind::kMinor, suspended);
  return SuspendedState(request);
}

}  // namespace stele::bookie
