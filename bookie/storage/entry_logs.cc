#include "bookie/storage/entry_logs.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "absl/strings/str_format.h"
#include "bookie/storage/log_ledgers.h"
#include "common/async/run_concurrently.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kLastIdName = "lastId";
constexpr size_t kLastIdSizeMaxBytes = 64;
constexpr std::string_view kCompactingSuffix = ".log.compacting";
constexpr size_t kLogsReadAtATime = 16;
constexpr std::string_view kCompactedSuffix = ".compacted";

// nullopt: not readable, which happens after a crash of a Java bookie.
std::optional<EntryLogId> ParseLastId(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  int32_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || stop != text.data() + text.size() || value < 0) return std::nullopt;
  return EntryLogId(value);
}

}  // namespace

EntryLogs::EntryLogs(Env env, EntryLogsOptions options)
    : env_(env),
      options_(std::move(options)),
      readers_(env.files, options_.open_files_max),
      direct_readers_(env.files, options_.open_files_max, OpenOptions::Sync::kEachWrite),
      extents_(env.executor, options_.extents_max_bytes) {}

Task<absl::StatusOr<std::unique_ptr<EntryLogs>>> EntryLogs::Open(Env env,
                                                                 EntryLogsOptions options) {
  std::unique_ptr<EntryLogs> logs(new EntryLogs(env, std::move(options)));
  STELE_CO_TRY_OK(co_await logs->Enumerate());
  co_return logs;
}

Task<absl::Status> EntryLogs::Enumerate() {
  std::vector<std::vector<std::string>> names;
  for (size_t i = 0; i < options_.directories.size(); ++i) {
    const std::string& directory = options_.directories[i];
    STELE_CO_TRY(std::vector<std::string> found, co_await env_.files->List(directory));
    for (const std::string& name : found) {
      const std::optional<EntryLogId> id = ParseEntryLogFileName(name);
      if (!id.has_value()) continue;
      const auto [place, is_new] = logs_.try_emplace(*id, Log{.directory = i});
      if (!is_new) {
        co_return MakeError(ErrorCode::kCorruptData,
                            StrCat("entry log ", name, " is in ", directory, " and in ",
                                   options_.directories[place->second.directory]));
      }
      last_id_ = std::max(last_id_, *id);
    }
    const absl::StatusOr<Buffer> stored =
        co_await ReadFile(env_.files, StrCat(directory, "/", kLastIdName), kLastIdSizeMaxBytes);
    if (stored.ok()) last_id_ = std::max(last_id_, ParseLastId(stored->view()).value_or(last_id_));
    names.push_back(std::move(found));
  }
  for (size_t i = 0; i < names.size(); ++i) {
    STELE_CO_TRY_OK(co_await RemoveCompactionLeftovers(i, std::move(names[i])));
  }
  co_return absl::OkStatus();
}

// What Java's transactional compaction leaves when it is interrupted. Its copy has a name of its
// own until it is linked as an entry log, and the source goes last: so the copy is superfluous
// while the source or the link exists.
Task<absl::Status> EntryLogs::RemoveCompactionLeftovers(size_t directory,
                                                        std::vector<std::string> names) {
  for (const std::string& name : names) {
    bool remove = name.ends_with(kCompactingSuffix);
    if (name.ends_with(kCompactedSuffix)) {
      // <target>.log.<source>.compacted
      const size_t target_end = name.find(".log.");
      if (target_end == std::string::npos) continue;
      const std::string target = name.substr(0, target_end + 4);
      const size_t source_begin = target_end + 5;
      const std::string source = StrCat(
          name.substr(source_begin, name.size() - kCompactedSuffix.size() - source_begin), ".log");
      for (const std::string& log : {target, source}) {
        const std::optional<EntryLogId> id = ParseEntryLogFileName(log);
        remove = remove || (id.has_value() && logs_.contains(*id));
      }
    }
    if (!remove) continue;
    STELE_CO_TRY_OK(
        co_await env_.files->Remove(StrCat(options_.directories[directory], "/", name)));
  }
  co_return absl::OkStatus();
}

