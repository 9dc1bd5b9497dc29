#include "metadata/sqlite/sqlite_worker.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::metadata {
namespace {

// One commit, so one sync of the disk, for this many operations at most.
constexpr size_t kBatchSizeMax = 64;

constexpr std::string_view kLockSuffix = "-sessions";

}  // namespace

SqliteWorker::SqliteWorker(Executor* executor, SqliteStoreOptions options, NewsCallback on_news)
    : executor_(executor),
      options_(std::move(options)),
      receiver_(std::make_shared<Receiver>(Receiver{.on_news = std::move(on_news)})) {}

SqliteWorker::~SqliteWorker() {
  receiver_->stopped = true;
  Stop(Phase::kAbandoned);
  if (thread_.joinable()) thread_.join();
}

void SqliteWorker::Open(DoneCallback opened) {
  opened_ = std::move(opened);
  thread_ = std::thread([this] { ThreadMain(); });
}

void SqliteWorker::Close(DoneCallback closed) {
  {
    const real::MutexLock lock(&mutex_);
    closed_ = std::move(closed);
  }
  Stop(Phase::kClosing);
}

void SqliteWorker::Stop(Phase phase) {
  {
    const real::MutexLock lock(&mutex_);
    phase_ = phase;
  }
  wake_.notify_one();
}

void SqliteWorker::Enqueue(std::shared_ptr<SqliteOperation> operation) {
  {
    const real::MutexLock lock(&mutex_);
    queue_.push_back(std::move(operation));
  }
  wake_.notify_one();
}

void SqliteWorker::Arm(uint64_t watch, SqliteWatchKind kind, std::string path) {
  {
    const real::MutexLock lock(&mutex_);
    watch_changes_.push_back(
        {.id = watch, .arm = true, .state = {.kind = kind, .path = std::move(path)}});
  }
  wake_.notify_one();
}

void SqliteWorker::Disarm(uint64_t watch) {
  // Not urgent: what it still fires, the shard ignores.
  const real::MutexLock lock(&mutex_);
  watch_changes_.push_back({.id = watch, .arm = false, .state = {}});
}

void SqliteWorker::ThreadMain() {
  const absl::Status opened = OpenFile();
  PostDone(std::move(opened_), opened);
  if (opened.ok()) {
    next_sweep_ = Clock::now() + absl::ToChronoNanoseconds(options_.sweep_interval);
    while (WaitForWork()) {
      RunBatch();
      ApplyWatchChanges();
      CheckSessions();
      CheckWatches();
      PostNews();
    }
  }
  if (phase_ == Phase::kClosing) EndSession();
  tree_.reset();
  database_.reset();
  DoneCallback closed;
  {
    const real::MutexLock lock(&mutex_);
    closed = std::move(closed_);
  }
  if (closed != nullptr) PostDone(std::move(closed), absl::OkStatus());
}

absl::Status SqliteWorker::OpenFile() {
  lock_deadline_ = Clock::now() + absl::ToChronoNanoseconds(options_.operation_timeout);
  STELE_TRY(database_, SqliteDatabase::Open(options_.path, options_.create_if_missing,
                                            [this] { return KeepWaitingForLock(); }));
  tree_ = std::make_unique<SqliteTree>(database_.get(), StrCat(options_.path, kLockSuffix));
  return WithContext(tree_->BeginSession(), StrCat("metadata file ", options_.path));
}

bool SqliteWorker::KeepWaitingForLock() const {
  return (phase_ == Phase::kRunning || (phase_ == Phase::kClosing && ending_)) &&
         Clock::now() < lock_deadline_;
}

