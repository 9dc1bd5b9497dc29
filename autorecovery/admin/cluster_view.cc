#include "autorecovery/admin/cluster_view.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/async/run_concurrently.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/bookie_service_info.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_manager.h"

namespace stele::autorecovery {
namespace {

using observe::Record;

int64_t Milliseconds(absl::Time time) { return absl::ToUnixMillis(time); }
int64_t Milliseconds(MonotonicTime time) { return time.nanoseconds() / 1'000'000; }

std::string ToText(const Endpoint& at) { return StrCat(at.host, ":", at.port); }

int64_t Count(size_t size) { return static_cast<int64_t>(size); }

}  // namespace

// What the tasks of one look share.
ClusterView::ClusterView(Env env, HttpFetcher* fetcher, Cluster cluster)
    : env_(env), fetcher_(fetcher), cluster_(std::move(cluster)), scope_(env.executor) {}

Record ClusterView::Look() {
  if (!is_looking_ && env_.clock->Now() >= look_after_) {
    is_looking_ = true;
    scope_.Spawn(LookAgain());
  }
  Record view;
  view.Set("scope", std::string("cluster"))
      .Set("name", cluster_.name)
      .Set("now_ms", Milliseconds(env_.clock->WallNow()));
  if (!store_.ok()) view.Set("store_error", std::string(ToStd(store_.message())));
  if (store_lost_at_.has_value()) view.Set("store_lost_since_ms", Milliseconds(*store_lost_at_));
  std::vector<Record> bookies;
  if (backlog_ != nullptr) {
    view.Set("as_of_ms", Milliseconds(read_at_))
        .Set("repair_enabled", backlog_->enabled)
        .Set("auditor", backlog_->auditor.value_or(""))
        .Set("storm", cluster_.autorecovery->auditor_status().is_storm)
        .Set("workers", Count(backlog_->workers.size()))
        .Set("ledgers_marked", Count(backlog_->tasks.size()))
        .Set("ledgers_locked", Count(backlog_->locked.size()))
        .Set("ledgers_quarantined", Count(backlog_->quarantined.size()))
        .Set("replicas_missing_max", backlog_->ReplicasMissingMax());
    if (!backlog_->tasks.empty()) {
      view.Set("oldest_mark_ms", Milliseconds(read_at_ - backlog_->OldestAge(read_at_)));
    }
    if (backlog_->recovery_delay.has_value()) {
      view.Set("recovery_delay_s", absl::ToInt64Seconds(*backlog_->recovery_delay));
    }
    view.Set("ledgers", Ledgers());
    for (const BookieId& bookie : Known()) bookies.push_back(ToRecord(bookie));
  }
  return view.Set("bookies", std::move(bookies));
}

Task<void> ClusterView::LookAgain() {
  const MonotonicTime begin = env_.clock->Now();
  absl::StatusOr<RepairBacklog> read =
      co_await ReadRepairBacklog(env_, cluster_.store, cluster_.cluster);
  store_ = read.status();
  if (read.ok()) {
    backlog_ = std::make_shared<const RepairBacklog>(*std::move(read));
    read_at_ = env_.clock->WallNow();
    store_lost_at_.reset();
    NoteWhoIsUp();
  } else if (!store_lost_at_.has_value()) {
    store_lost_at_ = env_.clock->WallNow();
  }
  if (backlog_ != nullptr) {
    std::vector<BookieId> up;
    for (const BookieId& bookie : Known()) {
      if (backlog_->bookies.IsUp(bookie)) up.push_back(bookie);
    }
    const auto ask = [&](size_t i) { return AskOne(up[i]); };
    (co_await RunConcurrently(env_.executor, up.size(), kAskedMax, ask)).IgnoreError();
    LookAtDrainsIfDue();
  }
  const MonotonicTime now = env_.clock->Now();
  look_after_ =
      now + std::min(std::max(kLookInterval, (now - begin) * kPauseFactor), kLookIntervalMax);
  is_looking_ = false;
}

// Always ok: what a bookie did not answer is seen in its place.
Task<absl::Status> ClusterView::AskOne(BookieId bookie) {
  absl::Status no_admin = absl::OkStatus();
  std::optional<Endpoint> admin;
  const metadata::ClusterPaths paths(cluster_.cluster.layout.root());
  for (const std::string& path : {paths.Writable(bookie), paths.ReadOnly(bookie)}) {
    const absl::StatusOr<metadata::Node> node = co_await cluster_.store->Get(path);
    no_admin = node.status();
    if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) continue;
    if (!node.ok()) break;
    const absl::StatusOr<Endpoint> at = metadata::BookieEndpointOf(bookie, node->value);
    if (at.ok()) seen_[bookie].address = ToText(*at);
    const absl::StatusOr<Endpoint> admin_at = metadata::AdminEndpointOf(bookie, node->value);
    no_admin = admin_at.status();
    if (admin_at.ok()) admin = *admin_at;
    break;
  }
  const absl::StatusOr<BookieSpace> space =
      co_await cluster_.autorecovery->SpaceOf(bookie, kAnswerWaitMax);
  seen_[bookie].answer = space.status();
  if (space.ok()) seen_[bookie].space = *space;
  if (!admin.has_value()) {
    Seen& seen = seen_[bookie];
    seen.measured = no_admin;
    seen.health.reset();
    co_return absl::OkStatus();
  }
  const absl::StatusOr<std::string> metrics = co_await fetcher_->Get(*admin, "/metrics");
  Seen& seen = seen_[bookie];
  seen.admin = ToText(*admin);
  seen.measured = metrics.status();
  seen.health.reset();
  if (!metrics.ok()) co_return absl::OkStatus();
  seen.health = http::ReadNodeHealth(*metrics);
  seen.sampled_at = env_.clock->Now();
  co_return absl::OkStatus();
}

