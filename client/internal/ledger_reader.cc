#include "client/internal/ledger_reader.h"

#include <algorithm>
#include <utility>

#include "client/internal/lac_read.h"
#include "client/internal/read_batch.h"
#include "client/internal/recovery_rules.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/observe/log.h"
#include "common/seams/clock.h"
#include "metadata/ledger_watch.h"

namespace stele::client {
namespace {

// Entries that a tail fetches at a time when it is behind.
constexpr int64_t kTailBatchCount = 64;

absl::Status CheckRange(EntryId first, EntryId last) {
  if (first.IsNone() || last < first) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("entries ", first.value(), " to ", last.value(), " are no range"));
  }
  return absl::OkStatus();
}

absl::Status AboveLac(LedgerId ledger, EntryId entry, EntryId lac) {
  return MakeError(ErrorCode::kReadFailed,
                   StrCat("ledger ", ledger.value(), ": entry ", entry.value(),
                          " is above the last add confirmed, ", lac.value()));
}

}  // namespace

LedgerReader::LedgerReader(ReadSource source, EntryId last_add_confirmed)
    : source_(std::move(source)),
      changed_(source_.context->env.executor),
      tasks_(std::make_unique<TaskScope>(source_.context->env.executor)) {
  Raise(last_add_confirmed);
  OnMetadata();
}

void LedgerReader::Raise(EntryId lac) {
  if (is_closed() || lac <= last_add_confirmed()) return;
  progress_.last_add_confirmed.store(lac.value(), std::memory_order_release);
  changed_.NotifyAll();
}

void LedgerReader::OnMetadata() {
  const metadata::LedgerMetadata& now = source_.cell->value();
  if (now.IsClosed() && !is_closed()) {
    // The end is what the metadata says, also when something higher was heard before.
    progress_.last_add_confirmed.store(now.last_entry().value(), std::memory_order_release);
    progress_.length_bytes.store(now.length_bytes(), std::memory_order_relaxed);
    progress_.is_closed.store(true, std::memory_order_release);
  }
  changed_.NotifyAll();
}

void LedgerReader::Follow() {
  if (!is_closed()) tasks_->Spawn(FollowMetadata());
}

Task<void> LedgerReader::FollowMetadata() {
  absl::StatusOr<std::unique_ptr<metadata::LedgerWatch>> watch =
      source_.context->ledgers->Watch(id());
  if (!watch.ok()) co_return;
  while (!is_closed()) {
    auto seen = co_await (*watch)->Next();
    if (CodeOf(seen.status()) == ErrorCode::kStopped) co_return;
    if (!seen.ok()) continue;
    if (!seen->has_value()) {
      progress_.is_deleted.store(true, std::memory_order_relaxed);
      changed_.NotifyAll();
      co_return;
    }
    source_.cell->Take(**std::move(seen));
    OnMetadata();
  }
}

void LedgerReader::Stop() {
  is_stopped_ = true;
  tasks_.reset();
  changed_.NotifyAll();
}

Task<absl::StatusOr<std::vector<Entry>>> LedgerReader::Read(std::shared_ptr<LedgerReader> self,
                                                            EntryId first, EntryId last) {
  STELE_CO_TRY_OK(CheckRange(first, last));
  if (last > self->last_add_confirmed()) {
    co_return AboveLac(self->id(), last, self->last_add_confirmed());
  }
  absl::StatusOr<std::vector<Entry>> entries = co_await ReadEntries(self->source_, first, last);
  if (IsNegative(CodeOf(entries.status())) && self->source_.context->options.log != nullptr &&
      !self->progress_.is_deleted) {
    self->source_.context->options.log->Write(
        observe::LogLevel::kError, "no replica has a confirmed entry",
        {{"ledger", self->id().value()}, {"error", entries.status().ToString()}});
  }
  co_return entries;
}

Task<absl::StatusOr<std::vector<Entry>>> LedgerReader::ReadUnconfirmed(
    std::shared_ptr<LedgerReader> self, EntryId first, EntryId last) {
  STELE_CO_TRY_OK(CheckRange(first, last));
  co_return co_await ReadEntries(self->source_, first, last);
}

