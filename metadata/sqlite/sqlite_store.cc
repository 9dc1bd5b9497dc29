#include "metadata/sqlite/sqlite_store.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "common/async/completion.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/drivers/node_path.h"
#include "metadata/drivers/subscriptions.h"
#include "metadata/sqlite/sqlite_worker.h"

namespace stele::metadata {
namespace {

// An operation whose answer is a T: absl::Status or a StatusOr.
template <typename T>
class TypedOperation : public SqliteOperation {
 public:
  using Body = absl::AnyInvocable<T(SqliteTree*)>;

  TypedOperation(uint64_t id, SqliteDatabase::Access access, Time deadline, Body body,
                 Completer<T> done)
      : SqliteOperation(id, access, deadline), body_(std::move(body)), done_(std::move(done)) {}

  absl::Status Run(SqliteTree* tree) override {
    answer_.emplace(body_(tree));
    const absl::Status status = StatusOf(*answer_);
    return IsAnswer(status) ? absl::OkStatus() : status;
  }
  void Fail(const absl::Status& status) override { answer_.emplace(status); }
  void Deliver() override {
    // No answer: the operation was abandoned, and whoever waited has been told.
    if (answer_.has_value()) done_.Set(*std::move(answer_));
  }
  void GiveUp(ErrorCode code, std::string_view why) override {
    const bool never_ran = TryAbandon() || access() == SqliteDatabase::Access::kRead;
    done_.Set(MakeError(code, never_ran ? Effect::kNone : Effect::kUnknown, why));
  }

 private:
  static absl::Status StatusOf(const absl::Status& status) { return status; }
  template <typename U>
  static absl::Status StatusOf(const absl::StatusOr<U>& answer) {
    return answer.status();
  }

  Body body_;
  std::optional<T> answer_;
  Completer<T> done_;
};

class SqliteStore : public MetadataStore {
 public:
  SqliteStore(SqliteStoreOptions options, Executor* executor, Clock* clock)
      : options_(options),
        executor_(executor),
        clock_(clock),
        watches_(std::make_shared<Subscriptions<>>([this](uint64_t id) { worker_.Disarm(id); })),
        session_watches_(std::make_shared<Subscriptions<SessionState>>(nullptr)),
        worker_(executor, std::move(options),
                [this](SqliteNews news) { OnNews(std::move(news)); }) {}

  ~SqliteStore() override {
    watches_->Detach();
    session_watches_->Detach();
  }

  Task<absl::Status> Open() {
    Completion<absl::Status> opened(executor_);
    worker_.Open([completer = opened.GetCompleter()](absl::Status status) mutable {
      completer.Set(std::move(status));
    });
    co_return co_await opened;
  }

  Task<absl::StatusOr<Node>> Get(std::string path) override {
    STELE_CO_TRY_OK(CheckNodePath(path));
    co_return co_await Submit<absl::StatusOr<Node>>(
        SqliteDatabase::Access::kRead,
        [path = std::move(path)](SqliteTree* tree) { return tree->Get(path); });
  }

  Task<absl::Status> Create(std::string path, std::string value, NodeKind kind) override {
    STELE_CO_TRY_OK(CheckNodePath(path));
    STELE_CO_TRY_OK(CheckNodeValue(path, value));
    co_return co_await Submit<absl::Status>(
        SqliteDatabase::Access::kWrite,
        [path = std::move(path), value = std::move(value), kind](SqliteTree* tree) {
          return tree->Create(path, value, kind);
        });
  }

  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     NodeKind kind) override {
    STELE_CO_TRY_OK(CheckSequentialPrefix(path_prefix));
    STELE_CO_TRY_OK(CheckNodeValue(path_prefix, value));
    co_return co_await Submit<absl::StatusOr<std::string>>(
        SqliteDatabase::Access::kWrite,
        [prefix = std::move(path_prefix), value = std::move(value), kind](SqliteTree* tree) {
          return tree->CreateSequential(prefix, value, kind);
        });
  }

  Task<absl::StatusOr<Version>> Put(std::string path, std::string value,
                                    Version expected) override {
    STELE_CO_TRY_OK(CheckNodePath(path));
    STELE_CO_TRY_OK(CheckNodeValue(path, value));
    co_return co_await Submit<absl::StatusOr<Version>>(
        SqliteDatabase::Access::kWrite,
        [path = std::move(path), value = std::move(value), expected](SqliteTree* tree) {
          return tree->Put(path, value, expected);
        });
  }

  Task<absl::Status> Delete(std::string path, Version expected) override {
    STELE_CO_TRY_OK(CheckNodePath(path));
    co_return co_await Submit<absl::Status>(SqliteDatabase::Access::kWrite,
                                            [path = std::move(path), expected](SqliteTree* tree) {
                                              return tree->Delete(path, expected);
                                            });
  }

