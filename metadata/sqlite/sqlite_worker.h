// The thread that makes all SQLite calls of one store. It runs queued operations in batches, one
// transaction each, looks for changes made by other processes, sweeps dead sessions, and posts what
// came of it to the owner's shard; it does nothing else.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/base/errors.h"
#include "common/real/mutex.h"
#include "metadata/metadata_store.h"
#include "metadata/sqlite/sqlite_database.h"
#include "metadata/sqlite/sqlite_store.h"
#include "metadata/sqlite/sqlite_tree.h"

namespace stele::metadata {

// One call of the store on its way through the worker. Made on the shard; Run and Fail are called
// on the worker's thread, everything else on the shard.
class SqliteOperation {
 public:
  using Time = std::chrono::steady_clock::time_point;

  SqliteOperation(uint64_t id, SqliteDatabase::Access access, Time deadline)
      : id_(id), access_(access), deadline_(deadline) {}
  virtual ~SqliteOperation() = default;

  static Time DeadlineAfter(absl::Duration timeout) {
    return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  }

  uint64_t id() const { return id_; }
  SqliteDatabase::Access access() const { return access_; }
  Time deadline() const { return deadline_; }

  // Exactly one of the two succeeds: the worker begins the operation, or the shard gives it up
  // before that, and then it never runs.
  bool TryStart() { return Leave(State::kStarted); }
  bool TryAbandon() { return Leave(State::kAbandoned); }

  // Keeps the answer; gives the error when the storage failed (see IsAnswer).
  virtual absl::Status Run(SqliteTree* tree) = 0;
  // Replaces the answer.
  virtual void Fail(const absl::Status& status) = 0;
  // Hands the answer to the waiting task.
  virtual void Deliver() = 0;
  // Tells the waiting task that the answer will not come, and whether the operation may still run.
  virtual void GiveUp(ErrorCode code, std::string_view why) = 0;

 private:
  enum class State { kQueued, kStarted, kAbandoned };
  bool Leave(State to) {
    State expected = State::kQueued;
    return state_.compare_exchange_strong(expected, to);
  }

  const uint64_t id_;
  const SqliteDatabase::Access access_;
  const Time deadline_;
  std::atomic<State> state_ = State::kQueued;
};

enum class SqliteWatchKind { kNode, kChildren };

// What happened on the worker, in order; delivered on the shard in one job.
struct SqliteNews {
  std::vector<std::shared_ptr<SqliteOperation>> finished;
  std::vector<uint64_t> fired_watches;
  bool session_replaced = false;  // ours was lost; a new one is there
};

class SqliteWorker {
 public:
  using NewsCallback = absl::AnyInvocable<void(SqliteNews)>;
  using DoneCallback = absl::AnyInvocable<void(absl::Status)>;

  // `executor` outlives the worker. Callbacks come on it and stop with the destructor.
  SqliteWorker(Executor* executor, SqliteStoreOptions options, NewsCallback on_news);
  SqliteWorker(const SqliteWorker&) = delete;
  SqliteWorker& operator=(const SqliteWorker&) = delete;
  // Stops the thread without ending the session: whoever sees the file next sweeps it. Waits for an
  // SQLite call in progress.
  ~SqliteWorker();

  // Starts the thread, opens the file and begins the session. Call once.
  void Open(DoneCallback opened);
  // Ends the session and closes the file. Operations that are queued are dropped.
  void Close(DoneCallback closed);

  void Enqueue(std::shared_ptr<SqliteOperation> operation);
  // The watch fires once when it is armed and then at each change.
  void Arm(uint64_t watch, SqliteWatchKind kind, std::string path);
  void Disarm(uint64_t watch);

 private:
  using Clock = std::chrono::steady_clock;

  struct WatchState {
    SqliteWatchKind kind;
    std::string path;
    bool armed = false;
    SqliteFingerprint last;
  };
  // A request to arm (with a path) or to disarm.
  struct WatchChange {
    uint64_t id;
    bool arm;
    WatchState state;
  };

  // Shared with jobs that are on their way to the shard; used there only.
  struct Receiver {
    bool stopped = false;
    NewsCallback on_news;
  };

  enum class Phase {
    kRunning,
    kClosing,    // finish the transaction, end the session
    kAbandoned,  // leave at once
  };

  void Stop(Phase phase);
  void ThreadMain();
  absl::Status OpenFile();
  // Waits for work until the next poll; false: stop.
  bool WaitForWork();
  void RunBatch();
  // Runs what is left of batch_ in one transaction. kMetadataUnavailable with nothing run when the
  // write lock was not to be had in time.
  absl::Status TryTransaction();
  // Gives up the operations of batch_ that are past their deadline.
  void FailExpired(const absl::Status& status);
  absl::Status BeginUntil(SqliteDatabase::Access access, Clock::time_point deadline);
  void ApplyWatchChanges();
  // Compares the watches if anybody may have committed since the last time.
  void CheckWatches();
  void CheckSessions();
  void EndSession();
  void PostNews();
  void PostDone(DoneCallback done, absl::Status status);
  bool KeepWaitingForLock() const;

  Executor* const executor_;
  const SqliteStoreOptions options_;
  const std::shared_ptr<Receiver> receiver_;
  std::thread thread_;

  real::Mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::shared_ptr<SqliteOperation>> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<WatchChange> watch_changes_ ABSL_GUARDED_BY(mutex_);
  DoneCallback closed_ ABSL_GUARDED_BY(mutex_);
  // Changed under mutex_; the busy handler reads it without.
  std::atomic<Phase> phase_ = Phase::kRunning;

  // The thread's own.
  DoneCallback opened_;
  std::unique_ptr<SqliteDatabase> database_;
  std::unique_ptr<SqliteTree> tree_;
  std::vector<std::shared_ptr<SqliteOperation>> batch_;
  std::vector<WatchChange> batch_watch_changes_;
  absl::btree_map<uint64_t, WatchState> watches_;
  int64_t seen_data_version_ = -1;
  bool must_compare_ = false;  // we committed, or a watch could not be read
  bool ending_ = false;        // the last transaction; waits for the lock although we are closing
  Clock::time_point lock_deadline_;
  Clock::time_point next_poll_;
  Clock::time_point next_sweep_;
  SqliteNews news_;
};

}  // namespace stele::metadata
