// ReadService: what is asked of a ledger on this bookie: entries, the last add confirmed, waits for
// it, lists.
//
// A fencing read fences first and answers, whatever the answer, only when the fence is durable:
// clients count also "no such entry" as a vote. All calls are on the owner shard; answers may come
// in any order. Source: docs/PROTOCOL.md "Reading", "Long poll".
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "bookie/server/reply_sink.h"
#include "bookie/server/write_service.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/completion.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/seams/env.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

struct ReadLimits {
  size_t batch_size_max_bytes = 5 * 1024 * 1024;  // maxBatchReadSize
  int64_t long_polls_max = 50'000;                // more: kTooManyRequests
  absl::Duration long_poll_max = absl::Hours(1);  // a longer timeout is cut to this
};

class ReadService {
 public:
  // All pointers outlive the service. It becomes the storage's LAC listener.
  ReadService(Env env, LedgerStorage* storage, WriteService* writes, ReadLimits limits);
  ~ReadService();

  void Read(ReplySinkPtr sink, wire::RequestHeader header, wire::ReadRequest request);
  void BatchRead(ReplySinkPtr sink, wire::RequestHeader header, wire::BatchReadRequest request);
  void ReadLac(ReplySinkPtr sink, wire::RequestHeader header, wire::ReadLacRequest request);
  void ListEntries(ReplySinkPtr sink, wire::RequestHeader header, wire::ListEntriesRequest request);

  // The peer of this sink is gone: its long polls end.
  void OnSinkClosed(const ReplySink* sink);

 private:
  // One waiting long poll; it is woken by the ledger, its timer or its peer's end, whichever comes
  // first.
  struct Waiter {
    const ReplySink* sink;
    Completer<bool> wake;
  };

  Task<void> RunRead(ReplySinkPtr sink, wire::RequestHeader header, wire::ReadRequest request);
  Task<void> RunLongPoll(ReplySinkPtr sink, wire::RequestHeader header, wire::ReadRequest request);
  Task<void> RunBatchRead(ReplySinkPtr sink, wire::RequestHeader header,
                          wire::BatchReadRequest request);
  Task<void> RunReadLac(ReplySinkPtr sink, wire::RequestHeader header, LedgerId ledger);
  Task<void> RunListEntries(ReplySinkPtr sink, wire::RequestHeader header, LedgerId ledger);
  Task<absl::StatusOr<Buffer>> ReadEntry(LedgerId ledger, EntryId entry);
  // True: something happened to the ledger before `deadline`.
  Task<bool> WaitForChange(const ReplySink* sink, LedgerId ledger, MonotonicTime deadline);
  void OnLedgerChanged(LedgerId ledger);
  bool IsFenced(LedgerId ledger);

  Env env_;
  LedgerStorage* storage_;
  WriteService* writes_;
  ReadLimits limits_;
  absl::flat_hash_map<LedgerId, std::list<Waiter>> waiters_;
  int64_t long_polls_ = 0;
  TaskScope scope_;  // last: its tasks use what is above
};

}  // namespace stele::bookie
