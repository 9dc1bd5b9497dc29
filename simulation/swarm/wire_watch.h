// WireWatch: sees every request that reaches a bookie, every reply that leaves one, and every write
// that the metadata store applied, and judges them at that moment against what went before:
//
//   FenceMonotone       after a bookie answered a fence, no normal add that came later is ok there
//   NegativesWereTrue   "no such entry" and "no such ledger" come from bookies that have not got it
//   AckGate             at each OK of an append, and whenever metadata names other bookies for it
//                       later, an ack quorum of its persisted write set has it
//   CasHistory          a ledger's metadata takes legal steps only
//   RepairHarmless      a bookie that is put into an old fragment has acknowledged all that belongs
//                       there, or has shown it to the worker, and no ensemble names a bookie twice
//   RecoveryTail        a recovery writes nothing back below the last fragment
//   RecoveryLac         a recovery tells no LAC that the ledger's writer cannot have told
//   EndIsFinal          when a recovery closes a ledger, the next entry can get no ack quorum any
//                       more: too many of its bookies are fenced and have not got it
//   ClosedReplicated    at close each entry up to the end has an ack quorum of copies
//   LongPollWakes       a bookie that nothing disturbs ends a long poll soon after it learns a LAC
//   BoundedDebt         a client has a bounded number of adds under way to one bookie
//
// Apache's bookies and writers (profile `mixed`) may break some of these; what is excused, and why,
// is in wire_watch_mixed.cc.
//
// What a bookie "has" is what it has acknowledged, to whomever, in whatever life of its process;
// and what it shows after a restart of what it was sent before: replay has made that durable.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"
#include "metadata/ledger_layout.h"
#include "metadata/ledger_metadata.h"
#include "simulation/sim_metadata_store.h"
#include "simulation/sim_network.h"
#include "simulation/swarm/stage.h"

namespace stele::simulation {

class WireWatch final : public FrameObserver, public MetadataObserver {
 public:
  // Both outlive it.
  WireWatch(Stage* stage, Scheduler* scheduler);

  void OnSent(uint64_t connection, const std::string& from, const std::string& to,
              const Buffer& frame) override;
  void OnDelivered(uint64_t connection, const std::string& from, const std::string& to,
                   const Buffer& frame) override;
  void OnWritten(const std::string& process, const MetadataRequest& request) override;

  // An append was told ok.
  void OnAcknowledged(LedgerId ledger, EntryId entry);
  // The bookie's disk was damaged: it may have lost anything.
  void MarkDamaged(const std::string& bookie) { damaged_.insert(bookie); }
  // The bookie's disk becomes what it was earlier. It may deny what metadata gives to others, now
  // or later, and what metadata did not give to it yet, such as the first copies of a recovery.
  void MarkSetBack(const std::string& bookie);
  // Its process begins anew.
  void OnRestart(const std::string& bookie);
  // What it should be asked for when it serves again: entries that it was sent and did not
  // acknowledge before it died, and those that it acknowledged last.
  std::vector<std::pair<LedgerId, EntryId>> RollCall(const std::string& bookie) const;
  // Something was done to it that may make it slow.
  void MarkDisturbed(const std::string& bookie) { disturbed_.insert(bookie); }
  // So many adds may be under way from this host to one bookie; those that are older than
  // `patience` the client has given up.
  void LimitDebt(const std::string& client, size_t adds_max, absl::Duration patience) {
    debts_max_[client] = {adds_max, absl::ToInt64Nanoseconds(patience)};
  }

  // ---- Peers of Apache's kind.
  // The bookie may have forgotten a fence that it had answered.
  void OnLostFence(const std::string& bookie, LedgerId ledger);
  // The next frame that is sent answers no request.
  void BeforeStray();
  // This process closes ledgers that it has made, whatever their state is, and recovers none.
  void LetOverride(const std::string& process) { overriders_.insert(process); }

  uint64_t checks() const { return checks_; }

  // The bookie has acknowledged it.
  bool Has(const std::string& bookie, LedgerId ledger, EntryId entry) const;
  bool HasAny(const std::string& bookie, LedgerId ledger) const {
    return stored_.contains({bookie, ledger});
  }
  // As they are stored now.
  const std::map<LedgerId, metadata::LedgerMetadata>& ledgers() const { return ledgers_; }
  // The bookies that metadata names for an entry.
  static std::vector<std::string> HostsOf(const metadata::LedgerMetadata& metadata, EntryId entry);
  bool IsDamaged(const std::string& bookie) const { return damaged_.contains(bookie); }
  const std::set<LedgerId>& removed() const { return removed_; }
  // It was, or somebody has tried.
  bool IsDeleted(LedgerId ledger) const;
  bool IsDeferred(LedgerId ledger) const;

