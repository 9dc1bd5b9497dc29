#include "bookie/garbage_collector.h"

#include <utility>

#include "bookie/space_reserve.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {

using observe::LogLevel;

GarbageCollector::GarbageCollector(GarbageParts parts, GarbageOptions options,
                                   absl::AnyInvocable<Task<absl::Status>()> may_remove,
                                   absl::AnyInvocable<void(LedgerId)> on_removed)
    : parts_(parts),
      options_(std::move(options)),
      may_remove_(std::move(may_remove)),
      on_removed_(std::move(on_removed)),
      plan_(options_.interval),
      compactor_(parts.env, options_.compaction, parts.storage, options_.ledger_directories,
                 parts.log),
      idle_(parts.env.executor),
      scope_(parts.env.executor) {}

void GarbageCollector::Start() { scope_.Spawn(Loop()); }

Task<void> GarbageCollector::Stop() {
  stopping_ = true;
  co_await compactor_.Stop();
  while (running_) co_await idle_.Wait();
}

absl::Status GarbageCollector::CheckGoesOn() const {
  if (!stopping_) return absl::OkStatus();
  return MakeError(ErrorCode::kStopped, "the bookie stops");
}

GarbageStats GarbageCollector::stats() const {
  GarbageStats stats = stats_;
  stats.compaction = compactor_.stats();
  return stats;
}

Task<void> GarbageCollector::Loop() {
  for (;;) {
    co_await SleepFor(parts_.env.executor, parts_.env.clock, options_.interval);
    const absl::Status status = co_await Run(std::nullopt);
    if (stopping_) co_return;
    if (status.ok()) continue;
    parts_.log->Write(LogLevel::kWarning, "garbage collection broke off",
                      {{"error", ToStd(status.message())}});
  }
}

Task<absl::Status> GarbageCollector::Run(std::optional<CompactionKind> compact) {
  while (running_) co_await idle_.Wait();
  STELE_CO_TRY_OK(CheckGoesOn());
  running_ = true;
  const MonotonicTime begun = parts_.env.clock->Now();
  const absl::Status status = co_await Pass(compact);
  running_ = false;
  passes_.Record(status.ok(), begun, parts_.env.clock->Now());
  ++stats_.passes;
  STELE_SOMETIMES(kGarbagePassFailed, CodeOf(status) == ErrorCode::kMetadataUnavailable);
  stats_.failed_passes += status.ok() ? 0 : 1;
  idle_.NotifyAll();
  co_return status;
}

Task<absl::Status> GarbageCollector::Pass(std::optional<CompactionKind> compact) {
  STELE_CO_TRY_OK(co_await CheckCluster());
  plan_.BeginPass();
  const std::vector<LedgerId> local = parts_.storage->Ledgers();
  std::vector<LedgerId> garbage;
  for (const LedgerId ledger : local) {
    STELE_CO_TRY(const bool absent, co_await IsAbsent(ledger));
    STELE_CO_TRY_OK(CheckGoesOn());
    if (absent && plan_.OnAbsent(ledger, parts_.env.clock->Now())) garbage.push_back(ledger);
  }
  // Those that went while nobody wrote tombstones, and those whose index files were lost.
  std::vector<LedgerId> strays;
  for (const LedgerId ledger : parts_.storage->StrayLedgers()) {
    STELE_CO_TRY(const bool absent, co_await IsAbsent(ledger));
    if (absent && plan_.OnAbsent(ledger, parts_.env.clock->Now())) strays.push_back(ledger);
  }
  const size_t allowed = brake_.Allow(local.size(), garbage.size(), parts_.env.clock->Now());
  stats_.ledgers_held_back = static_cast<int64_t>(garbage.size() - allowed);
  STELE_SOMETIMES(kGarbageBrake, brake_.is_on());
  if (brake_.is_on()) {
    parts_.log->Write(LogLevel::kError,
                      "metadata does not know a large part of the ledgers stored here: is it the "
                      "right cluster? Nothing or little is removed",
                      {{"unknown", static_cast<int64_t>(garbage.size())},
                       {"stored", static_cast<int64_t>(local.size())},
                       {"removed_now", static_cast<int64_t>(allowed)}});
  }
  garbage.resize(allowed);
  // Not braked: a bookie that was taken over may have many, and nobody was served from them.
  garbage.insert(garbage.end(), strays.begin(), strays.end());
  STELE_CO_TRY_OK(co_await CheckCluster());
  STELE_CO_TRY_OK(co_await Remove(std::move(garbage)));
  AreLedgersGone are_gone = [this](std::vector<LedgerId> ledgers) {
    return AreGarbage(std::move(ledgers));
  };
  const absl::StatusOr<int64_t> logs = co_await parts_.storage->RemoveDeadEntryLogs(
      [this](std::vector<LedgerId> ledgers) { return AreGarbage(std::move(ledgers)); });
  stats_.entry_logs_removed += logs.value_or(0);
  if (logs.value_or(0) > 0) {
    parts_.log->Write(LogLevel::kInfo, "removed entry logs without live ledgers",
                      {{"entry_logs", *logs}});
  }
  // A log that cannot be read is no reason not to compact the others.
  const absl::Status compacted = compact.has_value() ? co_await compactor_.Run(*compact, &are_gone)
                                                     : co_await compactor_.RunIfDue(&are_gone);
  co_return logs.ok() ? compacted : logs.status();
}

