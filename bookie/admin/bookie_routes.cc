#include "bookie/admin/bookie_routes.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_format.h"
#include "bookie/admin/disk_files.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/http/console/console.h"
#include "common/http/console/node_health.h"
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

bool IsReadOnly(metadata::BookieMode mode) { return mode == metadata::BookieMode::kReadOnly; }

// Of a body with a flag for each kind; `absent` is what a kind is that it does not name.
absl::StatusOr<CompactionKinds> ParseKinds(const Request& request, std::string_view verb,
                                           bool absent) {
  STELE_TRY(const Record body, http::ParseJsonObject(request.body));
  STELE_TRY(const auto major, http::BoolMember(body, StrCat(verb, "Major")));
  STELE_TRY(const auto minor, http::BoolMember(body, StrCat(verb, "Minor")));
  return CompactionKinds{.major = major.value_or(absent), .minor = minor.value_or(absent)};
}

}  // namespace

Task<Response> BookieRoutes::AnswerNow(Answer answer, Request request) {
  if (operations_->bookie() == nullptr) co_return http::Failure(operations_->Status().status());
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
  http::AddConsole(router);
  router.Get(http::kViewPath, When(&BookieRoutes::View));
  const std::string v1 = "/api/v1/";
  router.Get(v1 + "config/server_config", When(&BookieRoutes::Settings));
  router.Get(v1 + "bookie/info", When(&BookieRoutes::Info));
  router.Get(v1 + "bookie/state", When(&BookieRoutes::State));
  router.Get(v1 + "bookie/is_ready", When(&BookieRoutes::Started));
  router.Get(v1 + "bookie/state/readonly", When(&BookieRoutes::ReadOnlyState));
  router.Put(v1 + "bookie/state/readonly",
             [this](Request request) { return SetReadOnly(std::move(request)); });
  router.Get(v1 + "bookie/last_log_mark", When(&BookieRoutes::LogMarks));
  router.Get(v1 + "bookie/list_disk_file",
             [this](Request request) { return DiskFiles(std::move(request)); });
  router.Get(v1 + "bookie/gc", When(&BookieRoutes::GarbageState));
  router.Put(v1 + "bookie/gc", When(&BookieRoutes::StartGarbage));
  router.Get(v1 + "bookie/gc_details", When(&BookieRoutes::GarbageDetails));
  router.Get(v1 + "bookie/gc/suspend_compaction", When(&BookieRoutes::SuspendedState));
  router.Put(v1 + "bookie/gc/suspend_compaction", When(&BookieRoutes::Suspend));
  router.Put(v1 + "bookie/gc/resume_compaction", When(&BookieRoutes::Resume));
}

Response BookieRoutes::Ready(const Request&) {
  const auto mode = operations_->Readiness();
  if (!mode.ok()) return http::Failure(mode.status());
  return http::Text(200, IsReadOnly(*mode) ? "read-only" : "writable");
}

// As Apache means its is_ready: running and not shutting down.
Response BookieRoutes::Started(const Request&) {
  if (operations_->bookie()->Status().is_stopping) return http::Text(503, "stopping");
  return http::Text(200, "OK");
}

Response BookieRoutes::Metrics(const Request&) {
  observe::MetricsText text = operations_->bookie()->Metrics();
  if (export_more_) export_more_(text);
  return {.body = text.ToString(), .content_type = std::string(observe::kMetricsContentType)};
}

// The view of one, in the form in which `stele autorecovery` gives that of all.
Response BookieRoutes::View(const Request&) {
  const BookieStatus status = operations_->bookie()->Status();
  std::string state = "unregistered";
  if (status.registered.has_value()) {
    state = status.registered == metadata::BookieMode::kWritable ? "writable" : "read_only";
  }
  Record bookie;
  bookie.Set("id", status.id.value())
      .Set("state", state)
      .Set("address", StrCat(status.endpoint.host, ":", status.endpoint.port))
      .Set("disk_total_bytes", static_cast<int64_t>(status.disk.total_bytes))
      .Set("disk_free_bytes", static_cast<int64_t>(status.disk.free_bytes))
      .Set("sampled_ms", clock_->Now().nanoseconds() / 1'000'000);
  http::SetHealth(http::ReadNodeHealth(operations_->bookie()->Metrics().ToString()), bookie);
  const int64_t now_ms = absl::ToUnixMillis(clock_->WallNow());
  return http::Json(Record()
                        .Set("scope", std::string("bookie"))
                        .Set("name", status.id.value())
                        .Set("now_ms", now_ms)
                        .Set("as_of_ms", now_ms)
                        .Set("was_unclean", status.was_unclean)
                        .Set("bookies", std::vector<Record>{std::move(bookie)}));
}

Response BookieRoutes::Settings(const Request&) {
  Record record;
  for (const auto& [key, value] : settings_) {
    record.Set(key, IsSecret(key) ? std::string(kHidden) : value);
  }
  return http::Json(record);
}

