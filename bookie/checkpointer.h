// Checkpointer: moves what the journals protect into entry logs and indexes, then lets the journals
// go.
//
// Order: sample the journals' durable marks, flush the storage, write lastMark to the ledger
// directories, trim. A mark never moves when the flush failed, and never back. One per shard.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "bookie/journal/last_mark.h"
#include "bookie/server/durable_log.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/completion.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"

namespace stele::bookie {

// One journal with the file that says how far it is needed.
struct MarkedLog {
  DurableLog* log;
  LastMark* mark;
};

class Checkpointer {
 public:
  // All pointers outlive it. on_failed: a checkpoint failed; it is tried again soon, and the data
  // stays in the journal meanwhile.
  Checkpointer(Env env, absl::Duration interval, LedgerStorage* storage,
               std::vector<MarkedLog> logs, absl::AnyInvocable<void(absl::Status)> on_failed);

  // Begins the periodic checkpoints. Memory that is full asks for one earlier.
  void Start();
  void Wake() {
    wanted_ = true;
    wake_.NotifyAll();
  }

  // One checkpoint now; trims the journals unless told to keep them (as at shutdown).
  enum class Trim { kYes, kNo };
  Task<absl::Status> Run(Trim trim);

  // Gives the result of the next checkpoint that begins, which is soon. Whoever waits for it may
  // outlive this: destroying it leaves him waiting.
  Completion<absl::Status> Request();

  void Export(observe::MetricsText& into) const { into.OfLatency("bookie_flush", {}, flushes_); }

 private:
  Task<void> Loop();

  Env env_;
  absl::Duration interval_;
  LedgerStorage* storage_;
  std::vector<MarkedLog> logs_;
  absl::AnyInvocable<void(absl::Status)> on_failed_;
  std::vector<JournalMark> written_;  // per journal, by this process
  observe::Latency flushes_;
  std::vector<Completer<absl::Status>> requests_;  // of the next one
  bool running_ = false;
  bool wanted_ = false;
  Notification wake_;
  Notification idle_;
  TaskScope scope_;
};

}  // namespace stele::bookie
