#include "autorecovery/internal/auditor.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "autorecovery/internal/ledger_scan.h"
#include "autorecovery/repair_plan.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cluster_paths.h"

namespace stele::autorecovery {
namespace {

using observe::LogLevel;

// How often a leader asks whether it still is, and looks at everything.
constexpr absl::Duration kLookAgain = absl::Seconds(5);
// Marks that are on their way at the same time.
constexpr size_t kMarksInFlightMax = 64;

}  // namespace

Auditor::Auditor(Env env, metadata::MetadataStore* store, const metadata::Cluster& cluster,
                 client::ClientCore* core, const AutorecoveryOptions* options)
    : env_(env),
      store_(store),
      core_(core),
      options_(options),
      queue_(env, store, metadata::ClusterPaths(cluster.layout.root()), options->name),
      settings_(store, metadata::ClusterPaths(cluster.layout.root())),
      records_(store, cluster),
      election_(env, store, metadata::ClusterPaths(cluster.layout.root()), options->name),
      throttle_(env),
      look_(env.executor),
      loops_(std::make_unique<TaskScope>(env.executor)) {}

Auditor::~Auditor() = default;

Task<absl::Status> Auditor::Start() {
  STELE_CO_TRY_OK(co_await queue_.Start());
  const auto look = [this] { look_.Raise(); };
  watches_.push_back(store_->WatchNode(settings_.paths().disable(), look));
  watches_.push_back(store_->WatchNode(settings_.paths().recovery_delay(), look));
  watches_.push_back(store_->WatchNode(records_.limits_path(), look));
  loops_->Spawn(FollowBookies());
  loops_->Spawn(Run());
  co_return absl::OkStatus();
}

Task<void> Auditor::Stop() {
  is_stopping_ = true;
  // Who waits for an election waits for ever: what runs is dropped, and the vote taken back. All
  // that an auditor does may end anywhere.
  loops_.reset();
  checks_.reset();
  co_await election_.Resign();
}

Task<void> Auditor::FollowBookies() {
  for (;;) {
    co_await core_->registry().WaitForChange(core_->registry().bookies().generation);
    look_.Raise();
  }
}

LossRules Auditor::Rules() const {
  return {.recovery_delay = delay_.value_or(options_->recovery_delay),
          .storm_percent = options_->storm_percent,
          .storm_window = options_->storm_window,
          .storm_hold_max = options_->storm_hold_max,
          .settle = options_->loss_settle};
}

void Auditor::Log(LogLevel level, std::string_view message,
                  std::initializer_list<observe::LogField> fields) {
  if (options_->log != nullptr) options_->log->Write(level, message, fields);
}

Task<void> Auditor::Run() {
  metadata::Backoff backoff(env_.random, {});
  while (!is_stopping_) {
    ++status_.votes;
    absl::Status status = co_await election_.WaitUntilElected();
    if (is_stopping_) co_return;
    if (status.ok()) {
      status_.is_leader = true;
      Log(LogLevel::kInfo, "elected as auditor");
      checks_ = std::make_unique<LongChecks>(
          env_, CheckContext{.core = core_,
                             .options = options_,
                             .store = store_,
                             .settings = &settings_,
                             .records = &records_,
                             .queue = &queue_,
                             .throttle = &throttle_,
                             .status = &status_,
                             .meters = &meters_,
                             .may_work = [this] { return MayWork(); }});
      status = co_await Lead();
      checks_.reset();
      status_.is_leader = false;
      if (is_stopping_) co_return;
      Log(LogLevel::kWarning, "auditor no more", {{"error", status.ToString()}});
    }
    if (CodeOf(status) == ErrorCode::kStopped) co_return;
    co_await SleepFor(env_.executor, env_.clock, backoff.Next());
  }
}

Task<absl::Status> Auditor::Lead() {
  metadata::Backoff backoff(env_.random, {});
  bool has_begun = false;
  while (!is_stopping_) {
    absl::Status status = has_begun ? absl::OkStatus() : co_await Begin();
    if (status.ok()) {
      has_begun = true;
      const absl::StatusOr<bool> is_leader = co_await election_.IsLeader();
      if (is_leader.ok() && !*is_leader) {
        co_return MakeError(ErrorCode::kMetadataConflict, "another vote is the lowest");
      }
      status = is_leader.ok() ? co_await Look() : is_leader.status();
    }
    if (CodeOf(status) == ErrorCode::kStopped) co_return status;
    if (!status.ok()) {
      // Whatever it is, an auditor goes on: it waits, and looks at everything again.
      if (CodeOf(status) != ErrorCode::kMetadataUnavailable) {
        Log(LogLevel::kWarning, "an audit failed and is repeated", {{"error", status.ToString()}});
      }
      co_await SleepFor(env_.executor, env_.clock, backoff.Next());
      continue;
    }
    backoff = metadata::Backoff(env_.random, {});
    const MonotonicTime now = env_.clock->Now();
    const MonotonicTime next =
        std::min(now + kLookAgain, losses_.NextChange(Rules(), now).value_or(now + kLookAgain));
    const std::unique_ptr<Timer> timer = env_.clock->CallAt(next, [this] { look_.Raise(); });
    co_await look_.Wait();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Auditor::Begin() {
  STELE_CO_TRY(delay_, co_await settings_.EnsureRecoveryDelay(options_->recovery_delay));
  delay_version_.reset();
  STELE_CO_TRY(const auto lost, co_await records_.Lost());
  const MonotonicTime now = env_.clock->Now();
  losses_ = LossTracker();
  for (const auto& [bookie, since] : lost) {
    losses_.Remember(bookie, env_.clock->WallNow() - since, now);
  }
  audited_.clear();
  wants_audit_ = true;
  co_return absl::OkStatus();
}

Task<absl::Status> Auditor::ReadDelay() {
  const absl::StatusOr<metadata::Node> node =
      co_await store_->Get(settings_.paths().recovery_delay());
  // Taken away, or not readable: what was set before goes on.
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return absl::OkStatus();
  STELE_CO_TRY_OK(node.status());
  const absl::StatusOr<absl::Duration> delay = metadata::ParseRecoveryDelay(node->value);
  if (!delay.ok()) co_return absl::OkStatus();
  const bool is_rewritten = delay_version_.has_value() && *delay_version_ != node->version;
  // Writing the same value again is how operators ask for an audit.
  if (is_rewritten && (*delay == delay_ || *delay == absl::ZeroDuration())) {
    losses_.EndDelays();
    wants_audit_ = true;
  }
  delay_ = *delay;
  delay_version_ = node->version;
  co_return absl::OkStatus();
}

Task<absl::Status> Auditor::Look() {
  STELE_CO_TRY(const bool is_enabled, co_await settings_.IsEnabled());
  const absl::StatusOr<metadata::RepairLimits> limits = co_await records_.Limits();
  if (limits.ok()) throttle_.SetLimits(*limits, 1);
  STELE_CO_TRY(const std::vector<BookieId> all, co_await core_->registry().AllBookies());
  std::set<BookieId> known(all.begin(), all.end());
  const metadata::BookieSet& up = core_->registry().bookies();
  known.insert(up.writable.begin(), up.writable.end());
  known.insert(up.read_only.begin(), up.read_only.end());
  STELE_CO_TRY_OK(co_await NoteChanges(std::move(known)));
  STELE_CO_TRY_OK(co_await ReadDelay());
  if (!is_enabled) co_return absl::OkStatus();

  const MonotonicTime now = env_.clock->Now();
  const bool was_storm = std::exchange(status_.is_storm, losses_.IsStorm(Rules(), now));
  if (status_.is_storm) {
    if (!was_storm) {
      Log(LogLevel::kError, "too many bookies went at once: nothing is published",
          {{"lost", losses_.Lost().size()}});
    }
    co_return absl::OkStatus();
  }
  const std::set<BookieId> ready = losses_.ToRepair(Rules(), now);
  const bool has_news =
      !std::includes(audited_.begin(), audited_.end(), ready.begin(), ready.end());
  if (!has_news && !wants_audit_ && now < audit_at_) {
    audited_ = ready;  // who comes back and goes again is news
    co_return absl::OkStatus();
  }
  const MonotonicTime begun = env_.clock->Now();
  const absl::Status audited = co_await Audit();
  meters_.audits.Record(audited.ok(), begun, env_.clock->Now());
  STELE_CO_TRY_OK(audited);
  audited_ = ready;
  wants_audit_ = false;
  audit_at_ = env_.clock->Now() + options_->bookie_check_interval;
  co_return absl::OkStatus();
}

Task<absl::Status> Auditor::NoteChanges(std::set<BookieId> known) {
  const metadata::BookieSet& bookies = core_->registry().bookies();
  std::set<BookieId> up(bookies.writable.begin(), bookies.writable.end());
  up.insert(bookies.read_only.begin(), bookies.read_only.end());
  const std::set<BookieId> waiting = losses_.Waiting(Rules(), env_.clock->Now());
  const LossTracker::Change change = losses_.Update(Rules(), known, up, env_.clock->Now());
  for (const BookieId& bookie : change.lost) {
    Log(LogLevel::kWarning, "a bookie is lost", {{"bookie", bookie.value()}});
    if (Rules().recovery_delay > absl::ZeroDuration()) ++status_.audits_delayed;
    // For the next auditor; without it the delay begins anew with that one.
    (co_await records_.SetLost(bookie, env_.clock->WallNow())).IgnoreError();
  }
  for (const BookieId& bookie : change.back) {
    Log(LogLevel::kInfo, "a lost bookie is back", {{"bookie", bookie.value()}});
    if (waiting.contains(bookie)) ++status_.delayed_audits_cancelled;
    (co_await records_.ClearLost(bookie)).IgnoreError();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Auditor::Audit() {
  ++status_.audits;
  const std::set<BookieId> waiting = losses_.Waiting(Rules(), env_.clock->Now());
  std::vector<Finding> findings;
  int64_t unreadable = 0;
  int64_t ledgers = 0;
  const auto visit = [this, &waiting, &findings, &unreadable, &ledgers](LedgerId ledger) {
    ++ledgers;
    // A plain function that gives a coroutine: what it captured is passed on.
    return [](Auditor* self, const std::set<BookieId>* away, std::vector<Finding>* found,
              int64_t* bad, LedgerId id) -> Task<absl::Status> {
      const auto read = co_await self->core_->ledgers().Read(id);
      if (CodeOf(read.status()) == ErrorCode::kNoSuchLedgerMetadata) co_return absl::OkStatus();
      if (IsMatterOfTheStore(read.status())) co_return read.status();
      if (!read.ok()) {
        // One that cannot be read must not keep the others from being repaired.
        if (++*bad == 1) {
          self->Log(LogLevel::kError, "metadata of a ledger cannot be read",
                    {{"ledger", id.value()}, {"error", read.status().ToString()}});
        }
        co_return absl::OkStatus();
      }
      const metadata::BookieSet& bookies = self->core_->registry().bookies();
      std::set<BookieId> missing;
      for (const metadata::Fragment& fragment : read->value.fragments()) {
        for (const BookieId& bookie : fragment.ensemble) {
          if (!bookies.IsUp(bookie) && !away->contains(bookie)) missing.insert(bookie);
        }
      }
      if (missing.empty()) co_return absl::OkStatus();
      int copies_left = read->value.replication().write_quorum_size;
      for (const SealedFragment& fragment : SealedFragments(read->value)) {
        copies_left =
            std::min(copies_left, CopiesLeft(fragment, read->value.replication(), bookies, {}));
      }
      found->push_back({copies_left,
                        id,
                        {missing.begin(), missing.end()},
                        read->value.IsClosed() ? read->value.length_bytes() : 0});
      co_return absl::OkStatus();
    }(this, &waiting, &findings, &unreadable, ledger);
  };
  STELE_CO_TRY_OK(co_await ForEachLedger(&core_->ledgers(), LedgerId(0),
                                         options_->metadata_in_flight_max, visit));
  status_.ledgers_unreadable = unreadable;
  status_.ledgers_read = ledgers;
  co_return co_await Publish(std::move(findings));
}

Task<absl::Status> Auditor::Publish(std::vector<Finding> findings) {
  if (findings.empty()) co_return absl::OkStatus();
  // Reading took its time: is it still ours to say, and still wanted?
  STELE_CO_TRY(const bool may_work, co_await MayWork());
  if (!may_work) {
    co_return MakeError(ErrorCode::kMetadataConflict, "the audit is not to be published any more");
  }
  const MonotonicTime begun = env_.clock->Now();
  int64_t bytes = 0;
  for (const Finding& finding : findings) bytes += finding.bytes;
  meters_.ledgers_found.Record(begun, static_cast<int64_t>(findings.size()));
  meters_.bytes_found.Record(begun, bytes);
  std::sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.copies_left, a.ledger) < std::tie(b.copies_left, b.ledger);
  });
  struct Marks {
    const std::vector<Finding>& findings;
    size_t next = 0;
    absl::Status status;
    int64_t marked = 0;
  } marks{.findings = findings};
  const auto mark_until = [](Auditor* self, Marks* shared, size_t end) -> Task<void> {
    while (shared->status.ok() && shared->next < end) {
      const Finding finding = shared->findings[shared->next++];
      const absl::StatusOr<bool> marked =
          co_await self->queue_.Mark(finding.ledger, finding.replicas);
      if (marked.ok() && *marked) ++shared->marked;
      // A mark that cannot be read is a task already.
      if (!marked.ok() && CodeOf(marked.status()) != ErrorCode::kCorruptData) {
        shared->status = marked.status();
      }
    }
  };
  // The first makes the directories that nearly all share; together, each would find them missing.
  co_await mark_until(this, &marks, 1);
  TaskScope scope(env_.executor);
  for (size_t i = 0; i < std::min(kMarksInFlightMax, marks.findings.size()); ++i) {
    scope.Spawn(mark_until(this, &marks, findings.size()));
  }
  co_await scope.Join();
  meters_.markings.Record(marks.status.ok(), begun, env_.clock->Now());
  status_.ledgers_marked += marks.marked;
  Log(LogLevel::kInfo, "ledgers were marked for repair",
      {{"marked", marks.marked}, {"found", marks.findings.size()}});
  co_return marks.status;
}

Task<absl::StatusOr<bool>> Auditor::MayWork() {
  if (is_stopping_) co_return false;
  STELE_CO_TRY(const bool is_enabled, co_await settings_.IsEnabled());
  if (!is_enabled) co_return false;
  co_return co_await election_.IsLeader();
}

void Auditor::Export(observe::MetricsText& into) const { meters_.Export(status_, into); }

}  // namespace stele::autorecovery