Task<absl::Status> GarbageCollector::CheckCluster() {
  STELE_CO_TRY_OK(co_await may_remove_());
  if (!options_.instance_id.has_value()) co_return absl::OkStatus();
  STELE_CO_TRY(const metadata::Node node, co_await parts_.store->Get(options_.instance_id_path));
  if (node.value == *options_.instance_id) co_return absl::OkStatus();
  co_return MakeError(
      ErrorCode::kCookieMismatch,
      StrCat("the metadata store has the instance id '", node.value, "' instead of '",
             *options_.instance_id, "': it belongs to another cluster"));
}

Task<absl::StatusOr<bool>> GarbageCollector::IsAbsent(LedgerId ledger) {
  const absl::Status read = (co_await parts_.ledgers->Read(ledger)).status();
  if (CodeOf(read) == ErrorCode::kMetadataUnavailable) co_return read;
  co_return CodeOf(read) == ErrorCode::kNoSuchLedgerMetadata;
}

Task<absl::StatusOr<bool>> GarbageCollector::AreGarbage(std::vector<LedgerId> ledgers) {
  bool all = true;
  for (const LedgerId ledger : ledgers) {
    if (parts_.tombstones->Contains(ledger)) continue;
    STELE_CO_TRY(const bool absent, co_await IsAbsent(ledger));
    if (!absent) co_return false;
    // The others are asked about as well, or each would cost a pass of its own.
    all = plan_.OnAbsent(ledger, parts_.env.clock->Now()) && all;
  }
  co_return all;
}

// A full disk has no room even for the few bytes of a deletion, and a deletion is what it needs.
Task<absl::Status> GarbageCollector::ReleaseReserve() {
  SpaceReserve reserve(parts_.env.files, options_.ledger_directories,
                       options_.compaction.reserve_bytes);
  co_return co_await reserve.Release();
}

Task<absl::Status> GarbageCollector::Remove(std::vector<LedgerId> garbage) {
  absl::Status remembered = co_await parts_.tombstones->Add(garbage);
  if (CodeOf(remembered) == ErrorCode::kDiskFull) {
    STELE_CO_TRY_OK(co_await ReleaseReserve());
    remembered = co_await parts_.tombstones->Add(garbage);
  }
  STELE_CO_TRY_OK(remembered);
  for (const LedgerId ledger : garbage) {
    on_removed_(ledger);
    absl::Status deleted = co_await parts_.storage->DeleteLedger(ledger);
    if (CodeOf(deleted) == ErrorCode::kDiskFull) {
      STELE_CO_TRY_OK(co_await ReleaseReserve());
      deleted = co_await parts_.storage->DeleteLedger(ledger);
    }
    STELE_CO_TRY_OK(deleted);
    STELE_SOMETIMES(kGarbageRemoved, true);
    ++stats_.ledgers_removed;
    parts_.log->Write(LogLevel::kInfo, "removed a ledger that metadata no longer knows",
                      {{"ledger", ledger.value()}});
  }
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
