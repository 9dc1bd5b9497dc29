// WriteService: what changes a ledger on this bookie: adds, fences, explicit LACs, and the wait for
// durability.
//
// Order of every change: checks, then ledger storage, then journal, then, when it is durable, the
// answer. The changes of a ledger go through one FIFO, so "the fence is durable" implies "every add
// accepted before it is", and no normal add is accepted after it. All calls are on the owner shard.
// Source: docs/PROTOCOL.md; the checks and their order are Apache's.
#pragma once

#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "bookie/server/durable_log.h"
#include "bookie/server/ledger_turns.h"
#include "bookie/server/reply_sink.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/tombstones.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/wire/bookie_messages.h"
#include "common/wire/digest.h"

namespace stele::bookie {

// Which writes the node takes at the moment; changed by the disk monitor and the operator.
struct WriteAdmission {
  bool read_only = false;
  bool high_priority_allowed =
      true;  // recovery adds while read-only: a reserve of disk space is left
};

// After so many entries that match neither CRC the ledger has a keyed digest or none: no longer
// tried.
inline constexpr int kDigestTriesMax = 16;

class WriteService {
 public:
  // A ledger's records go to one of `logs`, always the same one. All pointers outlive the service.
  // on_overload(true): stop reading sockets; (false): go on.
  WriteService(Executor* executor, LedgerStorage* storage, const Tombstones* tombstones,
               std::vector<DurableLog*> logs, const WriteAdmission* admission,
               absl::AnyInvocable<void(bool)> on_overload);

  void Add(ReplySinkPtr sink, wire::RequestHeader header, wire::AddRequest add);
  void WriteLac(ReplySinkPtr sink, wire::RequestHeader header, wire::WriteLacRequest request);
  void Force(ReplySinkPtr sink, wire::RequestHeader header, wire::ForceLedgerRequest request);

  // Fences the ledger, creating it when it is unknown; completes when the fence and all adds
  // accepted before it are durable. kUnauthorized: wrong key, nothing fenced. kNoSuchLedger: it was
  // deleted.
  Task<absl::Status> Fence(LedgerId ledger, wire::MasterKey key);
  // It was here, and metadata knew it no more.
  bool WasCollected(LedgerId ledger) const { return tombstones_->Contains(ledger); }

  // The ledger has a tombstone, and its data are going.
  void OnDeleted(LedgerId ledger) { extras_.erase(ledger); }

  // A journal or the memtable has room again.
  void OnRoom();

  bool is_overloaded() const { return overloaded_; }
  // Adds that wait for memory.
  size_t stalled() const { return stalled_.size(); }

 private:
  struct StalledAdd {
    ReplySinkPtr sink;
    wire::RequestHeader header;
    wire::AddRequest add;
  };
  // What this process knows of a ledger beyond its storage.
  struct Extra {
    enum class Digest : uint8_t { kUnknown, kCrc32, kCrc32c, kUnchecked };
    Digest digest = Digest::kUnknown;
    uint8_t digest_tries = 0;
    uint64_t fence_sequence =
        0;  // the fence's place in the journal; 0: not journalled by this process
  };

  DurableLog& LogOf(LedgerId ledger);
  const LedgerState* FindReady(LedgerId ledger);
  void InTurn(LedgerId ledger, const wire::MasterKey& key, Turn turn);
  Task<absl::Status> LoadOrCreate(LedgerId ledger, wire::MasterKey key);
  bool KeyFits(const LedgerState& state, const wire::MasterKey& key);
  wire::ReplyCode CheckAdd(const LedgerState& state, const wire::AddRequest& add);
  void AddToLedger(const LedgerState& state, ReplySinkPtr sink, wire::RequestHeader header,
                   wire::AddRequest add);
  Task<absl::Status> AddCompared(ReplySinkPtr sink, wire::RequestHeader header,
                                 wire::AddRequest add);
  void AfterPut(PutResult result, ReplySinkPtr sink, wire::RequestHeader header,
                wire::AddRequest add);
  uint64_t AppendToJournal(LedgerId ledger, Buffer record);
  void FenceInTurn(LedgerId ledger, wire::MasterKey key, Completer<absl::Status> answer);
  Task<void> AnswerFence(LedgerId ledger, uint64_t sequence, Completer<absl::Status> answer);
  void WriteLacInTurn(ReplySinkPtr sink, wire::RequestHeader header, wire::WriteLacRequest request);
  Task<void> ReplyWhenDurable(ReplySinkPtr sink, wire::RequestHeader header, LedgerId ledger,
                              wire::ReplyBody body);
  bool DigestFits(LedgerId ledger, const Buffer& body);
  void UpdateOverload();

  Executor* executor_;
  LedgerStorage* storage_;
  const Tombstones* tombstones_;
  std::vector<DurableLog*> logs_;
  const WriteAdmission* admission_;
  absl::AnyInvocable<void(bool)> on_overload_;
  const wire::Digester crc32c_;
  const wire::Digester crc32_;
  bool overloaded_ = false;
  std::deque<StalledAdd>
      stalled_;  // met a full memtable; bounded by what the sockets had delivered
  absl::flat_hash_map<LedgerId, Extra> extras_;
  LedgerTurns turns_;
  TaskScope scope_;
};

}  // namespace stele::bookie