void ClusterView::LookAtDrainsIfDue() {
  if (backlog_->draining.empty()) {
    drains_.reset();
    look_at_drains_after_ = MonotonicTime();
  } else if (!is_looking_at_drains_ && env_.clock->Now() >= look_at_drains_after_) {
    is_looking_at_drains_ = true;
    scope_.Spawn(LookAgainAtDrains());
  }
}

Task<void> ClusterView::LookAgainAtDrains() {
  const MonotonicTime begin = env_.clock->Now();
  std::vector<BookieId> bookies;
  for (const auto& [bookie, since] : backlog_->draining) bookies.push_back(bookie);
  metadata::LedgerManager ledgers(env_, cluster_.store, cluster_.cluster.layout);
  metadata::AutorecoveryRecords records(cluster_.store, cluster_.cluster);
  auto views = co_await LookAtDrains(&ledgers, &records, std::move(bookies));
  if (views.ok()) drains_ = Drains{*std::move(views), env_.clock->WallNow()};
  const MonotonicTime now = env_.clock->Now();
  look_at_drains_after_ =
      now +
      std::min(std::max(kDrainsInterval, (now - begin) * kDrainsPauseFactor), kDrainsIntervalMax);
  is_looking_at_drains_ = false;
}

void ClusterView::NoteWhoIsUp() {
  const std::vector<BookieId> known = Known();
  for (const BookieId& bookie : known) {
    Seen& seen = seen_[bookie];
    if (backlog_->bookies.IsUp(bookie)) {
      seen.down_since.reset();
      continue;
    }
    // The auditor's word counts, but it may come later, or there is none.
    const auto lost = backlog_->lost.find(bookie);
    if (lost != backlog_->lost.end()) {
      seen.down_since = lost->second;
    } else if (!seen.down_since.has_value()) {
      seen.down_since = read_at_;
    }
    seen.health.reset();
  }
  std::erase_if(seen_, [&known](const auto& entry) {
    return !std::binary_search(known.begin(), known.end(), entry.first);
  });
}

