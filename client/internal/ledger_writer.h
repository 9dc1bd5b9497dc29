// LedgerWriter: the writing side of one ledger. It sends what AppendWindow queues, does what the
// window decides, and owns the two long stories around it: the ensemble change and the close.
//
// On the client's shard. Source: docs/PROTOCOL.md "Append", "Ensemble change", "Close".
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/internal/append_window.h"
#include "client/internal/bookie_client.h"
#include "client/internal/client_context.h"
#include "client/internal/ledger_cell.h"
#include "client/internal/ledger_keys.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "metadata/ledger_metadata.h"

namespace stele::client {

// Numbers that any thread may read while the shard writes them.
struct WriterProgress {
  std::atomic<int64_t> last_add_pushed{-1};
  std::atomic<int64_t> last_add_confirmed{-1};
  std::atomic<int64_t> length_bytes{0};
  std::atomic<bool> is_closed{false};
};

class LedgerWriter : private AddSink {
 public:
  struct Mode {
    AppendWindow::Ids ids = AppendWindow::Ids::kAssigned;
    AppendWindow::Durability durability = AppendWindow::Durability::kOnAck;
  };

  // A ledger that was just created and has no entry. `context` outlives this object, or Detach is
  // called first.
  LedgerWriter(ClientContext* context, std::shared_ptr<LedgerCell> cell,
               std::shared_ptr<const LedgerKeys> keys, Mode mode);
  // Abandons: appends in flight are neither answered nor taken back, the ledger stays open.
  ~LedgerWriter() override;

  LedgerId id() const { return cell_->id(); }
  const std::shared_ptr<LedgerCell>& cell() const { return cell_; }
  const std::shared_ptr<const LedgerKeys>& keys() const { return keys_; }
  const WriterProgress& progress() const { return progress_; }
  EntryId acknowledged_head() const { return window_.acknowledged_head(); }

  // Takes the next place in the queue. `done` is called once, never from within this call.
  void Append(Buffer payload, AppendDone done);
  // For AppendWindow::Ids::kGivenByCaller.
  void AppendAt(EntryId entry, Buffer payload, AppendDone done);

  // Deferred durability: completes when all of the ensemble has made everything durable that was
  // acknowledged when it was called.
  static Task<absl::Status> Force(std::shared_ptr<LedgerWriter> self);

  // Ends the ledger behind the last acknowledged entry; pending appends fail. All calls get the
  // result of the first.
  static Task<absl::Status> Close(std::shared_ptr<LedgerWriter> self);

  // The client is closing: everything fails with kStopped, the ledger stays open.
  void Stop();
  // The client is going: drops everything without a word and uses `context` no more.
  void Detach();

 private:
  void OnAddReply(const AddTag& tag, ErrorCode code) override;
  void OnRoom() override { SendUnsent(); }

  // Why an append is refused; ok when it is not.
  absl::Status CheckWritable(AppendWindow::Ids ids, size_t size_bytes) const;
  // Sends what was pushed, or refuses.
  void Enqueue(const absl::StatusOr<QueuedAppend*>& pushed, AppendDone done);
  void RefuseLater(absl::Status why, AppendDone done);
  // A bookie of the write set that has no room, or null.
  Bookie* FullBookie(const quorum::WriteSet& write_set) const;
  void SendUnsent();
  void SendFirst(QueuedAppend* append);
  OutgoingAdd Encode(const QueuedAppend& append) const;
  void SendTo(const OutgoingAdd& add, BookieIndex index);
  void Deliver();
  void Publish();
  Task<void> WatchQuorumTimeout();
  Task<void> SpreadLac();

  // The ensemble change: ledger_writer_change.cc.
  void StartChange();
  Task<void> ChangeEnsemble();
  Task<void> PaceChanges();
  Task<absl::Status> WriteChange(std::vector<BookieIndex> failed);
  void FinishChange();

  // The end: ledger_writer_close.cc.
  // No append is accepted any more, and those that are pending fail with `why`.
  void FailHandle(const absl::Status& why);
  void EndAppends(const absl::Status& why);
  void StartClose();
  Task<void> RunClose();
  Task<absl::Status> Seal();
  Task<absl::Status> ForceTo(EntryId target);

  ClientContext* const context_;
  const std::shared_ptr<LedgerCell> cell_;
  const std::shared_ptr<const LedgerKeys> keys_;
  const Mode mode_;
  AppendWindow window_;
  metadata::Ensemble ensemble_;   // where the window's positions point to
  std::vector<Bookie*> bookies_;  // the same
  std::deque<EntryId> unsent_;    // wait for room, in the order of sending
  int64_t changes_ = 0;
  MonotonicTime last_change_ = MonotonicTime::FromNanoseconds(0);
  absl::Duration change_pause_;

  bool is_detached_ = false;
  bool is_closing_ = false;
  absl::Status refusal_;  // of appends; ok while the handle is open
  absl::Status failure_;  // why the handle failed; ok when it did not
  std::optional<absl::Status> close_result_;
  Notification closed_;

  WriterProgress progress_;
  std::unique_ptr<TaskScope> tasks_;
};

}  // namespace stele::client
