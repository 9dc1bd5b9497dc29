#include "bookie/garbage_collector.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {

std::vector<LedgerId> GarbagePlan::Decide(int64_t ledger_count, std::vector<LedgerId> absent) {
  std::vector<LedgerId> garbage;
  std::set_intersection(absent.begin(), absent.end(), absent_before_.begin(), absent_before_.end(),
                        std::back_inserter(garbage));
  const size_t limit = std::max<size_t>(kRemovedPerPassMin, static_cast<size_t>(ledger_count) / 10);
  if (garbage.size() > limit) garbage.resize(limit);
  absent_before_ = std::move(absent);
  return garbage;
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
  const std::vector<LedgerId> local = storage_->Ledgers();
  std::vector<LedgerId> absent;
  for (const LedgerId ledger : local) {
    const absl::Status read = (co_await ledgers_->Read(ledger)).status();
    if (CodeOf(read) == ErrorCode::kNoSuchLedgerMetadata) {
      absent.push_back(ledger);
    } else if (CodeOf(read) == ErrorCode::kMetadataUnavailable) {
      co_return read;  // no use in asking for the others
    }
  }
  co_return co_await Remove(plan_.Decide(static_cast<int64_t>(local.size()), std::move(absent)));
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
  STELE_CO_TRY(const int64_t logs, co_await storage_->RemoveDeadEntryLogs());
  if (logs > 0) {
    log_->Write(observe::LogLevel::kInfo, "removed entry logs without live ledgers",
                {{"entry_logs", logs}});
  }
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
