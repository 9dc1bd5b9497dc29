#include "bookie/server/write_service.h"

#include <algorithm>
#include <utility>

#include "bookie/journal/journal_format.h"
#include "bookie/server/reply_codes.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/stable_hash.h"
#include "common/base/try.h"
#include "common/wire/entry_packet.h"

namespace stele::bookie {

using wire::ReplyCode;

WriteService::WriteService(Executor* executor, LedgerStorage* storage, const Tombstones* tombstones,
                           std::vector<DurableLog*> logs, const WriteAdmission* admission,
                           absl::AnyInvocable<void(bool)> on_overload)
    : executor_(executor),
      storage_(storage),
      tombstones_(tombstones),
      logs_(std::move(logs)),
      admission_(admission),
      on_overload_(std::move(on_overload)),
      crc32c_(DigestType::kCrc32c),
      crc32_(DigestType::kCrc32),
      turns_(executor),
      scope_(executor) {
  STELE_CHECK(!logs_.empty());
}

DurableLog& WriteService::LogOf(LedgerId ledger) {
  if (logs_.size() == 1) return *logs_.front();
  return *logs_[StableHash(static_cast<uint64_t>(ledger.value())) % logs_.size()];
}

// The resident state of a ledger that no slow request holds; null: go through InTurn.
const LedgerState* WriteService::FindReady(LedgerId ledger) {
  return turns_.IsHeld(ledger) ? nullptr : storage_->FindLoaded(ledger);
}

// Runs `turn` when the ledger is resident (loaded, or created with `key`) and nobody holds it.
void WriteService::InTurn(LedgerId ledger, const wire::MasterKey& key, Turn turn) {
  if (turns_.IsHeld(ledger)) {
    turns_.Enqueue(ledger, std::move(turn));
  } else {
    turns_.Hold(ledger, LoadOrCreate(ledger, key), std::move(turn));
  }
}

Task<absl::Status> WriteService::LoadOrCreate(LedgerId ledger, wire::MasterKey key) {
  if (storage_->FindLoaded(ledger) != nullptr) co_return absl::OkStatus();
  const absl::Status loaded = (co_await storage_->Load(ledger)).status();
  if (loaded.ok()) co_return loaded;
  if (CodeOf(loaded) != ErrorCode::kNoSuchLedger) co_return loaded;
  // Deleted while it was loaded: it must not come back.
  if (tombstones_->Contains(ledger)) co_return loaded;
  storage_->CreateLedger(ledger, key);
  co_return absl::OkStatus();
}

void WriteService::Add(ReplySinkPtr sink, wire::RequestHeader header, wire::AddRequest add) {
  if (!stalled_.empty()) {
    stalled_.push_back({std::move(sink), header, std::move(add)});
    return;
  }
  const LedgerId ledger = add.ledger;
  if (const LedgerState* state = FindReady(ledger); state != nullptr) [[likely]] {
    return AddToLedger(*state, std::move(sink), header, std::move(add));
  }
  if (tombstones_->Contains(ledger)) {
    STELE_SOMETIMES(kTombstoneRefusesAdd, true);
    return sink->ReplyToAdd(header, ReplyCode::kFenced, ledger, add.entry, add.body.size());
  }
  const wire::MasterKey key = add.master_key;
  InTurn(ledger, key,
         [this, sink = std::move(sink), header,
          add = std::move(add)](const absl::Status& ready) mutable {
           if (ready.ok()) return Add(std::move(sink), header, std::move(add));
           sink->ReplyToAdd(header, ReplyCodeOf(ready), add.ledger, add.entry, add.body.size());
         });
}

// The key that a ledger got first is its key. One that is known from a fence alone has none yet.
bool WriteService::KeyFits(const LedgerState& state, const wire::MasterKey& key) {
  if (!state.has_master_key) storage_->SetMasterKey(state.ledger, key);
  return key == state.master_key;
}

ReplyCode WriteService::CheckAdd(const LedgerState& state, const wire::AddRequest& add) {
  if (!KeyFits(state, add.master_key)) return ReplyCode::kUnauthorized;
  if (state.fenced && !add.recovery) return ReplyCode::kFenced;
  if (add.entry.IsNone() || add.entry.value() > kEntryIdMax) return ReplyCode::kBadRequest;
  if (!DigestFits(add.ledger, add.body)) return ReplyCode::kBadRequest;
  return ReplyCode::kOk;
}

void WriteService::AddToLedger(const LedgerState& state, ReplySinkPtr sink,
                               wire::RequestHeader header, wire::AddRequest add) {
  ReplyCode code = ReplyCode::kOk;
  if (admission_->read_only && !(header.high_priority && admission_->high_priority_allowed)) {
    code = ReplyCode::kReadOnly;
  } else {
    code = CheckAdd(state, add);
  }
  if (code != ReplyCode::kOk) {
    STELE_SOMETIMES(kFenceRefusesAdd, code == ReplyCode::kFenced);
    STELE_SOMETIMES(kReadOnlyAdd, code == ReplyCode::kReadOnly);
    return sink->ReplyToAdd(header, code, add.ledger, add.entry, add.body.size());
  }
  const PutResult result = storage_->Put(add.ledger, add.entry, add.body);
  if (result == PutResult::kNeedsComparison) {
    const LedgerId ledger = add.ledger;
    turns_.Hold(ledger, AddCompared(std::move(sink), header, std::move(add)));
    return;
  }
  AfterPut(result, std::move(sink), header, std::move(add));
}

// The ledger is held: no fence and no other add of it comes between the checks and the put.
Task<absl::Status> WriteService::AddCompared(ReplySinkPtr sink, wire::RequestHeader header,
                                             wire::AddRequest add) {
  const absl::StatusOr<PutResult> result =
      co_await storage_->PutChecked(add.ledger, add.entry, add.body);
  if (result.ok()) {
    AfterPut(*result, std::move(sink), header, std::move(add));
  } else {
    sink->ReplyToAdd(header, ReplyCodeOf(result.status()), add.ledger, add.entry, add.body.size());
  }
  co_return absl::OkStatus();
}

void WriteService::AfterPut(PutResult result, ReplySinkPtr sink, wire::RequestHeader header,
                            wire::AddRequest add) {
  STELE_SOMETIMES(kConflictingAdd, result == PutResult::kConflict);
  STELE_SOMETIMES(kSameAddAgain, result == PutResult::kSameEntryExists);
  STELE_SOMETIMES(kAddsStalled, result == PutResult::kFull);
  switch (result) {
    case PutResult::kStored: AppendToJournal(add.ledger, add.body); break;
    // The first copy may still be on its way to the disk, so this answer waits like the first one.
    case PutResult::kSameEntryExists: break;
    case PutResult::kConflict:
      return sink->ReplyToAdd(header, ReplyCode::kBadRequest, add.ledger, add.entry,
                              add.body.size());
    case PutResult::kFull:
      stalled_.push_back({std::move(sink), header, std::move(add)});
      return UpdateOverload();
    case PutResult::kNeedsComparison: STELE_CHECK(false);
  }
  LogOf(add.ledger)
      .AckWhenDurable({std::move(sink), header, add.ledger, add.entry, add.body.size()});
  if (!overloaded_) UpdateOverload();
}

// A ledger's key stands in the journal before its first record of this process, so that replay
// knows the ledger.
uint64_t WriteService::AppendToJournal(LedgerId ledger, Buffer record) {
  DurableLog& log = LogOf(ledger);
  const LedgerState* state = storage_->FindLoaded(ledger);
  STELE_CHECK(state != nullptr);
  if (!state->key_in_journal) [[unlikely]] {
    log.Append(MakeMasterKeyRecord(ledger, {state->master_key.data(), state->master_key.size()}));
    storage_->SetKeyInJournal(ledger);
  }
  return log.Append(std::move(record));
}

Task<absl::Status> WriteService::Fence(LedgerId ledger, wire::MasterKey key) {
  if (tombstones_->Contains(ledger)) {
    STELE_SOMETIMES(kTombstoneRefusesFence, true);
    co_return MakeError(ErrorCode::kNoSuchLedger, "the ledger was deleted");
  }
  Completion<absl::Status> answer(executor_);
  if (FindReady(ledger) != nullptr) {
    FenceInTurn(ledger, key, answer.GetCompleter());
  } else {
    InTurn(
        ledger, key,
        [this, ledger, key, completer = answer.GetCompleter()](const absl::Status& ready) mutable {
          if (!ready.ok()) return completer.Set(ready);
          if (FindReady(ledger) != nullptr) return FenceInTurn(ledger, key, std::move(completer));
          completer.Set(MakeError(ErrorCode::kIoError, "the ledger went away while it was fenced"));
        });
  }
  co_return co_await answer;
}

void WriteService::FenceInTurn(LedgerId ledger, wire::MasterKey key,
                               Completer<absl::Status> answer) {
  const LedgerState* state = storage_->FindLoaded(ledger);
  if (!KeyFits(*state, key)) {
    return answer.Set(MakeError(ErrorCode::kUnauthorized, "wrong master key"));
  }
  Extra& extra = extras_[ledger];
  STELE_SOMETIMES(kFenceWhileReadOnly, !state->fenced && admission_->read_only);
  STELE_SOMETIMES(kFenceOfUnknownLedger, !state->fenced && state->last_entry.IsNone());
  STELE_SOMETIMES(kFenceAmongAdds, !state->fenced && !LogOf(ledger).IsAllDurable());
  STELE_SOMETIMES(kFenceKnownFromDisk, state->fenced && extra.fence_sequence == 0);
  if (!state->fenced) storage_->SetFenced(ledger);
  // Once per process, also for a fence that was found on disk: a process that was killed may have
  // written it to the index and not synced it.
  if (extra.fence_sequence == 0) {
    extra.fence_sequence = AppendToJournal(ledger, MakeFenceRecord(ledger));
  }
  scope_.Spawn(AnswerFence(ledger, extra.fence_sequence, std::move(answer)));
}

Task<void> WriteService::AnswerFence(LedgerId ledger, uint64_t sequence,
                                     Completer<absl::Status> answer) {
  answer.Set(co_await LogOf(ledger).WhenDurable(sequence));
}

void WriteService::WriteLac(ReplySinkPtr sink, wire::RequestHeader header,
                            wire::WriteLacRequest request) {
  const LedgerId ledger = request.ledger;
  const wire::ReplyBody body = wire::WriteLacReply{ledger};
  if (admission_->read_only) return sink->Reply(header, ReplyCode::kReadOnly, body);
  if (request.body.size() > kExplicitLacSizeMaxBytes) {
    return sink->Reply(header, ReplyCode::kBadRequest, body);
  }
  if (tombstones_->Contains(ledger)) {
    return sink->Reply(header, ReplyCode::kNoSuchLedger, body);
  }
  if (FindReady(ledger) != nullptr) {
    return WriteLacInTurn(std::move(sink), header, std::move(request));
  }
  const wire::MasterKey key = request.master_key;
  InTurn(ledger, key,
         [this, sink = std::move(sink), header,
          request = std::move(request)](const absl::Status& ready) mutable {
           if (ready.ok()) return WriteLac(std::move(sink), header, std::move(request));
           sink->Reply(header, ReplyCodeOf(ready), wire::WriteLacReply{request.ledger});
         });
}

void WriteService::WriteLacInTurn(ReplySinkPtr sink, wire::RequestHeader header,
                                  wire::WriteLacRequest request) {
  const LedgerId ledger = request.ledger;
  const LedgerState* state = storage_->FindLoaded(ledger);
  if (!KeyFits(*state, request.master_key)) {
    return sink->Reply(header, ReplyCode::kUnauthorized, wire::WriteLacReply{ledger});
  }
  // Journalled before the setter may reuse the buffer; one that is not newer is acknowledged and
  // forgotten.
  const bool newer =
      state->explicit_lac.empty() ||
      request.lac.value() > LoadBigEndian<int64_t>(state->explicit_lac.data() + sizeof(int64_t));
  if (newer) {
    storage_->SetExplicitLac(ledger, request.lac, request.body);
    AppendToJournal(ledger, MakeExplicitLacRecord(ledger, request.body.view()));
  }
  scope_.Spawn(ReplyWhenDurable(std::move(sink), header, ledger, wire::WriteLacReply{ledger}));
}

void WriteService::Force(ReplySinkPtr sink, wire::RequestHeader header,
                         wire::ForceLedgerRequest request) {
  scope_.Spawn(ReplyWhenDurable(std::move(sink), header, request.ledger,
                                wire::ForceLedgerReply{request.ledger}));
}

Task<void> WriteService::ReplyWhenDurable(ReplySinkPtr sink, wire::RequestHeader header,
                                          LedgerId ledger, wire::ReplyBody body) {
  const absl::Status durable = co_await LogOf(ledger).WhenAllDurable();
  sink->Reply(header, ReplyCodeOf(durable), std::move(body));
}

// The wire never names the digest type. The first entry that matches a keyless digest fixes it for
// the ledger; later entries that do not match were damaged on the way. Ledgers with other digests
// are stored as they come.
bool WriteService::DigestFits(LedgerId ledger, const Buffer& body) {
  Extra& extra = extras_[ledger];
  switch (extra.digest) {
    case Extra::Digest::kCrc32c: return wire::DigestMatches(body.view(), crc32c_);
    case Extra::Digest::kCrc32: return wire::DigestMatches(body.view(), crc32_);
    case Extra::Digest::kUnchecked: return true;
    case Extra::Digest::kUnknown: break;
  }
  if (wire::DigestMatches(body.view(), crc32c_)) {
    extra.digest = Extra::Digest::kCrc32c;
  } else if (wire::DigestMatches(body.view(), crc32_)) {
    extra.digest = Extra::Digest::kCrc32;
  } else if (++extra.digest_tries == kDigestTriesMax) {
    extra.digest = Extra::Digest::kUnchecked;
  }
  return true;
}

void WriteService::OnRoom() {
  std::deque<StalledAdd> again = std::exchange(stalled_, {});
  while (!again.empty()) {
    StalledAdd stalled = std::move(again.front());
    again.pop_front();
    Add(std::move(stalled.sink), stalled.header, std::move(stalled.add));
    if (!stalled_.empty()) {  // full again: the rest keeps its order behind it
      stalled_.insert(stalled_.end(), std::make_move_iterator(again.begin()),
                      std::make_move_iterator(again.end()));
      break;
    }
  }
  UpdateOverload();
}

void WriteService::UpdateOverload() {
  const bool overloaded =
      !stalled_.empty() || std::any_of(logs_.begin(), logs_.end(),
                                       [](const DurableLog* log) { return !log->has_room(); });
  if (overloaded == overloaded_) return;
  overloaded_ = overloaded;
  on_overload_(overloaded);
}

}  // namespace stele::bookie