bool EntryLogs::IsOurs(EntryLogId log) const {
  const auto found = logs_.find(log);
  return found != logs_.end() && found->second.ours;
}

Task<absl::StatusOr<Buffer>> EntryLogs::Read(EntryLocation location, LedgerId ledger, EntryId entry,
                                             size_t size_guess_bytes) {
  const auto error = [&](ErrorCode code, std::string_view what) {
    return MakeError(code, StrCat("entry ", entry.value(), " of ledger ", ledger.value(), " at ",
                                  absl::StrFormat("%x", location.packed()), ": ", what));
  };
  const auto found = logs_.find(location.log());
  if (found == logs_.end()) {
    co_return error(ErrorCode::kIoError, "there is no such entry log");
  }
  absl::StatusOr<std::shared_ptr<File>> file = co_await readers_.Get(
      location.log().value(), PathOf(location.log(), found->second.directory));
  if (!file.ok()) {
    const bool not_now = CodeOf(file.status()) == ErrorCode::kOverloaded;
    co_return error(not_now ? ErrorCode::kOverloaded : ErrorCode::kIoError,
                    ToStd(file.status().message()));
  }
  STELE_CO_TRY(const Buffer start,
               co_await (*file)->ReadAt(location.record_offset(),
                                        std::max(size_guess_bytes, kRecordHeadBytes)));
  if (start.size() < kRecordHeadBytes) {
    co_return error(ErrorCode::kCorruptData, "behind the end of the log");
  }
  const RecordHead head = ParseRecordHead(start.data());
  if (head.ledger != ledger || head.entry != entry) {
    co_return error(ErrorCode::kCorruptData,
                    StrCat("found entry ", head.entry.value(), " of ledger ", head.ledger.value()));
  }
  if (head.size < static_cast<int32_t>(kRecordIdsBytes) ||
      static_cast<uint32_t>(head.size) > options_.entry_size_max_bytes) {
    co_return error(ErrorCode::kCorruptData, StrCat("size ", head.size));
  }
  const auto size = static_cast<size_t>(head.size);
  if (start.size() - kRecordSizeFieldBytes >= size) {
    co_return start.Slice(kRecordSizeFieldBytes, size);
  }
  STELE_CO_TRY(Buffer body,
               co_await (*file)->ReadAt(location.record_offset() + kRecordSizeFieldBytes, size));
  if (body.size() < size) {
    co_return error(ErrorCode::kCorruptData, "cut by the end of the log");
  }
  co_return body;
}

// The packet of the record that `bytes` begin with, when it is the one of this entry and whole.
std::optional<std::string_view> EntryLogs::RecordIn(std::string_view bytes, LedgerId ledger,
                                                    EntryId entry) const {
  if (bytes.size() < kRecordHeadBytes) return std::nullopt;
  const RecordHead head = ParseRecordHead(bytes.data());
  const auto size = static_cast<uint32_t>(head.size);
  if (head.ledger != ledger || head.entry != entry || head.size < 0 || size < kRecordIdsBytes ||
      size > options_.entry_size_max_bytes || size > bytes.size() - kRecordSizeFieldBytes) {
    return std::nullopt;
  }
  return bytes.substr(kRecordSizeFieldBytes, size);
}

std::optional<Buffer> EntryLogs::FindInExtents(EntryLocation location, LedgerId ledger,
                                               EntryId entry) {
  const LogExtents::ExtentRef extent = extents_.Find(location.log(), location.record_offset());
  if (extent == nullptr || extent->is_loading) return std::nullopt;
  const size_t at = location.record_offset() - extent->begin;
  if (at >= extent->bytes.size()) return std::nullopt;
  const auto packet = RecordIn(extent->bytes.view().substr(at), ledger, entry);
  if (!packet.has_value()) return std::nullopt;
  return extent->bytes.Slice(at + kRecordSizeFieldBytes, packet->size());
}

