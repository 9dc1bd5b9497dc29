#include "bookie/compactor.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {

Compactor::Compactor(Env env, CompactionOptions options, LedgerStorage* storage,
                     std::vector<std::string> ledger_directories, observe::Log* log)
    : env_(env),
      plan_(options, env.clock->Now()),
      rate_(env, options.bytes_per_second),
      reserve_(env.files, std::move(ledger_directories), options.reserve_bytes),
      storage_(storage),
      log_(log),
      moved_(env.executor) {}

Task<void> Compactor::Stop() {
  stopping_ = true;
  while (moving_) co_await moved_.Wait();
}

Task<absl::Status> Compactor::Spend(uint64_t bytes) {
  for (;;) {
    if (MustEnd()) co_return MakeError(ErrorCode::kStopped, "compaction stops");
    const absl::Duration delay = rate_.Delay();
    if (delay <= absl::ZeroDuration()) break;
    co_await SleepFor(env_.executor, env_.clock, delay);
  }
  rate_.Spend(bytes);
  co_return absl::OkStatus();
}

Task<absl::Status> Compactor::RunIfDue(AreLedgersGone* are_gone) {
  std::optional<CompactionKind> due = plan_.Due(env_.clock->Now());
  if (due == CompactionKind::kMajor && major_suspended_) due = CompactionKind::kMinor;
  // The reserve may have been used for something else.
  if (!due.has_value() || IsSuspended(*due)) co_return co_await reserve_.Fill();
  co_return co_await Run(*due, are_gone);
}

Task<absl::Status> Compactor::Run(CompactionKind kind, AreLedgersGone* are_gone) {
  ++(kind == CompactionKind::kMinor ? stats_.minor_runs : stats_.major_runs);
  const CompactionStats before = stats_;
  running_ = kind;
  const absl::Status done = co_await RunOver(plan_.Choose(kind, storage_->EntryLogUsages()),
                                             plan_.TimeMax(kind), are_gone);
  running_.reset();
  plan_.OnDone(kind, env_.clock->Now());
  if (stats_.logs_removed != before.logs_removed) {
    log_->Write(observe::LogLevel::kInfo, "compaction gave space back",
                {{"entry_logs", stats_.logs_removed - before.logs_removed},
                 {"bytes_copied", static_cast<int64_t>(stats_.bytes_copied - before.bytes_copied)},
                 {"bytes_freed", static_cast<int64_t>(stats_.bytes_freed - before.bytes_freed)}});
  }
  if (stopping_) co_return done;
  // A disk on which it does not fit has other worries, and says so at the next check.
  const absl::Status filled = co_await reserve_.Fill();
  co_return done.ok() ? filled : done;
}

Task<absl::Status> Compactor::RunOver(std::vector<EntryLogUsage> logs, absl::Duration time_max,
                                      AreLedgersGone* are_gone) {
  const MonotonicTime begin = env_.clock->Now();
  bool on_reserve = false;
  absl::Status problem;
  for (const EntryLogUsage& usage : logs) {
    const bool time_is_up =
        time_max > absl::ZeroDuration() && env_.clock->Now() - begin >= time_max;
    if (MustEnd() || time_is_up) break;
    if (on_reserve && usage.live_bytes > reserve_.bytes()) continue;
    absl::Status done = co_await CompactOne(usage, are_gone);
    if (CodeOf(done) == ErrorCode::kDiskFull && !on_reserve) {
      on_reserve = true;
      log_->Write(observe::LogLevel::kWarning, "the disks are full: compaction uses its reserve",
                  {{"reserve_bytes", static_cast<int64_t>(reserve_.bytes())}});
      STELE_CO_TRY_OK(co_await reserve_.Release());
      if (usage.live_bytes <= reserve_.bytes()) done = co_await CompactOne(usage, are_gone);
    }
    if (done.ok()) continue;
    if (CodeOf(done) == ErrorCode::kStopped) co_return done;
    // One bad log does not stop the others.
    if (problem.ok()) problem = done;
  }
  co_return problem;
}

Task<absl::Status> Compactor::CompactOne(EntryLogUsage usage, AreLedgersGone* are_gone) {
  const auto settle = [this] {
    moving_ = false;
    moved_.NotifyAll();
  };
  moving_ = true;
  // By the time it asks, everything has been moved, and Stop() need not wait for the answer.
  AreLedgersGone are_gone_once_moved = [are_gone, settle](std::vector<LedgerId> ledgers) {
    settle();
    return (*are_gone)(std::move(ledgers));
  };
  const absl::StatusOr<CompactedLog> compacted = co_await storage_->CompactEntryLog(
      usage.log, usage.live_bytes, std::move(are_gone_once_moved), this);
  settle();
  const std::string name = EntryLogFileName(usage.log);
  if (!compacted.ok()) co_return WithContext(compacted.status(), StrCat("compaction of ", name));
  stats_.records_copied += compacted->records;
  stats_.bytes_copied += compacted->bytes;
  if (!compacted->removed) {
    ++stats_.logs_kept;
    co_return absl::OkStatus();
  }
  ++stats_.logs_removed;
  stats_.bytes_freed += usage.total_bytes - std::min(usage.total_bytes, compacted->bytes);
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
