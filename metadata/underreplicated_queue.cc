#include "metadata/underreplicated_queue.h"

#include <algorithm>
#include <utility>

#include "common/async/notification.h"
#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/retry.h"

namespace stele::metadata {
namespace {

// Tasks that are read at the same time.
constexpr size_t kReadsInFlightMax = 64;
constexpr size_t kDirectoryDepth = 4;

RepairTask ToTask(LedgerId ledger, const Node& node) {
  absl::StatusOr<UnderreplicationMark> mark = ParseMark(node.value);
  return {.ledger = ledger,
          .version = node.version,
          .mark = mark.ok() ? *std::move(mark) : UnderreplicationMark()};
}

bool MayHaveBeenDone(const absl::Status& status) {
  return !status.ok() && EffectOf(status) == Effect::kUnknown;
}

}  // namespace

UnderreplicatedQueue::UnderreplicatedQueue(Env env, MetadataStore* store, const ClusterPaths& paths,
                                           std::string owner, RetryOptions retry)
    : env_(env), store_(store), paths_(paths), owner_(std::move(owner)), retry_(retry) {
  session_watch_ = store_->WatchSession([this](SessionState state) {
    // The locks have gone with the session. One that is being made may be of the next session, and
    // is recognised when it is asked for again.
    if (state == SessionState::kExpired) held_.clear();
  });
}

bool UnderreplicatedQueue::MayRetry(const absl::Status& status) const {
  return IsTemporary(status) && env_.clock->Now() < retry_.give_up_at;
}

Task<absl::Status> UnderreplicatedQueue::Ensure(std::string path, std::string value) {
  const absl::Status made = co_await WhileUnavailable<absl::Status>(
      env_, retry_, [this, path = std::move(path), value = std::move(value)] {
        return store_->Create(path, value, NodeKind::kPersistent);
      });
  co_return CodeOf(made) == ErrorCode::kKeyExists ? absl::OkStatus() : made;
}

Task<absl::Status> UnderreplicatedQueue::Start() {
  STELE_CO_TRY_OK(co_await Ensure(paths_.base(), ""));
  STELE_CO_TRY_OK(co_await Ensure(paths_.layout(), SerializeUnderreplicationLayout()));
  const absl::StatusOr<Node> layout = co_await WhileUnavailable<absl::StatusOr<Node>>(
      env_, retry_, [this] { return store_->Get(paths_.layout()); });
  STELE_CO_TRY_OK(layout.status());
  STELE_CO_TRY_OK(CheckUnderreplicationLayout(layout->value));
  STELE_CO_TRY_OK(co_await Ensure(paths_.tasks(), ""));
  co_return co_await Ensure(paths_.locks(), "");
}

Task<absl::StatusOr<bool>> UnderreplicatedQueue::Mark(LedgerId ledger,
                                                      std::vector<BookieId> replicas) {
  const std::string path = paths_.Task(ledger);
  const absl::Time now = env_.clock->WallNow();
  const std::string fresh =
      SerializeMark(MergeMark({}, replicas, now).value_or(UnderreplicationMark{{}, now}));
  Backoff backoff(env_.random, retry_);
  for (;;) {
    absl::Status status = co_await store_->Create(path, fresh, NodeKind::kPersistent);
    if (status.ok()) co_return true;
    if (CodeOf(status) == ErrorCode::kKeyExists) {
      const absl::StatusOr<Node> node = co_await store_->Get(path);
      status = node.status();
      if (node.ok()) {
        STELE_CO_TRY(const UnderreplicationMark mark, ParseMark(node->value));
        const std::optional<UnderreplicationMark> merged = MergeMark(mark, replicas, now);
        if (!merged.has_value()) co_return false;
        status = (co_await store_->Put(path, SerializeMark(*merged), node->version)).status();
        if (status.ok()) co_return true;
      }
    }
    const ErrorCode code = CodeOf(status);
    // Somebody changed it or took it away meanwhile: look again, at once.
    if (code == ErrorCode::kMetadataConflict || code == ErrorCode::kNoSuchKey) continue;
    if (!MayRetry(status)) co_return status;
    co_await SleepFor(env_.executor, env_.clock, backoff.Next());
  }
}

Task<absl::StatusOr<std::vector<std::string>>> UnderreplicatedQueue::ChildrenOrNone(
    std::string path) {
  absl::StatusOr<std::vector<std::string>> names =
      co_await WhileUnavailable<absl::StatusOr<std::vector<std::string>>>(
          env_, retry_, [this, path = std::move(path)] { return store_->Children(path); });
  if (CodeOf(names.status()) == ErrorCode::kNoSuchKey) co_return std::vector<std::string>();
  co_return names;
}

Task<absl::StatusOr<std::vector<RepairTask>>> UnderreplicatedQueue::List(size_t count_max) {
  STELE_CO_TRY(std::vector<LedgerId> ledgers, co_await Ledgers(count_max));
  co_return co_await Read(std::move(ledgers));
}

Task<absl::StatusOr<std::vector<LedgerId>>> UnderreplicatedQueue::Ledgers(size_t count_max) {
  std::vector<LedgerId> ledgers;
  STELE_CO_TRY_OK(co_await Walk({}, count_max, &ledgers));
  co_return ledgers;
}

Task<absl::Status> UnderreplicatedQueue::Walk(std::vector<std::string> names, size_t count_max,
                                              std::vector<LedgerId>* ledgers) {
  std::string directory = paths_.tasks();
  for (const std::string& name : names) directory += "/" + name;
  STELE_CO_TRY(std::vector<std::string> children, co_await ChildrenOrNone(directory));
  std::erase_if(children, [](const std::string& name) { return !IsTaskDirectoryName(name); });
  if (children.empty()) {
    if (!names.empty()) co_await RemoveIfEmpty(std::move(directory));
    co_return absl::OkStatus();
  }
  std::rotate(children.begin(),
              children.begin() + static_cast<std::ptrdiff_t>(env_.random->Below(children.size())),
              children.end());
  for (const std::string& child : children) {
    if (ledgers->size() >= count_max) break;
    if (names.size() + 1 == kDirectoryDepth) {
      const std::optional<LedgerId> ledger =
          LedgerOfTaskDirectory(names[0], names[1], names[2], child);
      if (ledger.has_value()) ledgers->push_back(*ledger);
      continue;
    }
    std::vector<std::string> deeper = names;
    deeper.push_back(child);
    STELE_CO_TRY_OK(co_await Walk(std::move(deeper), count_max, ledgers));
  }
  co_return absl::OkStatus();
}

namespace {

// What the reads of one call share.
struct TaskReads {
  const std::vector<LedgerId> ledgers;
  size_t next = 0;
  absl::Status status;
  std::vector<RepairTask> tasks;
};

}  // namespace

Task<absl::StatusOr<std::vector<RepairTask>>> UnderreplicatedQueue::Read(
    std::vector<LedgerId> ledgers) {
  TaskReads reads{.ledgers = std::move(ledgers)};
  const auto read_some = [](UnderreplicatedQueue* self, TaskReads* shared) -> Task<void> {
    while (shared->status.ok() && shared->next < shared->ledgers.size()) {
      const LedgerId ledger = shared->ledgers[shared->next++];
      absl::StatusOr<std::optional<RepairTask>> task = co_await self->Find(ledger);
      if (!task.ok()) {
        shared->status = task.status();
      } else if (task->has_value()) {
        shared->tasks.push_back(**std::move(task));
      } else {
        co_await self->RemoveIfEmpty(self->paths_.TaskDirectory(ledger));
      }
    }
  };
  TaskScope scope(env_.executor);
  for (size_t i = 0; i < std::min(kReadsInFlightMax, reads.ledgers.size()); ++i) {
    scope.Spawn(read_some(this, &reads));
  }
  co_await scope.Join();
  STELE_CO_TRY_OK(reads.status);
  co_return std::move(reads.tasks);
}

Task<void> UnderreplicatedQueue::RemoveIfEmpty(std::string directory) {
  // One that is not empty refuses. What is left over after another error does no harm.
  (co_await store_->Delete(std::move(directory), kAnyVersion)).IgnoreError();
}

Task<absl::StatusOr<std::optional<RepairTask>>> UnderreplicatedQueue::Find(LedgerId ledger) {
  const absl::StatusOr<Node> node = co_await WhileUnavailable<absl::StatusOr<Node>>(
      env_, retry_, [this, ledger] { return store_->Get(paths_.Task(ledger)); });
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return std::optional<RepairTask>();
  STELE_CO_TRY_OK(node.status());
  co_return std::optional<RepairTask>(ToTask(ledger, *node));
}

Task<absl::StatusOr<std::vector<LedgerId>>> UnderreplicatedQueue::Locked() {
  STELE_CO_TRY(const std::vector<std::string> names, co_await ChildrenOrNone(paths_.locks()));
  std::vector<LedgerId> ledgers;
  for (const std::string& name : names) {
    if (const std::optional<LedgerId> ledger = LedgerOfTaskName(name)) ledgers.push_back(*ledger);
  }
  std::sort(ledgers.begin(), ledgers.end());
  co_return ledgers;
}

Task<absl::StatusOr<std::vector<RepairLock>>> UnderreplicatedQueue::Locks() {
  STELE_CO_TRY(const std::vector<LedgerId> ledgers, co_await Locked());
  std::vector<RepairLock> locks;
  for (LedgerId ledger : ledgers) {
    const absl::StatusOr<Node> node = co_await WhileUnavailable<absl::StatusOr<Node>>(
        env_, retry_, [this, ledger] { return store_->Get(paths_.Lock(ledger)); });
    if (node.ok()) locks.push_back({ledger, ParseOwner(node->value)});
  }
  co_return locks;
}

Task<absl::StatusOr<bool>> UnderreplicatedQueue::Lock(LedgerId ledger) {
  if (!held_.emplace(ledger, Hold::kMaking).second) co_return false;
  const absl::StatusOr<bool> made = co_await MakeLock(ledger);
  const auto place = held_.find(ledger);
  if (place == held_.end()) {
    STELE_SOMETIMES(kRepairLockLost, true);
    // The session ended meanwhile. What was made in the next one would stay as long as it lives.
    if (made.ok() && *made) {
      held_.emplace(ledger, Hold::kMayBeGone);
      (co_await Unlock(ledger)).IgnoreError();
    }
    co_return false;
  }
  if (made.ok() && *made) {
    place->second = Hold::kHeld;
  } else {
    STELE_SOMETIMES(kRepairLockTaken, made.ok());
    held_.erase(place);
  }
  co_return made;
}

Task<absl::StatusOr<bool>> UnderreplicatedQueue::MakeLock(LedgerId ledger) {
  const std::string path = paths_.Lock(ledger);
  const std::string value = SerializeOwner(owner_);
  Backoff backoff(env_.random, retry_);
  for (;;) {
    absl::Status status = co_await store_->Create(path, value, NodeKind::kEphemeral);
    if (status.ok()) co_return true;
    if (CodeOf(status) == ErrorCode::kKeyExists) {
      const absl::StatusOr<Node> node = co_await store_->Get(path);
      // Ours, although we do not hold it: the answer to an earlier creation was lost.
      if (node.ok()) co_return node->owner == EphemeralOwner::kThisSession;
      if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return false;
      status = node.status();
    }
    if (!MayRetry(status)) co_return status;
    co_await SleepFor(env_.executor, env_.clock, backoff.Next());
  }
}

void UnderreplicatedQueue::NoteMayBeGone(LedgerId ledger) {
  if (Holds(ledger)) held_[ledger] = Hold::kMayBeGone;
}

Task<absl::Status> UnderreplicatedQueue::Unlock(LedgerId ledger) {
  const std::string path = paths_.Lock(ledger);
  Backoff backoff(env_.random, retry_);
  while (Holds(ledger)) {
    absl::Status status;
    bool is_gone = false;
    if (held_.at(ledger) == Hold::kMayBeGone) {
      const absl::StatusOr<Node> node = co_await store_->Get(path);
      status = node.status();
      is_gone = CodeOf(status) == ErrorCode::kNoSuchKey ||
                (node.ok() && node->owner != EphemeralOwner::kThisSession);
    }
    if (status.ok() && !is_gone && Holds(ledger)) {
      status = co_await store_->Delete(path, kAnyVersion);
      is_gone = status.ok() || CodeOf(status) == ErrorCode::kNoSuchKey;
      if (MayHaveBeenDone(status)) NoteMayBeGone(ledger);
    }
    if (is_gone) {
      held_.erase(ledger);
      co_return absl::OkStatus();
    }
    if (!status.ok() && !MayRetry(status)) {
      held_.erase(ledger);
      co_return status;
    }
    co_await SleepFor(env_.executor, env_.clock, backoff.Next());
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<bool>> UnderreplicatedQueue::IsLockOurs(LedgerId ledger) {
  const absl::StatusOr<Node> node = co_await WhileUnavailable<absl::StatusOr<Node>>(
      env_, retry_, [this, ledger] { return store_->Get(paths_.Lock(ledger)); });
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return false;
  STELE_CO_TRY_OK(node.status());
  co_return node->owner == EphemeralOwner::kThisSession;
}

Task<absl::StatusOr<bool>> UnderreplicatedQueue::Finish(RepairTask task) {
  const LedgerId ledger = task.ledger;
  const std::vector<Deletion> all = {{paths_.Task(ledger), task.version},
                                     {paths_.TaskDirectory(ledger), kAnyVersion},
                                     {paths_.Lock(ledger), kAnyVersion}};
  Backoff backoff(env_.random, retry_);
  bool may_be_gone = false;
  while (Holds(ledger)) {
    const absl::Status deleted = co_await store_->DeleteTogether(all);
    bool is_done = deleted.ok();
    if (MayHaveBeenDone(deleted)) {
      STELE_SOMETIMES(kRepairFinishLost, true);
      may_be_gone = true;
      NoteMayBeGone(ledger);
      // Nobody else takes our lock away while the session lives.
      STELE_CO_TRY(const bool is_locked, co_await IsLockOurs(ledger));
      is_done = !is_locked && Holds(ledger);
    }
    if (is_done) {
      held_.erase(ledger);
      co_return true;
    }
    const ErrorCode code = CodeOf(deleted);
    if (code == ErrorCode::kMetadataConflict) co_return false;
    // Something of it has gone, or there is more in the directory: one after the other, then.
    if (code == ErrorCode::kNoSuchKey || code == ErrorCode::kKeyNotEmpty) break;
    if (!MayRetry(deleted)) co_return deleted;
    co_await SleepFor(env_.executor, env_.clock, backoff.Next());
  }
  co_return co_await RemoveTask(std::move(task), may_be_gone);
}

Task<absl::StatusOr<bool>> UnderreplicatedQueue::RemoveTask(RepairTask task, bool may_be_gone) {
  const std::string path = paths_.Task(task.ledger);
  Backoff backoff(env_.random, retry_);
  for (;;) {
    if (may_be_gone) {
      // Gone and marked again, it would have the same version. Its time would be another.
      STELE_CO_TRY(const std::optional<RepairTask> now, co_await Find(task.ledger));
      if (!now.has_value()) break;
      if (now->version != task.version || now->mark != task.mark) co_return false;
    }
    // Whose lock has gone with the session may meet a task that another has done and an auditor has
    // marked anew, with the same version.
    if (!Holds(task.ledger)) co_return false;
    const absl::Status deleted = co_await store_->Delete(path, task.version);
    const ErrorCode code = CodeOf(deleted);
    if (code == ErrorCode::kOk || code == ErrorCode::kNoSuchKey) break;
    if (code == ErrorCode::kMetadataConflict) co_return false;
    if (!MayRetry(deleted)) co_return deleted;
    may_be_gone = may_be_gone || MayHaveBeenDone(deleted);
    co_await SleepFor(env_.executor, env_.clock, backoff.Next());
  }
  // The three levels above are shared; List() removes them when they have become empty.
  co_await RemoveIfEmpty(paths_.TaskDirectory(task.ledger));
  co_return true;
}

}  // namespace stele::metadata
