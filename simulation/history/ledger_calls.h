// LedgerCalls: the calls of a history that concern one ledger, sorted by what the checkers ask.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "simulation/history/history.h"

namespace stele::history {

class LedgerCalls {
 public:
  // An observation that the ledger is closed.
  struct End {
    EntryId last;
    int64_t length_bytes = -1;  // -1: not told
    const Call* call = nullptr;
  };

  LedgerCalls(LedgerId ledger, const History& history) : ledger_(ledger), history_(history) {}
  // In the order of invocation, after what AddLateAck tells.
  void Add(const Call& call);

  LedgerId ledger() const { return ledger_; }
  const History& history() const { return history_; }
  // Null: made by somebody else.
  const Call* creation() const { return creation_; }
  bool deferred_sync() const { return creation_ != nullptr && creation_->question.deferred_sync; }
  const std::vector<const Call*>& appends() const { return appends_; }
  const std::vector<const Call*>& opens() const { return opens_; }
  const std::vector<const Call*>& forces() const { return forces_; }
  const std::vector<const Call*>& closes() const { return closes_; }
  // Read, ReadBatch, ReadUnconfirmed, Wait, Tail.
  const std::vector<const Call*>& reads() const { return reads_; }
  // Create, Open, Append, ReadLac, Wait, Tail, Read: those that can show a LAC.
  const std::vector<const Call*>& of_handles() const { return of_handles_; }
  const std::vector<End>& ends() const { return ends_; }
  // By entry: the append that was told ok.
  const std::map<EntryId, const Call*>& acked() const { return acked_; }

  // From when on the entry, which is acknowledged, must be readable for ever: from its
  // acknowledgement on; with deferred sync, from the first Force or Close behind that.
  size_t PromisedAt(const Call& append) const;
  // The call may have run when the ledger was deleted, or later.
  bool MayBeDeletedFor(const Call& call) const { return call.ended_at > deleted_at_; }
  // Somebody may have deleted it by now.
  bool MayBeDeleted() const { return deleted_at_ != Call::kNever; }

  // Apache's bookie may forget a fence that it has answered. Then the old writer can still get an
  // ack quorum, with that bookie and those that no recovery has reached, for an entry that the
  // recovery had proved absent; nothing that a client could ask would tell. The entry behind the
  // end is acknowledged, and with it those behind it, in their order. Of all others the promises
  // hold.
  bool IsExcused(EntryId end) const { return late_acks_.contains(end.Next()); }
  // The entry lies behind an end that is excused.
  bool IsCutOff(EntryId entry) const;
  void AddLateAck(EntryId entry) { late_acks_.insert(entry); }

 private:
  LedgerId ledger_;
  const History& history_;
  const Call* creation_ = nullptr;
  std::vector<const Call*> appends_;
  std::vector<const Call*> opens_;
  std::vector<const Call*> forces_;
  std::vector<const Call*> closes_;
  std::vector<const Call*> reads_;
  std::vector<const Call*> of_handles_;
  std::vector<End> ends_;
  std::map<EntryId, const Call*> acked_;
  std::set<EntryId> late_acks_;
  size_t deleted_at_ = Call::kNever;
};

// All ledgers of a history. The history outlives it.
std::map<LedgerId, LedgerCalls> SortByLedger(const History& history);

}  // namespace stele::history
