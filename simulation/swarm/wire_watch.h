// WireWatch: sees every request that reaches a bookie, every reply that leaves one, and every write
// that the metadata store applied, and judges them at that moment against what went before:
//
//   FenceMonotone       after a bookie answered a fence, no normal add that came later is ok there
//   NegativesWereTrue   "no such entry" and "no such ledger" come from bookies that have not got it
//   AckGate             at each OK of an append an ack quorum of its persisted write set has it
//   CasHistory          a ledger's metadata takes legal steps only
//   ClosedReplicated    at close each entry up to the end has an ack quorum of copies
//
// What a bookie "has" is what it has acknowledged, to whomever, in whatever life of its process.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

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
  WireWatch(Stage* stage, const Scheduler* scheduler);

  void OnSent(uint64_t connection, const std::string& from, const std::string& to,
              const Buffer& frame) override;
  void OnDelivered(uint64_t connection, const std::string& from, const std::string& to,
                   const Buffer& frame) override;
  void OnWritten(const std::string& process, const MetadataRequest& request) override;

  // An append was told ok.
  void OnAcknowledged(LedgerId ledger, EntryId entry);
  // The bookie's disk was damaged: it may have lost anything.
  void MarkDamaged(const std::string& bookie) { damaged_.insert(bookie); }

  uint64_t checks() const { return checks_; }

  // The bookie has acknowledged it.
  bool Has(const std::string& bookie, LedgerId ledger, EntryId entry) const;
  bool HasAny(const std::string& bookie, LedgerId ledger) const {
    return stored_.contains({bookie, ledger});
  }
  // As they are stored now.
  const std::map<LedgerId, metadata::LedgerMetadata>& ledgers() const { return ledgers_; }
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

  void OnAddReply(const std::string& bookie, const Asked& asked, wire::ReplyCode code);
  void OnReadReply(const std::string& bookie, const Asked& asked, wire::ReplyCode code);
  // Copies on the write set that the metadata names.
  int CopiesOf(const metadata::LedgerMetadata& metadata, LedgerId ledger, EntryId entry) const;
  void CheckStep(LedgerId ledger, const metadata::LedgerMetadata& before,
                 const metadata::LedgerMetadata& after);

  Stage* stage_;
  const Scheduler* scheduler_;
  const metadata::LedgerLayout layout_;
  uint64_t checks_ = 0;
  std::map<uint64_t, wire::ProtocolVersion> versions_;  // by connection
  std::multimap<Key, Asked> asked_;
  // By entry: the step of the first acknowledgement.
  std::map<Where, std::map<EntryId, uint64_t>> stored_;
  std::map<Where, uint64_t> fenced_;  // the step of the first answer
  std::map<LedgerId, metadata::LedgerMetadata> ledgers_;
  std::set<LedgerId> removed_;
  std::set<std::string> damaged_;
};

}  // namespace stele::simulation
