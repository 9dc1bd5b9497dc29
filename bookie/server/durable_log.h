// DurableLog: a journal and what waits for it. It turns the journal's "durable up to sequence n"
// into the acknowledgements and wake-ups that depend on it, in order.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "bookie/journal/journal.h"
#include "bookie/server/reply_sink.h"
#include "common/async/completion.h"
#include "common/base/buffer.h"
#include "common/seams/env.h"

namespace stele::bookie {

// One acknowledgement that waits for the disk.
struct PendingAdd {
  ReplySinkPtr sink;
  wire::RequestHeader header;
  LedgerId ledger;
  EntryId entry;
  size_t body_size = 0;
};

class DurableLog : public JournalListener {
 public:
  // on_room: the journal takes more again. on_disk_full: it could not prepare its next file, or now
  // it can. on_failed: it is poisoned; the bookie must stop.
  DurableLog(Executor* executor, absl::AnyInvocable<void()> on_room,
             absl::AnyInvocable<void(bool)> on_disk_full,
             absl::AnyInvocable<void(absl::Status)> on_failed);

  // Opens the journal behind this log; call once, after replay.
  Task<absl::Status> Open(Env env, JournalOptions options);

  // Appends one record and gives its sequence.
  uint64_t Append(Buffer record);

  // Acknowledges `add` when everything appended so far is durable.
  void AckWhenDurable(PendingAdd add);

  // Completes when the record with this sequence is durable, or with the journal's failure.
  Completion<absl::Status> WhenDurable(uint64_t sequence);
  Completion<absl::Status> WhenAllDurable() { return WhenDurable(appended_); }

  bool IsDurable(uint64_t sequence) const { return sequence <= durable_; }
  bool IsAllDurable() const { return IsDurable(appended_); }
  bool has_room() const { return journal_->has_room(); }
  Journal* journal() { return journal_.get(); }

 private:
  void OnDurable(uint64_t sequence) override;
  void OnRoom() override;
  void OnFailed(absl::Status why) override;
  void OnDiskFull(bool is_full) override;

  struct Ack {
    uint64_t sequence;
    PendingAdd add;
  };
  struct Waiter {
    uint64_t sequence;
    Completer<absl::Status> completer;
  };

  Executor* executor_;
  absl::AnyInvocable<void()> on_room_;
  absl::AnyInvocable<void(bool)> on_disk_full_;
  absl::AnyInvocable<void(absl::Status)> on_failed_;
  uint64_t appended_ = 0;
  uint64_t durable_ = 0;
  absl::Status failure_;
  std::deque<Ack> acks_;        // sequences ascend
  std::deque<Waiter> waiters_;  // few; sequences need not ascend
  std::unique_ptr<Journal> journal_;
};

}  // namespace stele::bookie