  Task<absl::Status> DeleteTogether(std::vector<Deletion> nodes) override {
    for (const Deletion& node : nodes) STELE_CO_TRY_OK(CheckNodePath(node.path));
    co_return co_await Submit<absl::Status>(
        SqliteDatabase::Access::kWrite,
        [nodes = std::move(nodes)](SqliteTree* tree) { return tree->DeleteTogether(nodes); });
  }

  Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) override {
    STELE_CO_TRY_OK(CheckNodePath(path));
    co_return co_await Submit<absl::StatusOr<std::vector<std::string>>>(
        SqliteDatabase::Access::kRead,
        [path = std::move(path)](SqliteTree* tree) { return tree->Children(path); });
  }

  std::unique_ptr<Watch> WatchNode(std::string path, WatchCallback changed) override {
    return AddWatch(SqliteWatchKind::kNode, std::move(path), std::move(changed));
  }

  std::unique_ptr<Watch> WatchChildren(std::string path, WatchCallback changed) override {
    return AddWatch(SqliteWatchKind::kChildren, std::move(path), std::move(changed));
  }

  std::unique_ptr<Watch> WatchSession(SessionCallback changed) override {
    return session_watches_->Add(std::move(changed)).watch;
  }

  Task<void> Close() override {
    if (closing_) co_return;
    closing_ = true;
    for (auto& [id, operation] : in_flight_) {
      operation->GiveUp(ErrorCode::kStopped, "the metadata store is closing");
    }
    Completion<bool> closed(executor_);
    worker_.Close(
        [completer = closed.GetCompleter()](absl::Status) mutable { completer.Set(true); });
    co_await closed;
  }

 private:
  // Runs `body` on the worker and gives its answer.
  template <typename T>
  Task<T> Submit(SqliteDatabase::Access access, typename TypedOperation<T>::Body body) {
    if (closing_) co_return MakeError(ErrorCode::kStopped, "the metadata store is closing");
    if (in_flight_.size() >= options_.operations_in_flight_max) {
      co_return MakeError(ErrorCode::kOverloaded, "too many metadata operations are waiting");
    }
    Completion<T> done(executor_);
    const auto operation = std::make_shared<TypedOperation<T>>(
        ++last_operation_, access, SqliteOperation::DeadlineAfter(options_.operation_timeout),
        std::move(body), done.GetCompleter());
    in_flight_.emplace(operation->id(), operation);
    // The worker watches the deadline too, but may itself hang in a disk that does not answer.
    const std::unique_ptr<Timer> timer =
        clock_->CallAt(clock_->Now() + options_.operation_timeout, [operation] {
          operation->GiveUp(ErrorCode::kMetadataUnavailable, "the metadata file is locked or slow");
        });
    worker_.Enqueue(operation);
    co_return co_await done;
  }

  std::unique_ptr<Watch> AddWatch(SqliteWatchKind kind, std::string path, WatchCallback changed) {
    Subscriptions<>::Added added = watches_->Add(std::move(changed));
    worker_.Arm(added.id, kind, std::move(path));
    return std::move(added.watch);
  }

  void OnNews(SqliteNews news) {
    for (const std::shared_ptr<SqliteOperation>& operation : news.finished) {
      operation->Deliver();
      in_flight_.erase(operation->id());
    }
    // A callback may destroy the store.
    const auto watches = watches_;
    const auto session_watches = session_watches_;
    if (news.session_replaced) {
      session_watches->NotifyAll(SessionState::kExpired);
      session_watches->NotifyAll(SessionState::kConnected);
    }
    for (const uint64_t id : news.fired_watches) watches->Notify(id);
  }

  const SqliteStoreOptions options_;
  Executor* const executor_;
  Clock* const clock_;
  bool closing_ = false;
  uint64_t last_operation_ = 0;
  // Also those whose task was told of a failure: until the worker is through with them.
  absl::btree_map<uint64_t, std::shared_ptr<SqliteOperation>> in_flight_;
  const std::shared_ptr<Subscriptions<>> watches_;
  const std::shared_ptr<Subscriptions<SessionState>> session_watches_;
  // Last: its thread ends before what its callbacks use.
  SqliteWorker worker_;
};

Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> OpenStore(std::unique_ptr<SqliteStore> store) {
  STELE_CO_TRY_OK(co_await store->Open());
  co_return std::unique_ptr<MetadataStore>(std::move(store));
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> OpenSqliteStore(SqliteStoreOptions options,
                                                                     Executor* executor,
                                                                     Clock* clock) {
  return OpenStore(std::make_unique<SqliteStore>(std::move(options), executor, clock));
}

}  // namespace stele::metadata
