#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/try.h"
#include "integration_tests/rig/roles.h"

namespace stele::rig {
namespace {

using client::WriteHandle;
using history::Operation;
using history::Question;

enum class Kind { kPlain, kCallerIds, kDeferred };

// After a failed create: the cluster is in trouble, and asking again at once would not help it.
constexpr absl::Duration kRetryTime = absl::Milliseconds(200);

size_t DrawLength(RoleContext& context) {
  // Borders of headers, sectors and pages now and then; most are small.
  constexpr size_t kBorders[] = {0, 1, 24, 47, 48, 49, 511, 512, 513, 4095, 4096, 4097};
  const size_t most = context.options.payload_max_bytes;
  if (context.random() % 8 == 0) {
    return std::min(kBorders[context.random() % std::size(kBorders)], most);
  }
  const size_t limit = context.random() % 10 < 7 ? std::min<size_t>(most, 300) : most;
  return context.random() % (limit + 1);
}

// One ledger of one writer.
class LedgerLife {
 public:
  LedgerLife(RoleContext& context, Kind kind)
      : context_(context), kind_(kind), handle_number_(context.history->NextNumber()) {}

  bool Create();
  // Until the draw of entries is appended, something failed, or the writer is told to quit.
  void Append();
  // Waits for everything, then closes or leaves it.
  void End();

 private:
  // Shared with the callbacks, which may outlive this object.
  struct Progress {
    std::mutex mutex;
    std::condition_variable changed;
    int under_way = 0;
    bool has_failed = false;
  };

  Question QuestionOf(Operation operation) const {
    return {.operation = operation, .ledger = writer_->id(), .handle = handle_number_};
  }
  void AppendOne(EntryId id);
  // The ids of the next few entries: in order, or not.
  std::vector<EntryId> NextIds();
  void Force();

  RoleContext& context_;
  const Kind kind_;
  const int64_t handle_number_;
  std::optional<WriteHandle> writer_;
  std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
  int64_t next_entry_ = 0;
  int64_t attempts_ = 0;
};

bool LedgerLife::Create() {
  const RoleOptions& options = context_.options;
  const int64_t call = context_.history->Invoke({.operation = Operation::kCreate,
                                                 .handle = handle_number_,
                                                 .deferred_sync = kind_ == Kind::kDeferred,
                                                 .caller_ids = kind_ == Kind::kCallerIds,
                                                 .replication = options.replication});
  auto builder = context_.client->CreateLedger();
  builder.Replication(options.replication).Password(kPassword).Digest(options.digest);
  if (kind_ == Kind::kCallerIds) builder.CallerAssignsEntryIds();
  if (kind_ == Kind::kDeferred) builder.DeferredSync();
  absl::StatusOr<WriteHandle> made = builder.Create(UseFuture()).get();
  if (!made.ok()) {
    context_.history->Error(call, made.status());
    return false;
  }
  writer_.emplace(*std::move(made));
  context_.history->Ok(call, {.ledger = writer_->id()});
  std::printf("ledger %lld\n", static_cast<long long>(writer_->id().value()));
  std::fflush(stdout);
  return true;
}

void LedgerLife::AppendOne(EntryId id) {
  const history::PayloadId payload_id = {
      .ledger = writer_->id(), .entry = id, .writer = handle_number_, .attempt = attempts_++};
  const size_t length = DrawLength(context_);
  Question question = QuestionOf(Operation::kAppend);
  question.entry = id;
  question.payload = history::TagOf(payload_id, length);
  {
    const std::lock_guard<std::mutex> lock(progress_->mutex);
    ++progress_->under_way;
  }
  const int64_t call = context_.history->Invoke(std::move(question));
  auto done = [call, history = context_.history,
               progress = progress_](absl::StatusOr<EntryId> appended) {
    // A line for each, in the order of the callbacks: the order in which an application hears.
    if (appended.ok()) {
      history->Ok(call, {.entry = *appended});
    } else {
      history->Error(call, appended.status());
    }
    const std::lock_guard<std::mutex> lock(progress->mutex);
    --progress->under_way;
    if (!appended.ok() && CodeOf(appended.status()) != ErrorCode::kDuplicateEntry) {
      progress->has_failed = true;
    }
    progress->changed.notify_all();
  };
  Buffer payload = history::MakePayload(payload_id, length);
  if (kind_ == Kind::kCallerIds) {
    writer_->AppendAt(id, std::move(payload), std::move(done));
  } else {
    writer_->Append(std::move(payload), std::move(done));
  }
}

std::vector<EntryId> LedgerLife::NextIds() {
  std::vector<EntryId> ids;
  const int64_t count = kind_ == Kind::kCallerIds ? 1 + context_.random() % 8 : 1;
  for (int64_t i = 0; i < count; ++i) ids.emplace_back(next_entry_ + i);
  std::shuffle(ids.begin(), ids.end(), context_.random);
  const bool repeats = kind_ == Kind::kCallerIds && context_.random() % 8 == 0;
  if (repeats) ids.push_back(ids[context_.random() % ids.size()]);
  next_entry_ += count;
  return ids;
}

void LedgerLife::Force() {
  const int64_t call = context_.history->Invoke(QuestionOf(Operation::kForce));
  context_.history->End(call, writer_->Force(UseFuture()).get());
}

void LedgerLife::Append() {
  const int64_t entries = 1 + context_.random() % context_.options.entries_max;
  const int window = 1 + context_.random() % context_.options.window_max;
  while (next_entry_ < entries && !context_.orders->is_quitting()) {
    {
      std::unique_lock<std::mutex> lock(progress_->mutex);
      progress_->changed.wait(
          lock, [&] { return progress_->under_way < window || progress_->has_failed; });
      if (progress_->has_failed) return;
    }
    for (const EntryId id : NextIds()) AppendOne(id);
    if (kind_ == Kind::kDeferred && context_.random() % 16 == 0) Force();
    if (context_.options.pause > absl::ZeroDuration()) {
      context_.orders->Sleep(context_.options.pause);
    }
  }
}

void LedgerLife::End() {
  const bool closes = context_.random() % 4 != 0;
  const bool closes_under_way = context_.random() % 4 == 0;
  if (!closes_under_way) {
    std::unique_lock<std::mutex> lock(progress_->mutex);
    progress_->changed.wait(lock, [&] { return progress_->under_way == 0; });
  }
  if (closes) {
    const int64_t call = context_.history->Invoke(QuestionOf(Operation::kClose));
    const absl::Status closed = writer_->Close(UseFuture()).get();
    if (closed.ok()) {
      context_.history->Ok(call, {.last = writer_->last_add_confirmed()});
    } else {
      context_.history->Error(call, closed);
    }
  }
  std::unique_lock<std::mutex> lock(progress_->mutex);
  progress_->changed.wait(lock, [&] { return progress_->under_way == 0; });
}

void RunWriterOf(RoleContext context, Kind kind) {
  while (!context.orders->is_quitting()) {
    LedgerLife life(context, kind);
    if (!life.Create()) {
      context.orders->Sleep(kRetryTime);
      continue;
    }
    life.Append();
    life.End();
  }
}

}  // namespace

void RunWriter(RoleContext context) { RunWriterOf(std::move(context), Kind::kPlain); }

void RunCallerIdWriter(RoleContext context) { RunWriterOf(std::move(context), Kind::kCallerIds); }

void RunDeferredWriter(RoleContext context) { RunWriterOf(std::move(context), Kind::kDeferred); }

}  // namespace stele::rig