Response BookieRoutes::Info(const Request&) {
  const DiskTotals disk = operations_->bookie()->Status().disk;
  return http::Json(Record()
                        .Set("freeSpace", static_cast<int64_t>(disk.free_bytes))
                        .Set("totalSpace", static_cast<int64_t>(disk.total_bytes)));
}

Response BookieRoutes::State(const Request&) {
  const BookieStatus status = operations_->bookie()->Status();
  return http::Json(Record()
                        .Set("running", true)
                        .Set("readOnly", IsReadOnly(status.mode))
                        .Set("shuttingDown", status.is_stopping)
                        .Set("availableForHighPriorityWrites", status.takes_high_priority_writes));
}

Response BookieRoutes::ReadOnlyState(const Request&) {
  return http::Json(Record().Set("readOnly", IsReadOnly(operations_->bookie()->Status().mode)));
}

Task<Response> BookieRoutes::SetReadOnly(Request request) {
  const absl::StatusOr<Record> body = http::ParseJsonObject(request.body);
  if (!body.ok()) co_return http::Failure(body.status());
  const auto wanted = http::BoolMember(*body, "readOnly");
  if (!wanted.ok()) co_return http::Failure(wanted.status());
  if (!wanted->has_value()) co_return http::Text(400, "readOnly must be true or false");
  const auto mode = co_await operations_->SetReadOnly(**wanted);
  if (!mode.ok()) co_return http::Failure(mode.status());
  co_return http::Json(Record().Set("readOnly", IsReadOnly(*mode)));
}

// Apache's words, which scripts take apart.
Response BookieRoutes::LogMarks(const Request&) {
  std::map<std::string, std::string> marks;  // of new journals all are the same
  for (const JournalMark& mark : operations_->bookie()->Status().journal_marks) {
    marks[absl::StrFormat("LastLogMark: Journal Id - %d(%x.txn)", mark.file_id, mark.file_id)] =
        StrCat("Pos - ", mark.offset_bytes);
  }
  Record record;
  for (const auto& [journal, position] : marks) record.Set(journal, position);
  return http::Json(record);
}

// As Apache: names with a tab behind each, all kinds unless one is named.
Task<Response> BookieRoutes::DiskFiles(Request request) {
  const absl::StatusOr<BookieStatus> status = operations_->Status();
  if (!status.ok()) co_return http::Failure(status.status());
  const BookieDirectories directories = status->directories;
  const struct {
    std::string_view type;
    std::string name;
    std::string ending;
    std::vector<std::string> directories;
  } kinds[] = {{"journal", "journal files", ".txn", directories.journals},
               {"entrylog", "entrylog files", ".log", directories.ledgers},
               {"index", "index files", ".idx", directories.indexes}};
  const std::string wanted = request.Parameter("file_type");
  const bool wants_all = std::none_of(std::begin(kinds), std::end(kinds),
                                      [&](const auto& kind) { return kind.type == wanted; });
  Record record;
  for (const auto& kind : kinds) {
    if (!wants_all && kind.type != wanted) continue;
    const auto names = co_await ListFiles(files_, kind.directories, kind.ending);
    if (!names.ok()) co_return http::Failure(names.status());
    std::string list;
    for (const std::string& name : *names) list += StrCat(name, "\t");
    record.Set(kind.name, std::move(list));
  }
  co_return http::Json(record);
}

Response BookieRoutes::GarbageState(const Request&) {
  return http::Json(Record().Set("is_in_force_gc", ToText(operations_->is_in_forced_gc())));
}

// Times of the last compactions are not kept.
Response BookieRoutes::GarbageDetails(const Request&) {
  const BookieStatus status = operations_->bookie()->Status();
  const CompactionStats& compaction = status.garbage.compaction;
  return http::Json(
      "[" +
      observe::ToJson(Record()
                          .Set("forceCompacting", operations_->is_in_forced_gc())
                          .Set("majorCompacting", status.compacting == CompactionKind::kMajor)
                          .Set("minorCompacting", status.compacting == CompactionKind::kMinor)
                          .Set("majorCompactionCounter", compaction.major_runs)
                          .Set("minorCompactionCounter", compaction.minor_runs)) +
      "]");
}

// As with Apache: without a word both.
Response BookieRoutes::StartGarbage(const Request& request) {
  const auto kinds = ParseKinds(request, "force", true);
  if (!kinds.ok()) return http::Failure(kinds.status());
  const absl::Status started = operations_->StartGarbageCollection(*kinds);
  if (!started.ok()) return http::Failure(started);
  return http::Json(observe::JsonText(
      StrCat("Triggered GC on BookieServer: ", operations_->bookie()->Status().id.value())));
}

Response BookieRoutes::SuspendedState(const Request&) {
  const BookieStatus status = operations_->bookie()->Status();
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
  const auto kinds = ParseKinds(request, verb, false);
  if (!kinds.ok()) return http::Failure(kinds.status());
  const absl::Status done = operations_->SuspendCompaction(*kinds, suspended);
  if (!done.ok()) return http::Failure(done);
  return SuspendedState(request);
}

}  // namespace stele::bookie