// Every doubt ends in Read, which reads again and knows what is wrong.
Task<absl::StatusOr<Buffer>> EntryLogs::ReadOfRun(EntryLocation location, LedgerId ledger,
                                                  EntryId entry, uint64_t run_end) {
  const uint64_t offset = location.record_offset();
  const auto found = logs_.find(location.log());
  const LogExtents::ExtentRef here = extents_.Find(location.log(), offset);
  if (here != nullptr && here->is_loading) {
    co_await here->arrived.Wait();
  } else if (here == nullptr && found != logs_.end()) {
    const uint64_t begin = offset / kEntryLogBlockBytes * kEntryLogBlockBytes;
    const uint64_t end = std::min(run_end, found->second.readable_end);
    if (end > offset) {
      const size_t size = std::min<uint64_t>(end - begin, kLogExtentMaxBytes);
      co_await LoadExtent(location.log(), found->second.directory, begin, size);
    }
  }
  if (std::optional<Buffer> body = FindInExtents(location, ledger, entry); body.has_value()) {
    co_return *std::move(body);
  }
  co_return co_await Read(location, ledger, entry, kEntryLogBlockBytes);
}

// Errors leave no extent.
Task<void> EntryLogs::LoadExtent(EntryLogId log, size_t directory, uint64_t begin, size_t size) {
  const LogExtents::ExtentRef extent = extents_.Begin(log, begin, size);
  if (extent == nullptr) co_return;
  const absl::StatusOr<std::shared_ptr<File>> file =
      co_await direct_readers_.Get(log.value(), PathOf(log, directory));
  absl::StatusOr<Buffer> bytes = Buffer();
  if (file.ok()) bytes = co_await (*file)->ReadAt(begin, size);
  extents_.End(extent, bytes.ok() ? *std::move(bytes) : Buffer());
}

Task<absl::StatusOr<int64_t>> EntryLogs::RemoveDead(int64_t deletions,
                                                    absl::FunctionRef<bool(LedgerId)> is_known,
                                                    AreLedgersGone are_gone) {
  std::vector<EntryLogId> ids;
  for (const auto& [id, log] : logs_) ids.push_back(id);
  int64_t removed = 0;
  absl::Status problem;
  for (const EntryLogId id : ids) {
    const absl::StatusOr<bool> gone = co_await RemoveIfDead(id, deletions, is_known, &are_gone);
    if (gone.ok()) {
      removed += *gone ? 1 : 0;
    } else if (problem.ok()) {
      problem = WithContext(gone.status(), EntryLogFileName(id));
    }
  }
  if (!problem.ok()) co_return problem;
  co_return removed;
}

Task<absl::StatusOr<bool>> EntryLogs::RemoveIfDead(EntryLogId log, int64_t deletions,
                                                   absl::FunctionRef<bool(LedgerId)> is_known,
                                                   AreLedgersGone* are_gone) {
  auto found = logs_.find(log);
  if (found == logs_.end() || !found->second.closed) co_return false;
  if (found->second.deletions_seen == deletions && found->second.live_bytes > 0) co_return false;
  LogLedgers content;
  uint64_t size = 0;
  {
    STELE_CO_TRY(const std::unique_ptr<File> file, co_await OpenForScan(log));
    STELE_CO_TRY(size, co_await file->Size());
    STELE_CO_TRY(content,
                 co_await ReadLogLedgers(file.get(), options_.entry_size_max_bytes, is_known));
  }
  found = logs_.find(log);
  if (found == logs_.end()) co_return false;
  uint64_t live_bytes = 0;
  std::vector<LedgerId> strays;
  for (const LedgerBytes& ledger : content.ledgers) {
    if (is_known(ledger.ledger)) {
      live_bytes += static_cast<uint64_t>(ledger.bytes);
    } else {
      strays.push_back(ledger.ledger);
    }
  }
  found->second.deletions_seen = deletions;
  found->second.total_bytes = size;
  found->second.live_bytes = live_bytes;
  if (live_bytes > 0 || !content.complete) co_return false;
  STELE_CO_TRY(const bool gone, co_await (*are_gone)(std::move(strays)));
  if (!gone || !logs_.contains(log)) co_return false;
  STELE_CO_TRY_OK(co_await Remove(log));
  co_return true;
}