 private:
  struct Asked {
    wire::Operation operation;
    LedgerId ledger;
    EntryId entry;
    bool fence = false;
    bool recovery = false;
    bool deferred_sync = false;
    EntryId lac;                          // of an add: what its packet says
    std::optional<EntryId> previous_lac;  // of a long poll
    int64_t delivered_nanoseconds = 0;
    uint64_t delivered_at = 0;  // step
  };
  // How a reply finds its request; version 2 has no numbers.
  struct Key {
    uint64_t connection;
    uint64_t txn_id;
    int operation;
    int64_t ledger;
    int64_t entry;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  using Where = std::pair<std::string, LedgerId>;  // bookie, ledger

  void OnAdd(const std::string& client, const std::string& bookie, const Asked& asked);
  void OnWriterLac(LedgerId ledger, EntryId lac);
  void OnRecoveryAdd(const std::string& client, LedgerId ledger, EntryId entry);
  void OnAddReply(const std::string& bookie, const Asked& asked, wire::ReplyCode code);
  void OnReadReply(const std::string& bookie, const Asked& asked, wire::ReplyCode code);
  void CountAdd(uint64_t connection, const std::string& client, const std::string& bookie,
                const Buffer& frame);
  bool HasShown(const std::string& bookie, LedgerId ledger, EntryId entry) const;
  // What it was acknowledged to have once, it must not deny.
  bool MustKnow(const std::string& bookie, LedgerId ledger, EntryId entry) const;
  bool IsNamed(const std::string& bookie, LedgerId ledger, EntryId entry) const;
  void OnLongPollReply(const std::string& bookie, const Asked& asked);
  void CheckRepair(LedgerId ledger, const metadata::LedgerMetadata& before,
                   const metadata::LedgerMetadata& after);
  // What is acknowledged has its copies after a change of ensembles too.
  void CheckMoved(LedgerId ledger, const metadata::LedgerMetadata& before,
                  const metadata::LedgerMetadata& after);
  // Copies on the write set that the metadata names.
  int CopiesOf(const metadata::LedgerMetadata& metadata, LedgerId ledger, EntryId entry) const;
  void CheckEnd(LedgerId ledger, const metadata::LedgerMetadata& before,
                const metadata::LedgerMetadata& after);
  void CheckStep(const std::string& process, LedgerId ledger,
                 const metadata::LedgerMetadata& before, const metadata::LedgerMetadata& after);
  // wire_watch_mixed.cc
  void OnAddDespiteFence(const Where& where, EntryId entry);
  bool TookDespiteFence(const Where& where, EntryId entry) const;
  bool IsLateAck(LedgerId ledger, EntryId entry) const;
  bool IsOverride(const std::string& process, LedgerId ledger);

  Stage* stage_;
  Scheduler* scheduler_;
  const metadata::LedgerLayout layout_;
  uint64_t checks_ = 0;
  std::map<uint64_t, wire::ProtocolVersion> versions_;  // by connection
  std::multimap<Key, Asked> asked_;
  // By entry: the step of the first acknowledgement.
  std::map<Where, std::map<EntryId, uint64_t>> stored_;
  std::map<Where, std::set<EntryId>> taken_;       // acknowledged to the ledger's writer
  std::map<Where, std::set<EntryId>> unanswered_;  // sent to it, in this life
  std::map<Where, std::set<EntryId>> doubtful_;    // sent to it and not answered, in an earlier one
  std::map<LedgerId, EntryId> writer_lacs_;        // the highest
  std::map<Where, uint64_t> fenced_;               // the step of the first answer
  bool is_stray_ = false;                          // what is sent next
  std::set<Where> forgotten_;                      // fences that the bookie may have lost
  std::map<Where, std::set<EntryId>> despite_;     // what was taken after that
  std::map<LedgerId, EntryId> late_acks_;          // the first
  std::set<std::string> overriders_;               // processes
  std::map<LedgerId, std::string> makers_;         // their processes
  // By LAC: when the bookie acknowledged the first add that told it, in nanoseconds.
  std::map<Where, std::map<EntryId, int64_t>> lacs_;
  std::map<Where, std::set<EntryId>> shown_;  // read by auditors and workers
  std::map<LedgerId, EntryId> acknowledged_;  // the highest
  struct DebtLimit {
    size_t adds_max;
    int64_t patience_nanoseconds;
  };
  std::map<std::string, DebtLimit> debts_max_;     // by host
  std::map<uint64_t, std::deque<int64_t>> debts_;  // by connection: when unanswered adds were sent
  std::map<LedgerId, metadata::LedgerMetadata> ledgers_;
  std::set<LedgerId> removed_;
  std::map<LedgerId, metadata::LedgerMetadata> last_seen_;  // of those that were removed
  std::set<std::string> damaged_;
  std::set<std::string> set_back_;
  std::map<Where, std::set<EntryId>> unnamed_;  // copies of before that metadata did not name then
  std::set<std::string> disturbed_;
};

}  // namespace stele::simulation