Task<absl::StatusOr<std::vector<Entry>>> LedgerReader::ReadBatch(std::shared_ptr<LedgerReader> self,
                                                                 EntryId first, int32_t count_max,
                                                                 int64_t size_max_bytes) {
  STELE_CO_TRY_OK(CheckRange(first, first));
  const EntryId lac = self->last_add_confirmed();
  if (first > lac) co_return AboveLac(self->id(), first, lac);
  const int64_t available = Distance(first, lac);
  const int64_t count = count_max <= 0 ? std::min<int64_t>(available, INT32_MAX)
                                       : std::min<int64_t>(available, count_max);
  const auto frame_size_max =
      static_cast<int64_t>(self->source_.context->options.frame_size_max_bytes);
  if (size_max_bytes <= 0 || size_max_bytes > frame_size_max) size_max_bytes = frame_size_max;
  if (self->cell()->value().replication().HoldsAllEverywhere()) {
    absl::StatusOr<std::vector<Entry>> batch =
        co_await ReadEntryBatch(self->source_, first, static_cast<int32_t>(count), size_max_bytes);
    if (batch.ok() || CodeOf(batch.status()) == ErrorCode::kStopped) co_return batch;
  }
  // An older bookie has no batches, and a striped ledger none that one bookie could give.
  const int64_t single_count = std::min(count, kTailBatchCount);
  STELE_CO_TRY(
      std::vector<Entry> entries,
      co_await ReadOneByOne(self->source_, first, EntryId(first.value() + single_count - 1)));
  int64_t size_bytes = 0;
  size_t fitting = 0;
  for (const Entry& entry : entries) {
    size_bytes += static_cast<int64_t>(entry.payload.size());
    if (fitting > 0 && size_bytes > size_max_bytes) break;
    ++fitting;
  }
  entries.resize(fitting);
  co_return entries;
}

Task<absl::StatusOr<EntryId>> LedgerReader::ReadLastAddConfirmed(
    std::shared_ptr<LedgerReader> self) {
  if (self->is_closed()) co_return self->last_add_confirmed();
  STELE_CO_TRY(const LacReadResult result,
               co_await ReadLac(self->source_.context, self->id(), self->cell()->snapshot(),
                                self->source_.keys, LacQuorum::Kind::kPlain));
  self->Raise(result.last_add_confirmed);
  co_return self->last_add_confirmed();
}

Task<absl::StatusOr<LongPollResult>> LedgerReader::ReadNext(std::shared_ptr<LedgerReader> self,
                                                            EntryId entry, absl::Duration timeout) {
  STELE_CO_TRY_OK(CheckRange(entry, entry));
  LongPollResult result;
  if (entry <= self->last_add_confirmed()) {
    STELE_CO_TRY(std::vector<Entry> entries, co_await ReadEntries(self->source_, entry, entry));
    result.entry = std::move(entries.front());
  } else if (!self->is_closed()) {
    STELE_CO_TRY(result, co_await LongPoll(self->source_, entry, timeout));
    self->Raise(result.last_add_confirmed);
  }
  result.last_add_confirmed = self->last_add_confirmed();
  // The ledger may have been closed below it meanwhile.
  if (result.last_add_confirmed < entry) result.entry.reset();
  co_return result;
}

Task<void> LedgerReader::PollOnce(EntryId entry, std::shared_ptr<Poll> poll) {
  absl::StatusOr<LongPollResult> polled =
      co_await LongPoll(source_, entry, source_.context->options.long_poll_timeout);
  if (polled.ok()) {
    Raise(polled->last_add_confirmed);
    *poll = std::move(polled->entry);
  } else {
    *poll = polled.status();
  }
  changed_.NotifyAll();
}

Task<absl::StatusOr<std::vector<Entry>>> LedgerReader::WaitAndRead(
    std::shared_ptr<LedgerReader> self, EntryId first) {
  STELE_CO_TRY_OK(CheckRange(first, first));
  std::shared_ptr<Poll> poll;
  for (;;) {
    if (self->is_stopped_) co_return MakeError(ErrorCode::kStopped, "the client was closed");
    const EntryId lac = self->last_add_confirmed();
    if (first <= lac) {
      if (poll != nullptr && poll->has_value() && (*poll)->ok() && (**poll)->has_value()) {
        co_return std::vector<Entry>{***std::move(*poll)};
      }
      const EntryId last(std::min(lac.value(), first.value() + kTailBatchCount - 1));
      co_return co_await Read(self, first, last);
    }
    if (self->is_closed()) co_return std::vector<Entry>();
    if (self->progress_.is_deleted) {
      co_return MakeError(ErrorCode::kNoSuchLedgerMetadata,
                          StrCat("ledger ", self->id().value(), " was deleted"));
    }
    if (poll != nullptr && poll->has_value()) {
      STELE_CO_TRY_OK((*poll)->status());
      poll = nullptr;
    }
    if (poll == nullptr) {
      poll = std::make_shared<Poll>();
      self->tasks_->Spawn(self->PollOnce(first, poll));
    } else {
      co_await self->changed_.Wait();
    }
  }
}

}  // namespace stele::client
