#include "autorecovery/internal/replication_worker.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cluster_paths.h"
#include "metadata/retry.h"

namespace stele::autorecovery {
namespace {

using Kind = RepairOutcome::Kind;
using metadata::RepairTask;

// Tasks of one pass; others come in the next.
constexpr size_t kTasksPerPass = 10'000;
// Repairs that wait with their lock: for a writer, or after a failure. Beyond them locks are given
// back at once.
constexpr size_t kWaitsMax = 10'000;
// How long Stop() waits for repairs to reach their next entry.
constexpr absl::Duration kStopPatience = absl::Seconds(10);
// Memory of failures; beyond it the worker begins to forget.
constexpr size_t kFailuresMax = 10'000;

}  // namespace

ReplicationWorker::ReplicationWorker(Env env, metadata::MetadataStore* store,
                                     const metadata::Cluster& cluster, client::ClientCore* core,
                                     const AutorecoveryOptions* options)
    : env_(env),
      store_(store),
      core_(core),
      options_(options),
      defaults_{options->digest_type, options->password},
      queue_(env, store, metadata::ClusterPaths(cluster.layout.root()), options->name),
      settings_(store, metadata::ClusterPaths(cluster.layout.root())),
      records_(store, cluster),
      throttle_(env),
      ledgers_in_flight_(env.executor, static_cast<int64_t>(options->ledgers_in_flight_max)),
      bytes_in_flight_(env.executor, options->bytes_in_flight_max),
      copy_{.client = &core->context(),
            .registry = &core->registry(),
            .throttle = &throttle_,
            .bytes_in_flight = &bytes_in_flight_,
            .entries_in_flight_max = options->entries_in_flight_max,
            .may_go_on = [this] { return MayGoOn(); }},
      look_(env.executor),
      settings_changed_(env.executor),
      repairs_(env.executor),
      loops_(env.executor) {}

ReplicationWorker::~ReplicationWorker() = default;

Task<absl::Status> ReplicationWorker::Start() {
  STELE_CO_TRY_OK(co_await queue_.Start());
  const auto settings_changed = [this] { settings_changed_.Raise(); };
  watches_.push_back(store_->WatchNode(settings_.paths().disable(), settings_changed));
  watches_.push_back(store_->WatchNode(records_.limits_path(), settings_changed));
  watches_.push_back(store_->WatchChildren(records_.workers_path(), settings_changed));
  watches_.push_back(store_->WatchChildren(records_.draining_path(), settings_changed));
  // Only the first task of an idle cluster is seen here; the rest is seen by looking.
  watches_.push_back(store_->WatchChildren(queue_.paths().tasks(), [this] { look_.Raise(); }));
  loops_.Spawn(FollowSettings());
  loops_.Spawn(Run());
  co_return absl::OkStatus();
}

Task<void> ReplicationWorker::Stop() {
  is_stopping_ = true;
  WakeSleepers();
  look_.Raise();
  settings_changed_.Raise();
  // What still waits then, for a store that is away, ends with this object.
  const MonotonicTime patience = env_.clock->Now() + kStopPatience;
  while (loops_.size() + repairs_.size() > 0 && env_.clock->Now() < patience) {
    co_await SleepFor(env_.executor, env_.clock, absl::Milliseconds(20));
  }
}

Task<void> ReplicationWorker::WaitWhileAllowed(absl::Duration duration) {
  Notification woken(env_.executor);
  const MonotonicTime until = env_.clock->Now() + duration;
  const std::unique_ptr<Timer> timer = env_.clock->CallAt(until, [&woken] { woken.NotifyAll(); });
  const auto place = sleepers_.insert(sleepers_.end(), &woken);
  while (env_.clock->Now() < until && MayGoOn()) co_await woken.Wait();
  sleepers_.erase(place);
}

void ReplicationWorker::WakeSleepers() {
  for (Notification* sleeper : sleepers_) sleeper->NotifyAll();
}

Task<void> ReplicationWorker::FollowSettings() {
  // A name of our own: the session ends with us, and so does the node.
  const std::string name = StrCat(options_->name, "-", env_.random->Below(INT64_MAX));
  while (!is_stopping_) {
    (co_await records_.RegisterWorker(name)).IgnoreError();  // again after the end of a session
    const absl::StatusOr<bool> enabled = co_await settings_.IsEnabled();
    if (enabled.ok() && is_enabled_ != *enabled) {
      is_enabled_ = *enabled;
      WakeSleepers();
      look_.Raise();
    }
    const absl::StatusOr<metadata::RepairLimits> limits = co_await records_.Limits();
    const absl::StatusOr<std::vector<std::string>> workers = co_await records_.Workers();
    if (limits.ok() && workers.ok()) {
      throttle_.SetLimits(*limits, static_cast<int64_t>(workers->size()));
    }
    const auto draining = co_await records_.Draining();
    if (draining.ok()) {
      draining_.clear();
      for (const auto& [bookie, since] : *draining) draining_.insert(bookie);
    }
    const std::unique_ptr<Timer> timer = env_.clock->CallAt(
        env_.clock->Now() + options_->poll_interval, [this] { settings_changed_.Raise(); });
    co_await settings_changed_.Wait();
  }
}

Task<void> ReplicationWorker::Run() {
  while (!is_stopping_) {
    size_t started = 0;
    if (is_enabled_) started = co_await Pass();
    // A drain comes behind all repair, and never in a hurry.
    if (is_enabled_ && started == 0 && !draining_.empty()) co_await DrainPass();
    if (started > 0 || is_stopping_) continue;
    ReportProgress();
    // Not all at once, when many workers have nothing to do.
    const absl::Duration wait =
        options_->poll_interval / 2 +
        absl::Nanoseconds(static_cast<int64_t>(env_.random->Below(
            static_cast<uint64_t>(absl::ToInt64Nanoseconds(options_->poll_interval)))));
    const std::unique_ptr<Timer> timer =
        env_.clock->CallAt(env_.clock->Now() + wait, [this] { look_.Raise(); });
    co_await look_.Wait();
  }
}

void ReplicationWorker::ReportProgress() {
  if (status_.repairs_running > 0 || status_.ledgers_repaired == ledgers_reported_) return;
  if (options_->log != nullptr) {
    options_->log->Write(observe::LogLevel::kInfo, "ledgers were repaired",
                         {{"ledgers", status_.ledgers_repaired - ledgers_reported_},
                          {"entries_since_start", status_.entries_copied},
                          {"bytes_since_start", status_.bytes_copied}});
  }
  ledgers_reported_ = status_.ledgers_repaired;
}

Task<size_t> ReplicationWorker::Pass() {
  // Tasks that somebody works on are not read. Ours of this moment may be done when the list of all
  // has come, and are looked for in the next pass.
  const std::set<LedgerId> busy = busy_;
  absl::StatusOr<std::vector<LedgerId>> ledgers = co_await queue_.Ledgers(kTasksPerPass);
  if (!ledgers.ok() || ledgers->empty()) co_return 0;
  const absl::StatusOr<std::vector<LedgerId>> locked = co_await queue_.Locked();
  if (!locked.ok()) co_return 0;
  co_await LearnQuarantined();
  std::erase_if(*ledgers, [&](LedgerId ledger) {
    return busy.contains(ledger) || !IsWorthTrying(ledger) ||
           std::binary_search(locked->begin(), locked->end(), ledger);
  });
  absl::StatusOr<std::vector<RepairTask>> tasks = co_await queue_.Read(*std::move(ledgers));
  if (!tasks.ok()) co_return 0;
  SortByUrgency(&*tasks);
  size_t started = 0;
  for (const RepairTask& task : *tasks) {
    if (!MayGoOn()) break;
    Permits::Hold slot = co_await ledgers_in_flight_.Acquire(1);
    if (!MayGoOn()) break;
    if (!busy_.insert(task.ledger).second) continue;
    ++started;
    repairs_.Spawn(RepairOne(task.ledger, std::move(slot)));
  }
  co_return started;
}

Task<void> ReplicationWorker::LearnQuarantined() {
  const absl::StatusOr<std::vector<LedgerId>> ledgers = co_await records_.Quarantined();
  if (!ledgers.ok()) co_return;
  std::erase_if(hopeless_, [&](const auto& entry) {
    return !std::binary_search(ledgers->begin(), ledgers->end(), entry.first);
  });
  for (LedgerId ledger : *ledgers) {
    if (hopeless_.contains(ledger)) continue;
    const auto record = co_await records_.Quarantine(ledger);
    if (!record.ok()) co_return;
    Hopeless& known = hopeless_[ledger];
    known.retry_at = env_.clock->Now() + options_->quarantine_retry;
    if (!record->has_value()) continue;
    for (const auto& [bookie, answer] : (*record)->evidence) {
      if (!core_->registry().bookies().IsUp(bookie)) known.missing.insert(bookie);
    }
  }
}

bool ReplicationWorker::IsWorthTrying(LedgerId ledger) {
  const auto place = hopeless_.find(ledger);
  if (place == hopeless_.end()) return true;
  const metadata::BookieSet& bookies = core_->registry().bookies();
  const bool came_back = std::any_of(place->second.missing.begin(), place->second.missing.end(),
                                     [&](const BookieId& bookie) { return bookies.IsUp(bookie); });
  return came_back || env_.clock->Now() >= place->second.retry_at;
}

Task<void> ReplicationWorker::RepairOne(LedgerId ledger, Permits::Hold slot) {
  const absl::StatusOr<bool> locked = co_await queue_.Lock(ledger);
  if (locked.ok() && *locked) {
    // The task is read under the lock: what it was before may be done, and marked anew.
    const absl::StatusOr<std::optional<RepairTask>> task = co_await queue_.Find(ledger);
    if (task.ok() && task->has_value() && MayGoOn()) {
      co_await RepairLocked(**task, std::move(slot));
    } else {
      co_await Unlock(ledger);
    }
  }
  busy_.erase(ledger);
}

RepairRequest ReplicationWorker::RequestFor(const RepairTask& task, bool may_fence) {
  return {.ledger = task.ledger, .suspects = task.mark.replicas, .may_fence = may_fence};
}

Task<void> ReplicationWorker::RepairLocked(RepairTask task, Permits::Hold slot) {
  const LedgerId ledger = task.ledger;
  bool may_fence = false;
  for (;;) {
    RepairRequest request = RequestFor(task, may_fence);
    if (hopeless_.contains(ledger)) {
      const auto record = co_await records_.Quarantine(ledger);
      if (record.ok() && record->has_value()) request.lost_last_time = (*record)->entries;
    }
    ++status_.repairs_running;
    const MonotonicTime begun = env_.clock->Now();
    RepairOutcome outcome =
        co_await RepairLedger(&copy_, &defaults_, &draining_, std::move(request));
    --status_.repairs_running;
    const bool is_whole = outcome.kind == Kind::kDone || outcome.kind == Kind::kGone;
    repairs_taken_.Record(is_whole, begun, env_.clock->Now());
    Count(outcome);
    absl::Duration wait = absl::ZeroDuration();
    switch (outcome.kind) {
      case Kind::kDone:
      case Kind::kGone: {
        failures_.erase(ledger);
        if (hopeless_.contains(ledger)) {
          (co_await records_.ClearQuarantine(ledger)).IgnoreError();
          hopeless_.erase(ledger);
        }
        const absl::StatusOr<bool> finished = co_await queue_.Finish(task);
        if (finished.ok() && *finished && outcome.kind == Kind::kDone) ++status_.ledgers_repaired;
        co_return co_await Unlock(ledger);
      }
      case Kind::kInterrupted: co_return co_await Unlock(ledger);
      case Kind::kHopeless:
        co_await Quarantine(ledger, *std::move(outcome.quarantine));
        co_return co_await Unlock(ledger);
      case Kind::kTailBroken:
        STELE_SOMETIMES(kRepairWaitsForWriter, true);
        wait = options_->open_ledger_grace;
        break;
      case Kind::kFailed: {
        ++status_.ledgers_failed;
        if (failures_.size() >= kFailuresMax) failures_.clear();
        const int count = failures_[ledger].count++;
        wait = std::min(options_->backoff_first * (int64_t{1} << std::min(count, 20)),
                        options_->backoff_max);
        Log(observe::LogLevel::kWarning, "a ledger could not be repaired", ledger, outcome.status);
        break;
      }
    }
    // The lock is kept, so that nobody else hurries; the place among those who work is not.
    slot = Permits::Hold();
    if (sleepers_.size() >= kWaitsMax) co_return co_await Unlock(ledger);
    if (outcome.kind == Kind::kFailed) ++status_.locks_kept;
    co_await WaitWhileAllowed(wait);
    if (outcome.kind != Kind::kTailBroken || !MayGoOn() || !queue_.Holds(ledger)) {
      co_return co_await Unlock(ledger);
    }
    may_fence = true;
    slot = co_await ledgers_in_flight_.Acquire(1);
    if (!MayGoOn()) co_return co_await Unlock(ledger);
  }
}

Task<void> ReplicationWorker::DrainPass() {
  const std::set<BookieId> leaving = draining_;
  metadata::LedgerLister lister = core_->ledgers().List();
  for (;;) {
    absl::StatusOr<std::optional<metadata::LedgerRange>> range = co_await lister.Next();
    if (!range.ok() || !range->has_value()) co_return;
    for (LedgerId ledger : **range) {
      if (!MayGoOn() || draining_ != leaving) co_return;
      const auto metadata = co_await core_->ledgers().Read(ledger);
      if (!metadata.ok() || busy_.contains(ledger)) continue;
      const std::vector<SealedFragment> fragments = SealedFragments(metadata->value);
      const bool is_named = std::any_of(fragments.begin(), fragments.end(), [&](const auto& f) {
        return std::any_of(f.ensemble.begin(), f.ensemble.end(),
                           [&](const BookieId& bookie) { return leaving.contains(bookie); });
      });
      if (!is_named) continue;
      Permits::Hold slot = co_await ledgers_in_flight_.Acquire(1);
      if (!busy_.insert(ledger).second) continue;
      repairs_.Spawn(DrainOne(ledger, leaving, std::move(slot)));
    }
  }
}

Task<void> ReplicationWorker::DrainOne(LedgerId ledger, std::set<BookieId> leaving,
                                       Permits::Hold slot) {
  const absl::StatusOr<bool> locked = co_await queue_.Lock(ledger);
  if (locked.ok() && *locked) {
    ++status_.repairs_running;
    const RepairOutcome outcome = co_await RepairLedger(
        &copy_, &defaults_, &draining_, {.ledger = ledger, .leaving = std::move(leaving)});
    --status_.repairs_running;
    Count(outcome);
    if (outcome.kind == Kind::kFailed || outcome.kind == Kind::kHopeless) {
      ++status_.ledgers_failed;
      Log(observe::LogLevel::kWarning, "a ledger could not be moved", ledger, outcome.status);
    } else if (outcome.members_replaced > 0) {
      ++status_.ledgers_moved;
    }
    co_await Unlock(ledger);
  }
  busy_.erase(ledger);
}

Task<void> ReplicationWorker::Quarantine(LedgerId ledger, metadata::QuarantineRecord record) {
  const absl::Time now = env_.clock->WallNow();
  record.first_seen = now;
  record.last_seen = now;
  Hopeless& known = hopeless_[ledger];
  known.retry_at = env_.clock->Now() + options_->quarantine_retry;
  known.missing.clear();
  for (const auto& [bookie, answer] : record.evidence) {
    if (!core_->registry().bookies().IsUp(bookie)) known.missing.insert(bookie);
  }
  const auto before = co_await records_.Quarantine(ledger);
  if (before.ok() && before->has_value()) {
    record.first_seen = (*before)->first_seen;
  } else {
    ++status_.ledgers_quarantined;
    Log(observe::LogLevel::kError, "a ledger has entries that no bookie gives", ledger,
        MakeError(ErrorCode::kNoSuchEntry, record.reason));
  }
  (co_await records_.SetQuarantine(ledger, std::move(record))).IgnoreError();
}

Task<void> ReplicationWorker::Unlock(LedgerId ledger) {
  // What cannot be let go ends with the session.
  (co_await queue_.Unlock(ledger)).IgnoreError();
}

void ReplicationWorker::Count(const RepairOutcome& outcome) {
  status_.entries_copied += outcome.entries_copied;
  status_.bytes_copied += outcome.bytes_copied;
  status_.members_replaced += outcome.members_replaced;
  if (outcome.was_fenced) ++status_.ledgers_fenced;
}

void ReplicationWorker::Export(observe::MetricsText& into) const {
  const CopyMeters& copies = copy_.meters;
  into.OfLatency("replication_worker_rereplicate", {}, repairs_taken_);
  into.Counter("replication_worker_NUM_ENTRIES_READ", {}, copies.entries_read);
  into.OfSizes("replication_worker_NUM_BYTES_READ", {}, copies.bytes_read);
  into.OfLatency("replication_worker_READ_DATA_LATENCY", {}, copies.reads);
  into.Counter("replication_worker_NUM_ENTRIES_WRITTEN", {}, copies.entries_written);
  into.OfSizes("replication_worker_NUM_BYTES_WRITTEN", {}, copies.bytes_written);
  into.OfLatency("replication_worker_WRITE_DATA_LATENCY", {}, copies.writes);
  into.Counter("replication_worker_NUM_ENTRIES_UNABLE_TO_READ_FOR_REPLICATION", {},
               copies.entries_unreadable);
  into.Counter("replication_worker_NUM_DEFER_LEDGER_LOCK_RELEASE_OF_FAILED_LEDGER", {},
               status_.locks_kept);
}

void ReplicationWorker::Log(observe::LogLevel level, std::string_view message, LedgerId ledger,
                            const absl::Status& why) {
  if (options_->log == nullptr) return;
  options_->log->Write(level, message, {{"ledger", ledger.value()}, {"error", why.ToString()}});
}

}  // namespace stele::autorecovery
