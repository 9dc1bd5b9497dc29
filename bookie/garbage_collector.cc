#include "bookie/garbage_collector.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {

void GarbagePlan::BeginPass() { absent_before_ = std::exchange(absent_, {}); }

bool GarbagePlan::OnAbsent(LedgerId ledger) {
  absent_.insert(ledger);
  return absent_before_.contains(ledger);
}

size_t GarbagePlan::RemovedPerPassMax(size_t ledger_count) {
  return std::max(kRemovedPerPassMin, ledger_count / 10);
}

GarbageCollector::GarbageCollector(Env env, absl::Duration interval, LedgerStorage* storage,
                                   metadata::LedgerManager* ledgers, observe::Log* log,
                                   absl::AnyInvocable<void(LedgerId, bool)> on_removed)
    : env_(env),
      interval_(interval),
      storage_(storage),
      ledgers_(ledgers),
      log_(log),
      on_removed_(std::move(on_removed)),
      scope_(env.executor) {}

void GarbageCollector::Start() { scope_.Spawn(Loop()); }

Task<void> GarbageCollector::Loop() {
  for (;;) {
    co_await SleepFor(env_.executor, env_.clock, interval_);
    const absl::Status status = co_await Run();
    if (status.ok()) continue;
    log_->Write(observe::LogLevel::kWarning,
                "garbage collection broke off; nothing more was removed",
                {{"error", ToStd(status.message())}});
  }
}

Task<absl::Status> GarbageCollector::Run() {
  plan_.BeginPass();
  const std::vector<LedgerId> local = storage_->Ledgers();
  std::vector<LedgerId> garbage;
  for (const LedgerId ledger : local) {
    STELE_CO_TRY(const bool absent, co_await IsAbsent(ledger));
    if (absent && plan_.OnAbsent(ledger)) garbage.push_back(ledger);
  }
  const size_t limit = GarbagePlan::RemovedPerPassMax(local.size());
  if (garbage.size() > limit) garbage.resize(limit);
  STELE_CO_TRY_OK(co_await Remove(std::move(garbage)));
  co_return co_await RemoveEntryLogs();
}

Task<absl::StatusOr<bool>> GarbageCollector::IsAbsent(LedgerId ledger) {
  const absl::Status read = (co_await ledgers_->Read(ledger)).status();
  if (CodeOf(read) == ErrorCode::kMetadataUnavailable) co_return read;
  co_return CodeOf(read) == ErrorCode::kNoSuchLedgerMetadata;
}

Task<absl::StatusOr<bool>> GarbageCollector::AreGarbage(std::vector<LedgerId> ledgers) {
  bool all = true;
  for (const LedgerId ledger : ledgers) {
    STELE_CO_TRY(const bool absent, co_await IsAbsent(ledger));
    if (!absent) co_return false;
    // The others are asked about as well, or each would cost a pass of its own.
    all = plan_.OnAbsent(ledger) && all;
  }
  co_return all;
}

Task<absl::Status> GarbageCollector::Remove(std::vector<LedgerId> garbage) {
  for (const LedgerId ledger : garbage) {
    const LedgerState* state = storage_->FindLoaded(ledger);
    if (state == nullptr) {
      const auto loaded = co_await storage_->Load(ledger);
      state = loaded.ok() ? *loaded : nullptr;
    }
    on_removed_(ledger, state != nullptr && state->fenced);
    STELE_CO_TRY_OK(co_await storage_->DeleteLedger(ledger));
    log_->Write(observe::LogLevel::kInfo, "removed a ledger that metadata no longer knows",
                {{"ledger", ledger.value()}});
  }
  co_return absl::OkStatus();
}

Task<absl::Status> GarbageCollector::RemoveEntryLogs() {
  STELE_CO_TRY(const int64_t logs,
               co_await storage_->RemoveDeadEntryLogs([this](std::vector<LedgerId> ledgers) {
                 return AreGarbage(std::move(ledgers));
               }));
  if (logs > 0) {
    log_->Write(observe::LogLevel::kInfo, "removed entry logs without live ledgers",
                {{"entry_logs", logs}});
  }
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
