#include "bookie/server/durable_log.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

void Answer(PendingAdd add, wire::ReplyCode code) {
  add.sink->ReplyToAdd(add.header, code, add.ledger, add.entry, add.body_size);
}

}  // namespace

DurableLog::DurableLog(Executor* executor, absl::AnyInvocable<void()> on_room,
                       absl::AnyInvocable<void(bool)> on_disk_full,
                       absl::AnyInvocable<void(absl::Status)> on_failed)
    : executor_(executor),
      on_room_(std::move(on_room)),
      on_disk_full_(std::move(on_disk_full)),
      on_failed_(std::move(on_failed)) {}

Task<absl::Status> DurableLog::Open(Env env, JournalOptions options) {
  STELE_CHECK(journal_ == nullptr);
  STELE_CO_TRY(journal_, co_await OpenJournal(env, std::move(options), this));
  co_return absl::OkStatus();
}

uint64_t DurableLog::Append(Buffer record) {
  appended_ = journal_->Append(std::move(record));
  return appended_;
}

void DurableLog::AckWhenDurable(PendingAdd add) {
  if (!failure_.ok()) return Answer(std::move(add), wire::ReplyCode::kIoError);
  if (IsDurable(appended_)) return Answer(std::move(add), wire::ReplyCode::kOk);
  acks_.push_back({appended_, std::move(add)});
}

Completion<absl::Status> DurableLog::WhenDurable(uint64_t sequence) {
  Completion<absl::Status> done(executor_);
  if (IsDurable(sequence)) {
    done.GetCompleter().Set(absl::OkStatus());
  } else if (!failure_.ok()) {
    done.GetCompleter().Set(failure_);
  } else {
    waiters_.push_back({sequence, done.GetCompleter()});
  }
  return done;
}

void DurableLog::OnDurable(uint64_t sequence) {
  STELE_CHECK_OP(sequence, >=, durable_);
  durable_ = sequence;
  while (!acks_.empty() && IsDurable(acks_.front().sequence)) {
    PendingAdd add = std::move(acks_.front().add);
    acks_.pop_front();
    Answer(std::move(add), wire::ReplyCode::kOk);
  }
  for (size_t left = waiters_.size(); left > 0; --left) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    if (IsDurable(waiter.sequence)) {
      waiter.completer.Set(absl::OkStatus());
    } else {
      waiters_.push_back(std::move(waiter));
    }
  }
}

void DurableLog::OnRoom() { on_room_(); }

void DurableLog::OnDiskFull(bool is_full) { on_disk_full_(is_full); }

void DurableLog::OnFailed(absl::Status why) {
  failure_ = why;
  for (Ack& ack : std::exchange(acks_, {})) Answer(std::move(ack.add), wire::ReplyCode::kIoError);
  for (Waiter& waiter : std::exchange(waiters_, {})) waiter.completer.Set(why);
  on_failed_(std::move(why));
}

}  // namespace stele::bookie