Task<absl::StatusOr<absl::btree_set<LedgerId>>> EntryLogs::FindStrays(
    absl::FunctionRef<bool(LedgerId)> is_settled) {
  const std::vector<EntryLogId> logs = ClosedLogs();
  absl::btree_set<LedgerId> strays;
  const auto look = [&](size_t i) { return FindStraysIn(logs[i], is_settled, &strays); };
  STELE_CO_TRY_OK(co_await RunConcurrently(env_.executor, logs.size(), kLogsReadAtATime, look));
  co_return strays;
}

Task<absl::Status> EntryLogs::FindStraysIn(EntryLogId log,
                                           absl::FunctionRef<bool(LedgerId)> is_settled,
                                           absl::btree_set<LedgerId>* strays) {
  // A log that cannot be read now is no reason not to serve the others.
  const absl::StatusOr<std::unique_ptr<File>> file = co_await OpenForScan(log);
  if (!file.ok()) co_return absl::OkStatus();
  const absl::StatusOr<LogLedgers> content =
      co_await ReadLogLedgers(file->get(), options_.entry_size_max_bytes, is_settled);
  if (!content.ok()) co_return absl::OkStatus();
  for (const LedgerBytes& ledger : content->ledgers) {
    if (!is_settled(ledger.ledger)) strays->insert(ledger.ledger);
  }
  co_return absl::OkStatus();
}

std::vector<EntryLogId> EntryLogs::ClosedLogs() const {
  std::vector<EntryLogId> closed;
  for (const auto& [id, log] : logs_) {
    if (log.closed) closed.push_back(id);
  }
  return closed;
}

std::vector<EntryLogUsage> EntryLogs::Usages() const {
  std::vector<EntryLogUsage> usages;
  for (const auto& [id, log] : logs_) {
    if (!log.settled || log.deletions_seen < 0) continue;
    usages.push_back({.log = id, .total_bytes = log.total_bytes, .live_bytes = log.live_bytes});
  }
  return usages;
}

void EntryLogs::SettleClosed() {
  for (auto& [id, log] : logs_) log.settled = log.closed;
}

bool EntryLogs::IsSettled(EntryLogId log) const {
  const auto found = logs_.find(log);
  return found != logs_.end() && found->second.settled;
}

Task<absl::StatusOr<std::unique_ptr<File>>> EntryLogs::OpenForScan(EntryLogId log) {
  const auto found = logs_.find(log);
  if (found == logs_.end()) {
    co_return MakeError(ErrorCode::kNoSuchFile, EntryLogFileName(log));
  }
  co_return co_await env_.files->Open(PathOf(log, found->second.directory), OpenOptions{});
}

Task<absl::Status> EntryLogs::Remove(EntryLogId log) {
  const size_t directory = logs_.at(log).directory;
  STELE_CO_TRY_OK(co_await env_.files->Remove(PathOf(log, directory)));
  Forget(log);
  co_return co_await env_.files->SyncDirectory(options_.directories[directory]);
}

EntryLogId EntryLogs::NextId() {
  do {
    last_id_ = last_id_.Next();
  } while (logs_.contains(last_id_));
  return last_id_;
}

std::string EntryLogs::PathOf(EntryLogId log, size_t directory) const {
  return StrCat(options_.directories[directory], "/", EntryLogFileName(log));
}

void EntryLogs::Add(EntryLogId log, size_t directory) {
  logs_[log] = {
      .directory = directory, .ours = true, .closed = false, .settled = false, .readable_end = 0};
}

void EntryLogs::MarkClosed(EntryLogId log) {
  Log& closed = logs_.at(log);
  closed.closed = true;
  closed.readable_end = UINT64_MAX;
}

void EntryLogs::Forget(EntryLogId log) {
  logs_.erase(log);
  readers_.Drop(log.value());
  direct_readers_.Drop(log.value());
  extents_.Drop(log);
}

Task<void> EntryLogs::StoreLastId(EntryLogId log) {
  const Buffer text = Buffer::FromString(absl::StrFormat("%x\n", log.value()));
  for (const std::string& directory : options_.directories) {
    // Ignored: see the header. A directory whose disk is full must not stop a flush to another.
    (co_await ReplaceFile(env_.files, directory, std::string(kLastIdName), text)).IgnoreError();
  }
}

}  // namespace stele::bookie