std::vector<BookieId> ClusterView::Known() const {
  std::set<BookieId> known(backlog_->joined.begin(), backlog_->joined.end());
  known.insert(backlog_->bookies.writable.begin(), backlog_->bookies.writable.end());
  known.insert(backlog_->bookies.read_only.begin(), backlog_->bookies.read_only.end());
  for (const auto& [bookie, since] : backlog_->lost) known.insert(bookie);
  for (const auto& [bookie, since] : backlog_->draining) known.insert(bookie);
  return {known.begin(), known.end()};
}

Record ClusterView::ToRecord(const BookieId& bookie) const {
  const std::vector<BookieId>& writable = backlog_->bookies.writable;
  const bool is_up = backlog_->bookies.IsUp(bookie);
  const bool is_writable = std::binary_search(writable.begin(), writable.end(), bookie);
  const auto found = seen_.find(bookie);
  const Seen seen = found == seen_.end() ? Seen() : found->second;
  Record record;
  record.Set("id", bookie.value())
      .Set("state", std::string(is_writable ? "writable"
                                : is_up     ? "read_only"
                                            : "down"))
      .Set("address", seen.address);
  if (!is_up && seen.down_since.has_value()) {
    record.Set("down_since_ms", Milliseconds(*seen.down_since));
  }
  const auto draining = backlog_->draining.find(bookie);
  if (draining != backlog_->draining.end()) {
    record.Set("draining_since_ms", Milliseconds(draining->second));
    if (drains_.has_value() && drains_->views.contains(bookie)) {
      const DrainView& view = drains_->views.at(bookie);
      record.Set("draining_ledgers_left", view.ledgers_left)
          .Set("draining_ledgers_open", view.ledgers_open)
          .Set("draining_ledgers_unreadable", view.ledgers_unreadable)
          .Set("draining_counted_ms", Milliseconds(drains_->looked_at));
    }
  }
  if (is_up && seen.answer.has_value()) {
    record.Set("answers", seen.answer->ok());
    if (!seen.answer->ok()) record.Set("error", std::string(ToStd(seen.answer->message())));
  }
  if (seen.space.has_value()) {
    record.Set("disk_total_bytes", seen.space->total_bytes)
        .Set("disk_free_bytes", seen.space->free_bytes);
  }
  record.Set("admin", seen.admin);
  if (!seen.measured.ok()) record.Set("admin_error", std::string(ToStd(seen.measured.message())));
  if (seen.health.has_value()) {
    record.Set("sampled_ms", Milliseconds(seen.sampled_at));
    http::SetHealth(*seen.health, record);
  }
  return record;
}

// Those that lack most come first, then those that wait longest.
std::vector<Record> ClusterView::Ledgers() const {
  std::vector<const metadata::RepairTask*> tasks;
  for (const metadata::RepairTask& task : backlog_->tasks) tasks.push_back(&task);
  const auto middle =
      tasks.begin() + static_cast<std::ptrdiff_t>(std::min(tasks.size(), kLedgersNamedMax));
  std::partial_sort(tasks.begin(), middle, tasks.end(), [this](const auto* a, const auto* b) {
    const auto rank = [this](const metadata::RepairTask& task) {
      return std::tuple(-Count(task.mark.replicas.size()), task.mark.marked_at.value_or(read_at_),
                        task.ledger);
    };
    return rank(*a) < rank(*b);
  });
  std::vector<Record> ledgers;
  for (auto task = tasks.begin(); task != middle; ++task) {
    std::vector<std::string> missing;
    for (const BookieId& bookie : (*task)->mark.replicas) missing.push_back(bookie.value());
    const std::vector<LedgerId>& locked = backlog_->locked;
    ledgers.emplace_back();
    ledgers.back()
        .Set("id", (*task)->ledger.value())
        .Set("missing", std::move(missing))
        .Set("locked", std::find(locked.begin(), locked.end(), (*task)->ledger) != locked.end());
    if ((*task)->mark.marked_at.has_value()) {
      ledgers.back().Set("marked_ms", Milliseconds(*(*task)->mark.marked_at));
    }
  }
  return ledgers;
}

}  // namespace stele::autorecovery
