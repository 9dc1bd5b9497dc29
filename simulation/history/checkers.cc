#include "simulation/history/checkers.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "simulation/history/ledger_calls.h"
#include "simulation/history/text_format.h"

namespace stele::history {
namespace {

// "CHECKER: what, in this call: the lines of the call".
class Reporter {
 public:
  Reporter(std::string_view checker, Violations* violations)
      : checker_(checker), violations_(violations) {}

  template <typename... Parts>
  void Report(const Call& call, const Parts&... what) {
    std::string text = StrCat(what..., "\n  ", InvokeLine(call));
    if (call.outcome != Outcome::kPending) text += StrCat("  ", EndLine(call));
    violations_->push_back({std::string(checker_), std::move(text), call.id});
  }

 private:
  std::string_view checker_;
  Violations* violations_;
};

bool IsMissing(ErrorCode code) {
  return code == ErrorCode::kNoSuchEntry || code == ErrorCode::kNoSuchLedger ||
         code == ErrorCode::kNoSuchLedgerMetadata;
}

// The entries that a reading call asked for.
std::pair<EntryId, EntryId> RangeOf(const Question& question) {
  if (question.operation == Operation::kWait || question.operation == Operation::kTail) {
    return {question.entry, question.entry};
  }
  if (question.operation == Operation::kReadBatch) return {question.first, question.first};
  return {question.first, question.last};
}

// ---- G1

bool AllPromisedBefore(const LedgerCalls& ledger, EntryId first, EntryId last, size_t position) {
  for (EntryId entry = first; entry <= last; entry = entry.Next()) {
    const auto acked = ledger.acked().find(entry);
    if (acked == ledger.acked().end() || ledger.PromisedAt(*acked->second) > position) return false;
    if (ledger.IsCutOff(entry)) return false;
  }
  return true;
}

void CheckReckoning(const LedgerCalls& ledger, size_t reckoning, Reporter* reporter) {
  std::set<EntryId> read;
  for (const Call* call : ledger.reads()) {
    if (!call->ok() || call->invoked_at < reckoning) continue;
    if (call->question.operation == Operation::kReadUnconfirmed) continue;
    for (const EntrySeen& seen : call->answer.entries) read.insert(seen.entry);
  }
  for (const auto& [entry, append] : ledger.acked()) {
    if (read.contains(entry) || ledger.PromisedAt(*append) > reckoning) continue;
    if (ledger.IsCutOff(entry)) continue;
    reporter->Report(*append, "ledger ", ledger.ledger().value(), " entry ", entry.value(),
                     " was acknowledged and is not readable in the end");
  }
}

void CheckAllAckedEntriesAreReadable(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("AllAckedEntriesAreReadable", violations);
  for (const Call* call : ledger.reads()) {
    if (!call->failed() || !IsMissing(call->code) || ledger.MayBeDeletedFor(*call)) continue;
    const auto [first, last] = RangeOf(call->question);
    if (AllPromisedBefore(ledger, first, last, call->invoked_at)) {
      reporter.Report(*call, "acknowledged entries are said to be missing");
    }
  }
  for (const Call* call : ledger.opens()) {
    if (!call->failed() || !IsMissing(call->code) || ledger.MayBeDeletedFor(*call)) continue;
    if (ledger.creation() != nullptr && ledger.creation()->ended_at < call->invoked_at) {
      reporter.Report(*call, "a ledger that nobody deleted is said to be missing");
    }
  }
  if (ledger.MayBeDeleted()) return;
  for (const Mark& mark : ledger.history().marks()) {
    if (mark.kind == Mark::Kind::kReckoning) CheckReckoning(ledger, mark.at, &reporter);
  }
}

// Whatever is lost: who cannot tell may not close.
void CheckEndKeepsAcknowledged(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("EndKeepsAcknowledged", violations);
  for (const LedgerCalls::End& end : ledger.ends()) {
    if (ledger.IsExcused(end.last)) continue;
    for (auto acked = ledger.acked().upper_bound(end.last); acked != ledger.acked().end();
         ++acked) {
      if (ledger.PromisedAt(*acked->second) == Call::kNever) continue;
      reporter.Report(*end.call, "the end cuts off entry ", acked->first.value(),
                      ", acknowledged at ", acked->second->ended_nanoseconds, " ns");
      break;
    }
  }
}

// ---- G2

void CheckAckedPrefix(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("AckedPrefix", violations);
  std::vector<const Call*> ended;
  for (const Call* append : ledger.appends()) {
    if (append->outcome != Outcome::kPending) ended.push_back(append);
  }
  std::ranges::sort(ended, {}, &Call::ended_at);
  std::map<int64_t, EntryId> next;        // by handle
  std::map<int64_t, const Call*> failed;  // by handle: the first that may have had an effect
  for (const Call* append : ended) {
    const int64_t handle = append->question.handle;
    if (append->failed()) {
      if (append->effect == Effect::kUnknown) failed.emplace(handle, append);
      continue;
    }
    EntryId& expected = next.try_emplace(handle, EntryId(0)).first->second;
    if (append->answer.entry != expected) {
      reporter.Report(*append, "the next entry to acknowledge is ", expected.value());
    }
    expected = append->answer.entry.Next();
    if (append->answer.entry != append->question.entry) {
      reporter.Report(*append, "the order of ids is not that of the calls");
    }
    if (failed.contains(handle)) {
      reporter.Report(*append, "acknowledged after the handle failed at ",
                      failed[handle]->ended_nanoseconds, " ns");
    }
    for (const Call* close : ledger.closes()) {
      if (close->question.handle != handle || close->invoked_at > append->invoked_at) continue;
      reporter.Report(*append, "acknowledged although the handle was closed before");
    }
  }
}

// ---- G3, G4

void CheckReadersAgree(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("ReadersAgree", violations);
  std::map<EntryId, std::pair<PayloadTag, const Call*>> truth;
  for (const Call* call : ledger.reads()) {
    if (!call->ok() || call->question.operation == Operation::kReadUnconfirmed) continue;
    for (const EntrySeen& seen : call->answer.entries) {
      const auto [first, inserted] =
          truth.try_emplace(seen.entry, std::make_pair(seen.payload, call));
      if (inserted || first->second.first == seen.payload) continue;
      reporter.Report(*call, "entry ", seen.entry.value(), " was ", ToText(first->second.first),
                      " when call ", first->second.second->id, " read it");
    }
  }
}

bool WasRefused(const Call& append) { return append.failed() && append.effect == Effect::kNone; }

void CheckNoOutOfOrderEntries(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("NoOutOfOrderEntries", violations);
  std::multimap<EntryId, const Call*> submitted;
  for (const Call* append : ledger.appends()) submitted.emplace(append->question.entry, append);
  for (const Call* call : ledger.reads()) {
    if (!call->ok()) continue;
    for (const EntrySeen& seen : call->answer.entries) {
      const auto [begin, end] = submitted.equal_range(seen.entry);
      const auto found = std::find_if(begin, end, [&](const auto& candidate) {
        return candidate.second->question.payload == seen.payload &&
               candidate.second->invoked_at < call->ended_at && !WasRefused(*candidate.second);
      });
      if (found == end) {
        reporter.Report(*call, "nobody appended ", ToText(seen.payload), " as entry ",
                        seen.entry.value());
        continue;
      }
      const auto acked = ledger.acked().find(seen.entry);
      if (acked == ledger.acked().end()) continue;
      if (acked->second->question.payload == seen.payload) continue;
      reporter.Report(*call, "entry ", seen.entry.value(), " was acknowledged as ",
                      ToText(acked->second->question.payload));
    }
  }
}

// ---- G5, G6

// The highest LAC that anybody may have been shown by the position: acknowledged, or about to be
// when its writer crashed; with deferred sync, before a Force or a Close ended: what was
// acknowledged after the call and before the writer came to it is covered too.
EntryId HighestTrueLac(const LedgerCalls& ledger, size_t position) {
  EntryId highest = kNoEntry;
  size_t covered = Call::kNever;
  if (ledger.deferred_sync()) {
    covered = 0;
    for (const std::vector<const Call*>* calls : {&ledger.forces(), &ledger.closes()}) {
      for (const Call* call : *calls) {
        if (call->invoked_at < position) {
          covered = std::max(covered, std::min(call->ended_at, position));
        }
      }
    }
  }
  for (const Call* append : ledger.appends()) {
    if (append->failed()) continue;
    if (append->ok() && append->ended_at > covered) continue;
    if (append->outcome == Outcome::kPending && ledger.deferred_sync()) continue;
    highest = std::max(highest, append->question.entry);
  }
  return highest;
}

// What a recovery may have kept: everything whose effect is not certain to be none.
EntryId HighestRecoverable(const LedgerCalls& ledger) {
  EntryId highest = kNoEntry;
  for (const Call* append : ledger.appends()) {
    const bool refused = append->failed() && append->effect == Effect::kNone;
    if (!refused) highest = std::max(highest, append->question.entry);
  }
  return highest;
}

void CheckLacIsTrue(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("LacIsTrue", violations);
  const LedgerCalls::End* lowest_end = nullptr;
  EntryId highest_end = kNoEntry;
  for (const LedgerCalls::End& end : ledger.ends()) {
    if (lowest_end == nullptr || end.last < lowest_end->last) lowest_end = &end;
    highest_end = std::max(highest_end, end.last);
  }
  // Who keeps no history, as autorecovery, may have closed it, and the deletion hides where.
  if (ledger.ends().empty() && ledger.MayBeDeleted()) highest_end = HighestRecoverable(ledger);
  const EntryId acknowledged =
      ledger.deferred_sync() ? kNoEntry : HighestTrueLac(ledger, Call::kNever);
  for (const Call* call : ledger.of_handles()) {
    if (!call->ok() || !call->answer.has_lac) continue;
    const EntryId lac = call->answer.lac;
    if (lowest_end != nullptr && lac > lowest_end->last && !ledger.IsCutOff(lac)) {
      reporter.Report(*call, "a LAC above the end ", lowest_end->last.value(), " of the ledger");
    }
    const EntryId bound =
        ledger.deferred_sync() ? HighestTrueLac(ledger, call->ended_at) : acknowledged;
    if (lac > std::max(bound, highest_end)) {
      reporter.Report(*call, "a LAC above everything acknowledged, which is ", bound.value());
    }
  }
}

// What the call shows to be confirmed; none: nothing.
EntryId ConfirmedBy(const Call& call) {
  EntryId confirmed = call.answer.has_lac ? call.answer.lac : kNoEntry;
  const Operation operation = call.question.operation;
  if (operation == Operation::kRead || operation == Operation::kReadBatch ||
      operation == Operation::kTail) {
    for (const EntrySeen& seen : call.answer.entries) confirmed = std::max(confirmed, seen.entry);
  }
  return confirmed;
}

void CheckLacMonotone(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("LacMonotone", violations);
  // By position: a call's begin and its end.
  std::map<size_t, const Call*> events;
  for (const Call* call : ledger.of_handles()) {
    if (!call->ok()) continue;
    events[call->invoked_at] = call;
    events[call->ended_at] = call;
  }
  std::map<int64_t, EntryId> shown;           // by handle
  std::map<int64_t, EntryId> shown_at_begin;  // by call
  for (const auto& [position, call] : events) {
    EntryId& highest = shown.try_emplace(call->question.handle, kNoEntry).first->second;
    if (position == call->invoked_at) {
      shown_at_begin[call->id] = highest;
      continue;
    }
    const EntryId shown_before = shown_at_begin[call->id];
    if (call->answer.has_lac && call->answer.lac < shown_before && !ledger.IsCutOff(shown_before)) {
      reporter.Report(*call, "this handle was shown ", shown_before.value(), " before");
    }
    highest = std::max(highest, ConfirmedBy(*call));
  }
}

// ---- G7, G10, reads

void CheckOneEnd(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("OneEnd", violations);
  const LedgerCalls::End* told_length = nullptr;
  for (const LedgerCalls::End& end : ledger.ends()) {
    const LedgerCalls::End& first = ledger.ends().front();
    if (end.last != first.last) {
      reporter.Report(*end.call, "call ", first.call->id, " saw the end ", first.last.value());
    }
    if (end.length_bytes < 0) continue;
    if (told_length != nullptr && told_length->length_bytes != end.length_bytes) {
      reporter.Report(*end.call, "call ", told_length->call->id, " saw a length of ",
                      told_length->length_bytes);
    }
    told_length = &end;
  }
}

void CheckNoLateAck(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("NoLateAck", violations);
  for (const Call* open : ledger.opens()) {
    if (!open->ok() || !open->question.recover || ledger.IsExcused(open->answer.last)) continue;
    for (auto acked = ledger.acked().upper_bound(open->answer.last); acked != ledger.acked().end();
         ++acked) {
      if (acked->second->ended_at < open->ended_at) continue;
      reporter.Report(*acked->second, "call ", open->id, " had recovered the ledger to its end ",
                      open->answer.last.value());
      break;
    }
  }
}

void CheckReadContract(const LedgerCalls& ledger, Violations* violations) {
  Reporter reporter("ReadContract", violations);
  for (const Call* call : ledger.reads()) {
    if (!call->ok()) continue;
    const auto [first, last] = RangeOf(call->question);
    EntryId expected = first;
    for (const EntrySeen& seen : call->answer.entries) {
      if (seen.entry != expected) {
        reporter.Report(*call, "entry ", expected.value(), " is next");
        break;
      }
      expected = expected.Next();
    }
    const Operation operation = call->question.operation;
    bool right = false;
    if (operation == Operation::kReadBatch) {
      right = expected > first;
    } else if (operation == Operation::kRead || operation == Operation::kReadUnconfirmed) {
      right = expected == last.Next();
    } else {
      right = expected <= last.Next();
    }
    if (!right) {
      reporter.Report(*call, call->answer.entries.size(), " entries for ", first.value(), " to ",
                      last.value());
    }
  }
}

}  // namespace

const std::vector<LedgerChecker>& LedgerCheckers() {
  static const auto* const kCheckers = new std::vector<LedgerChecker>{
      {"AllAckedEntriesAreReadable", CheckAllAckedEntriesAreReadable, false},
      {"EndKeepsAcknowledged", CheckEndKeepsAcknowledged, true},
      {"AckedPrefix", CheckAckedPrefix, true},
      {"ReadersAgree", CheckReadersAgree, true},
      {"NoOutOfOrderEntries", CheckNoOutOfOrderEntries, true},
      {"LacIsTrue", CheckLacIsTrue, false},
      {"LacMonotone", CheckLacMonotone, false},
      {"OneEnd", CheckOneEnd, true},
      {"NoLateAck", CheckNoLateAck, false},
      {"ReadContract", CheckReadContract, true},
  };
  return *kCheckers;
}

void CheckCreatedOnce(const History& history, Violations* violations) {
  Reporter reporter("CreatedOnce", violations);
  std::map<LedgerId, const Call*> created;
  for (const Call& call : history.calls()) {
    if (call.question.operation != Operation::kCreate || !call.ok()) continue;
    const auto [first, inserted] = created.emplace(call.answer.ledger, &call);
    if (!inserted) reporter.Report(call, "call ", first->second->id, " created this ledger");
    if (call.question.ledger.IsValid() && call.question.ledger != call.answer.ledger) {
      reporter.Report(call, "another ledger than the one asked for");
    }
  }
}

void CheckEffectOfErrors(const History& history, Violations* violations) {
  Reporter reporter("EffectOfErrors", violations);
  for (const Call& call : history.calls()) {
    if (!call.failed()) continue;
    if (call.code == ErrorCode::kForeign || call.code == ErrorCode::kOk) {
      reporter.Report(call, "an error that is none of ours");
    }
  }
}

void CheckNothingHangs(const History& history, Violations* violations) {
  Reporter reporter("NothingHangs", violations);
  const auto end = std::ranges::find(history.marks(), Mark::Kind::kEnd, &Mark::kind);
  if (end == history.marks().end()) return;
  std::map<std::string, size_t> crashed;  // by process: the last time
  for (const Mark& mark : history.marks()) {
    if (mark.kind == Mark::Kind::kCrash) crashed[mark.process] = mark.at;
  }
  for (const Call& call : history.calls()) {
    if (call.outcome != Outcome::kPending || call.invoked_at > end->at) continue;
    const auto crash = crashed.find(call.process);
    if (crash != crashed.end() && crash->second > call.invoked_at) continue;
    reporter.Report(call, "the call never ended");
  }
}

void CheckFenceMonotone(const History& history, Violations* violations) {
  Reporter reporter("FenceMonotone", violations);
  std::map<std::pair<std::string, LedgerId>, const Call*> fenced;
  for (const Call& call : history.calls()) {
    if (!call.ok()) continue;
    const std::pair where(call.question.bookie, call.question.ledger);
    if (call.question.operation == Operation::kBookieFence) {
      const auto [first, inserted] = fenced.emplace(where, &call);
      if (!inserted && call.ended_at < first->second->ended_at) first->second = &call;
    }
  }
  for (const Call& call : history.calls()) {
    if (!call.ok() || call.question.operation != Operation::kBookieAdd) continue;
    const auto fence = fenced.find({call.question.bookie, call.question.ledger});
    if (fence == fenced.end() || fence->second->ended_at > call.invoked_at) continue;
    reporter.Report(call, "this bookie answered the fence of call ", fence->second->id);
  }
}

void CheckLacDurable(const History& history, Violations* violations) {
  Reporter reporter("LacDurable", violations);
  std::map<std::pair<std::string, LedgerId>, std::vector<const Call*>> known;
  for (const Call& call : history.calls()) {
    if (!call.ok()) continue;
    const Operation operation = call.question.operation;
    const bool writes = operation == Operation::kBookieWriteLac;
    if (!writes && operation != Operation::kBookieLac) continue;
    std::vector<const Call*>& earlier = known[{call.question.bookie, call.question.ledger}];
    for (const Call* other : earlier) {
      const bool wrote = other->question.operation == Operation::kBookieWriteLac;
      const EntryId lac = wrote ? other->question.last : other->answer.lac;
      if (writes || other->ended_at > call.invoked_at || call.answer.lac >= lac) continue;
      reporter.Report(call, "this bookie knew ", lac.value(), " by call ", other->id);
      break;
    }
    earlier.push_back(&call);
  }
}

Violations CheckHistory(const History& history, const CheckOptions& options) {
  Violations violations;
  for (const auto& [id, ledger] : SortByLedger(history)) {
    for (const LedgerChecker& checker : LedgerCheckers()) {
      if (options.beyond_budget && !checker.holds_beyond_budget) continue;
      checker.check(ledger, &violations);
    }
  }
  CheckCreatedOnce(history, &violations);
  CheckEffectOfErrors(history, &violations);
  CheckNothingHangs(history, &violations);
  CheckFenceMonotone(history, &violations);
  if (!options.beyond_budget) CheckLacDurable(history, &violations);
  return violations;
}

}  // namespace stele::history
