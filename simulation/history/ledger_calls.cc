#include "simulation/history/ledger_calls.h"

#include <algorithm>

#include "simulation/history/words.h"

namespace stele::history {

void LedgerCalls::Add(const Call& call) {
  switch (call.question.operation) {
    case Operation::kCreate: creation_ = &call; break;
    case Operation::kOpen:
      opens_.push_back(&call);
      of_handles_.push_back(&call);
      break;
    case Operation::kAppend:
      appends_.push_back(&call);
      of_handles_.push_back(&call);
      if (call.ok()) acked_.emplace(call.answer.entry, &call);
      break;
    case Operation::kForce: forces_.push_back(&call); break;
    case Operation::kClose: closes_.push_back(&call); break;
    case Operation::kRead:
    case Operation::kReadBatch:
    case Operation::kReadUnconfirmed:
    case Operation::kWait:
    case Operation::kTail:
      reads_.push_back(&call);
      of_handles_.push_back(&call);
      break;
    case Operation::kReadLac: of_handles_.push_back(&call); break;
    case Operation::kDelete:
      if (call.failed() && call.effect == Effect::kNone) break;
      deleted_at_ = std::min(deleted_at_, call.invoked_at);
      break;
    default: break;
  }
  if (!call.ok()) return;
  // Who followed the ledger up to there does not see the end below.
  const bool is_tail = call.question.operation == Operation::kTail;
  if (is_tail && !late_acks_.empty() && call.answer.last >= *late_acks_.begin()) return;
  if (call.answer.state == LedgerStateSeen::kClosed ||
      call.question.operation == Operation::kClose) {
    ends_.push_back({call.answer.last, call.answer.length_bytes, &call});
  }
}

bool LedgerCalls::IsCutOff(EntryId entry) const {
  return std::ranges::any_of(
      ends_, [&](const End& end) { return end.last < entry && IsExcused(end.last); });
}

size_t LedgerCalls::PromisedAt(const Call& append) const {
  if (!deferred_sync()) return append.ended_at;
  size_t promised = Call::kNever;
  for (const std::vector<const Call*>* calls : {&forces_, &closes_}) {
    for (const Call* call : *calls) {
      if (!call->ok() || call->invoked_at < append.ended_at) continue;
      promised = std::min(promised, call->ended_at);
    }
  }
  return promised;
}

std::map<LedgerId, LedgerCalls> SortByLedger(const History& history) {
  std::map<LedgerId, LedgerCalls> ledgers;
  for (const Mark& mark : history.marks()) {
    if (mark.kind != Mark::Kind::kLateAck) continue;
    std::string_view text = mark.text;
    int64_t ledger = -1;
    int64_t entry = -1;
    if (!ParseNumber(TakeWord(&text), &ledger) || !ParseNumber(text, &entry)) continue;
    const LedgerId id(ledger);
    ledgers.try_emplace(id, id, history).first->second.AddLateAck(EntryId(entry));
  }
  for (const Call& call : history.calls()) {
    const bool creates = call.question.operation == Operation::kCreate;
    const LedgerId id = creates ? call.answer.ledger : call.question.ledger;
    if (!id.IsValid()) continue;
    ledgers.try_emplace(id, id, history).first->second.Add(call);
  }
  return ledgers;
}

}  // namespace stele::history