bool SqliteWorker::WaitForWork() {
  const Clock::time_point until =
      watches_.empty() ? next_sweep_ : std::min(next_sweep_, next_poll_);
  const real::MutexLock lock(&mutex_);
  while (phase_ == Phase::kRunning && queue_.empty() && watch_changes_.empty()) {
    if (wake_.wait_until(mutex_, until) == std::cv_status::timeout) break;
  }
  while (!queue_.empty() && batch_.size() < kBatchSizeMax) {
    batch_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  batch_watch_changes_ = std::exchange(watch_changes_, {});
  return phase_ == Phase::kRunning;
}

void SqliteWorker::RunBatch() {
  while (!batch_.empty() && phase_ == Phase::kRunning) {
    const absl::Status status = TryTransaction();
    if (!status.ok()) FailExpired(status);
  }
}

absl::Status SqliteWorker::TryTransaction() {
  SqliteDatabase::Access access = SqliteDatabase::Access::kRead;
  Clock::time_point deadline = Clock::time_point::max();
  for (const auto& operation : batch_) {
    if (operation->access() == SqliteDatabase::Access::kWrite) access = operation->access();
    deadline = std::min(deadline, operation->deadline());
  }
  STELE_TRY_OK(BeginUntil(access, deadline));

  absl::Status status;
  if (access == SqliteDatabase::Access::kWrite) status = tree_->SweepDeadSessions();
  for (const auto& operation : batch_) {
    if (operation->TryStart() && status.ok()) status = operation->Run(tree_.get());
  }
  if (status.ok()) {
    status = database_->Commit();
  } else {
    database_->Rollback();
  }
  if (!status.ok()) {
    const absl::Status for_reads = MakeError(CodeOf(status), ToStd(status.message()));
    for (const auto& operation : batch_) {
      operation->Fail(operation->access() == SqliteDatabase::Access::kRead ? for_reads : status);
    }
  }
  must_compare_ = must_compare_ || access == SqliteDatabase::Access::kWrite;
  for (auto& operation : batch_) news_.finished.push_back(std::move(operation));
  batch_.clear();
  return absl::OkStatus();
}

void SqliteWorker::FailExpired(const absl::Status& status) {
  // A damaged file fails everything at once; a lock is waited for.
  const bool hopeless = CodeOf(status) != ErrorCode::kMetadataUnavailable;
  const Clock::time_point now = Clock::now();
  std::vector<std::shared_ptr<SqliteOperation>> left;
  for (auto& operation : batch_) {
    if (!hopeless && operation->deadline() > now) {
      left.push_back(std::move(operation));
      continue;
    }
    if (operation->TryAbandon()) operation->Fail(status);
    news_.finished.push_back(std::move(operation));
  }
  batch_ = std::move(left);
  PostNews();
}

absl::Status SqliteWorker::BeginUntil(SqliteDatabase::Access access, Clock::time_point deadline) {
  lock_deadline_ = deadline;
  return database_->Begin(access);
}

void SqliteWorker::ApplyWatchChanges() {
  for (WatchChange& change : batch_watch_changes_) {
    if (change.arm) {
      watches_.insert_or_assign(change.id, std::move(change.state));
      must_compare_ = true;
    } else {
      watches_.erase(change.id);
    }
  }
  batch_watch_changes_.clear();
}

void SqliteWorker::CheckWatches() {
  if (watches_.empty()) {
    must_compare_ = false;
    return;
  }
  const Clock::time_point now = Clock::now();
  if (!must_compare_ && now < next_poll_) return;
  next_poll_ = now + absl::ToChronoNanoseconds(options_.poll_interval);
  // Read before the nodes: a commit in between shows as another version at the next poll.
  lock_deadline_ = next_poll_;
  const absl::StatusOr<int64_t> version = database_->DataVersion();
  if (!version.ok() || (!must_compare_ && *version == seen_data_version_)) return;
  must_compare_ = false;
  for (auto& [id, watch] : watches_) {
    const absl::StatusOr<SqliteFingerprint> current = watch.kind == SqliteWatchKind::kNode
                                                          ? tree_->NodeFingerprint(watch.path)
                                                          : tree_->ChildrenFingerprint(watch.path);
    if (!current.ok()) {
      must_compare_ = true;  // At the next poll.
      return;
    }
    if (watch.armed && *current == watch.last) continue;
    watch.armed = true;
    watch.last = *current;
    news_.fired_watches.push_back(id);
  }
  seen_data_version_ = *version;
}

void SqliteWorker::CheckSessions() {
  const Clock::time_point now = Clock::now();
  if (now < next_sweep_) return;
  next_sweep_ = now + absl::ToChronoNanoseconds(options_.sweep_interval);
  lock_deadline_ = next_sweep_;
  // What fails here is tried again at the next sweep; operations report what is wrong.
  const absl::StatusOr<bool> has_session = tree_->HasSession();
  if (has_session.ok() && !*has_session && tree_->BeginSession().ok()) {
    news_.session_replaced = true;
    must_compare_ = true;
  }
  const absl::StatusOr<bool> dead = tree_->HasDeadSessions();
  if (!dead.ok() || !*dead) return;
  if (!BeginUntil(SqliteDatabase::Access::kWrite, next_sweep_).ok()) return;
  if (tree_->SweepDeadSessions().ok() && database_->Commit().ok()) {
    must_compare_ = true;
  } else {
    database_->Rollback();
  }
}

void SqliteWorker::EndSession() {
  if (tree_ == nullptr) return;
  ending_ = true;
  // If it fails, the session is swept by the next store on the file.
  const Clock::time_point deadline =
      Clock::now() + absl::ToChronoNanoseconds(options_.operation_timeout);
  if (!BeginUntil(SqliteDatabase::Access::kWrite, deadline).ok()) return;
  if (!tree_->EndSession().ok() || !database_->Commit().ok()) database_->Rollback();
}

void SqliteWorker::PostNews() {
  if (news_.finished.empty() && news_.fired_watches.empty() && !news_.session_replaced) return;
  executor_->PostFromAnyThread(
      [receiver = receiver_, news = std::exchange(news_, SqliteNews())]() mutable {
        if (!receiver->stopped) receiver->on_news(std::move(news));
      });
}

void SqliteWorker::PostDone(DoneCallback done, absl::Status status) {
  executor_->PostFromAnyThread(
      [receiver = receiver_, done = std::move(done), status = std::move(status)]() mutable {
        if (!receiver->stopped) done(std::move(status));
      });
}

}  // namespace stele::metadata
