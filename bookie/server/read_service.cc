#include "bookie/server/read_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "bookie/server/reply_codes.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/wire/availability.h"

namespace stele::bookie {

using wire::ReplyCode;

namespace {

// What the wire adds to a batch before its first entry, and to each entry: Apache counts these
// against the size limit.
constexpr size_t kBatchBaseBytes = 36;
constexpr size_t kBatchEntryOverheadBytes = 4;

}  // namespace

ReadService::ReadService(Env env, LedgerStorage* storage, WriteService* writes, ReadLimits limits)
    : env_(env), storage_(storage), writes_(writes), limits_(limits), scope_(env.executor) {
  storage_->SetLacListener([this](LedgerId ledger) { OnLedgerChanged(ledger); });
}

ReadService::~ReadService() { storage_->SetLacListener(nullptr); }

void ReadService::Read(ReplySinkPtr sink, wire::RequestHeader header, wire::ReadRequest request) {
  const bool long_poll = request.previous_lac.has_value() && !request.fence_key.has_value();
  if (!long_poll) return scope_.Spawn(RunRead(std::move(sink), header, std::move(request)));
  if (request.piggyback_entry && !request.entry.IsNone()) {
    return sink->Reply(header, ReplyCode::kBadRequest,
                       wire::ReadReply{request.ledger, request.entry});
  }
  if (long_polls_ >= limits_.long_polls_max) {
    return sink->Reply(header, ReplyCode::kTooManyRequests,
                       wire::ReadReply{request.ledger, request.entry});
  }
  scope_.Spawn(RunLongPoll(std::move(sink), header, std::move(request)));
}

Task<absl::StatusOr<Buffer>> ReadService::ReadEntry(LedgerId ledger, EntryId entry) {
  if (entry.IsNone()) co_return co_await storage_->ReadLast(ledger);
  co_return co_await storage_->Read(ledger, entry);
}

Task<void> ReadService::RunRead(ReplySinkPtr sink, wire::RequestHeader header,
                                wire::ReadRequest request) {
  wire::ReadReply reply{request.ledger, request.entry};
  const bool fencing = request.fence_key.has_value();
  if (fencing) {
    const absl::Status fenced = co_await writes_->Fence(request.ledger, *request.fence_key);
    if (!fenced.ok()) co_return sink->Reply(header, ReplyCodeOf(fenced), std::move(reply));
  }
  absl::StatusOr<Buffer> entry = co_await ReadEntry(request.ledger, request.entry);
  if (!entry.ok()) co_return sink->Reply(header, ReplyCodeOf(entry.status()), std::move(reply));
  reply.body = *std::move(entry);
  // Clients take no LAC from a fencing read, and v2 has no field for it.
  if (!fencing && header.version == wire::ProtocolVersion::kV3) {
    const absl::StatusOr<EntryId> lac = co_await storage_->ReadLac(request.ledger);
    if (lac.ok() && !lac->IsNone()) reply.max_lac = *lac;
  }
  sink->Reply(header, ReplyCode::kOk, std::move(reply));
}

bool ReadService::IsFenced(LedgerId ledger) {
  const LedgerState* state = storage_->FindLoaded(ledger);
  return state != nullptr && state->fenced;
}

Task<void> ReadService::RunLongPoll(ReplySinkPtr sink, wire::RequestHeader header,
                                    wire::ReadRequest request) {
  wire::ReadReply reply{request.ledger, request.entry};
  const EntryId previous = *request.previous_lac;
  const absl::Duration wait = std::clamp(absl::Milliseconds(request.timeout_ms.value_or(0)),
                                         absl::ZeroDuration(), limits_.long_poll_max);
  const MonotonicTime deadline = env_.clock->Now() + wait;
  ++long_polls_;
  absl::StatusOr<EntryId> lac = co_await storage_->ReadLac(request.ledger);
  bool advanced = false;
  bool was_known = false;
  // A ledger that nobody has written to here is one whose next entry is the first. One that goes
  // meanwhile was deleted.
  const auto nothing_new = [&] {
    was_known |= lac.ok() || writes_->WasCollected(request.ledger);
    STELE_SOMETIMES(kLongPollOfUnknownLedger, !lac.ok() && !was_known);
    if (!lac.ok()) return CodeOf(lac.status()) == ErrorCode::kNoSuchLedger && !was_known;
    STELE_SOMETIMES(kLongPollEndedByFence, *lac <= previous && IsFenced(request.ledger));
    return *lac <= previous && !IsFenced(request.ledger);
  };
  while (nothing_new() && !sink->IsClosed() && env_.clock->Now() < deadline) {
    const bool changed = co_await WaitForChange(sink.get(), request.ledger, deadline);
    lac = co_await storage_->ReadLac(request.ledger);
    advanced = changed && lac.ok() && *lac > previous;
  }
  --long_polls_;
  if (sink->IsClosed()) co_return;
  if (!lac.ok()) co_return sink->Reply(header, ReplyCodeOf(lac.status()), std::move(reply));
  if (advanced) reply.lac_update_timestamp_ms = absl::ToUnixMillis(env_.clock->WallNow());
  if (!request.piggyback_entry) {
    absl::StatusOr<Buffer> entry = co_await ReadEntry(request.ledger, request.entry);
    if (!entry.ok()) co_return sink->Reply(header, ReplyCodeOf(entry.status()), std::move(reply));
    reply.body = *std::move(entry);
  } else if (*lac > previous) {
    // Striping may have put the next entry elsewhere: then the reader learns the LAC alone.
    absl::StatusOr<Buffer> entry = co_await ReadEntry(request.ledger, previous.Next());
    if (entry.ok()) {
      reply.entry = previous.Next();
      reply.body = *std::move(entry);
    } else if (CodeOf(entry.status()) != ErrorCode::kNoSuchEntry) {
      co_return sink->Reply(header, ReplyCodeOf(entry.status()), std::move(reply));
    }
  } else if (lac->IsNone() && storage_->FindLoaded(request.ledger) != nullptr &&
             storage_->FindLoaded(request.ledger)->last_entry.IsNone()) {
    co_return sink->Reply(header, ReplyCode::kNoSuchEntry, std::move(reply));
  }
  if (!lac->IsNone()) reply.max_lac = *lac;
  sink->Reply(header, ReplyCode::kOk, std::move(reply));
}

Task<bool> ReadService::WaitForChange(const ReplySink* sink, LedgerId ledger,
                                      MonotonicTime deadline) {
  Completion<bool> woken(env_.executor);
  std::list<Waiter>& waiting = waiters_[ledger];
  waiting.push_back({sink, woken.GetCompleter()});
  const std::unique_ptr<Timer> timer = env_.clock->CallAt(
      deadline, [completer = woken.GetCompleter()]() mutable { completer.Set(false); });
  const bool changed = co_await woken;
  if (!changed) {
    // Still in the list: whoever wakes a ledger takes its whole list away.
    const auto found = waiters_.find(ledger);
    if (found != waiters_.end()) {
      found->second.remove_if([](const Waiter& waiter) { return waiter.wake.IsSet(); });
      if (found->second.empty()) waiters_.erase(found);
    }
  }
  co_return changed;
}

void ReadService::OnLedgerChanged(LedgerId ledger) {
  if (waiters_.empty()) return;
  const auto found = waiters_.find(ledger);
  if (found == waiters_.end()) return;
  std::list<Waiter> woken = std::move(found->second);
  waiters_.erase(found);
  for (Waiter& waiter : woken) waiter.wake.Set(true);
}

void ReadService::OnSinkClosed(const ReplySink* sink) {
  std::vector<LedgerId> ledgers;
  for (auto& [ledger, waiting] : waiters_) {
    const bool mine = std::any_of(waiting.begin(), waiting.end(),
                                  [sink](const Waiter& waiter) { return waiter.sink == sink; });
    if (mine) ledgers.push_back(ledger);
  }
  // In order of id: the hash map's order must not decide who runs first.
  std::sort(ledgers.begin(), ledgers.end());
  for (const LedgerId ledger : ledgers) OnLedgerChanged(ledger);
}

void ReadService::BatchRead(ReplySinkPtr sink, wire::RequestHeader header,
                            wire::BatchReadRequest request) {
  scope_.Spawn(RunBatchRead(std::move(sink), header, std::move(request)));
}

Task<void> ReadService::RunBatchRead(ReplySinkPtr sink, wire::RequestHeader header,
                                     wire::BatchReadRequest request) {
  wire::BatchReadReply reply{request.ledger, request.first_entry, request.request_id};
  if (request.fence_key.has_value()) {
    const absl::Status fenced = co_await writes_->Fence(request.ledger, *request.fence_key);
    if (!fenced.ok()) co_return sink->Reply(header, ReplyCodeOf(fenced), std::move(reply));
  }
  if (request.first_entry.IsNone()) {  // "the last entry", which has no successor
    absl::StatusOr<Buffer> last = co_await storage_->ReadLast(request.ledger);
    if (!last.ok()) co_return sink->Reply(header, ReplyCodeOf(last.status()), std::move(reply));
    reply.bodies.push_back(*std::move(last));
    co_return sink->Reply(header, ReplyCode::kOk, std::move(reply));
  }
  const auto asked = static_cast<size_t>(std::max<int64_t>(request.size_max_bytes, 0));
  const size_t budget = std::min(asked, limits_.batch_size_max_bytes);
  absl::StatusOr<std::vector<Buffer>> bodies = co_await storage_->ReadRun(
      request.ledger, request.first_entry,
      {.count_max = request.count_max > 0 ? request.count_max : INT32_MAX,
       .size_max_bytes = budget - std::min(budget, kBatchBaseBytes),
       .entry_overhead_bytes = kBatchEntryOverheadBytes});
  if (!bodies.ok()) co_return sink->Reply(header, ReplyCodeOf(bodies.status()), std::move(reply));
  reply.bodies = *std::move(bodies);
  sink->Reply(header, ReplyCode::kOk, std::move(reply));
}

void ReadService::ReadLac(ReplySinkPtr sink, wire::RequestHeader header,
                          wire::ReadLacRequest request) {
  scope_.Spawn(RunReadLac(std::move(sink), header, request.ledger));
}

Task<void> ReadService::RunReadLac(ReplySinkPtr sink, wire::RequestHeader header, LedgerId ledger) {
  wire::ReadLacReply reply{ledger};
  absl::Status status = (co_await storage_->Load(ledger)).status();
  if (status.ok()) {
    absl::StatusOr<Buffer> last = co_await storage_->ReadLast(ledger);
    status = last.status();
    if (last.ok()) reply.last_entry_body = *std::move(last);
    const LedgerState* state = storage_->FindLoaded(ledger);
    if (state != nullptr && !state->explicit_lac.empty()) reply.lac_body = state->explicit_lac;
  }
  const bool nothing_here =
      CodeOf(status) == ErrorCode::kNoSuchEntry || CodeOf(status) == ErrorCode::kNoSuchLedger;
  ReplyCode code = ReplyCodeOf(status);
  if (nothing_here) code = reply.lac_body.has_value() ? ReplyCode::kOk : ReplyCode::kNoSuchEntry;
  sink->Reply(header, code, std::move(reply));
}

void ReadService::ListEntries(ReplySinkPtr sink, wire::RequestHeader header,
                              wire::ListEntriesRequest request) {
  scope_.Spawn(RunListEntries(std::move(sink), header, request.ledger));
}

Task<void> ReadService::RunListEntries(ReplySinkPtr sink, wire::RequestHeader header,
                                       LedgerId ledger) {
  wire::ListEntriesReply reply{ledger};
  const absl::StatusOr<std::vector<EntryId>> entries = co_await storage_->ListEntries(ledger);
  if (entries.ok()) {
    wire::AvailabilityBuilder builder;
    for (const EntryId entry : *entries) builder.Add(entry);
    reply.availability = std::move(builder).Finish();
  }
  sink->Reply(header, ReplyCodeOf(entries.status()), std::move(reply));
}

}  // namespace stele::bookie
