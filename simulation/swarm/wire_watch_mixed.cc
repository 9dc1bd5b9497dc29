// What peers of Apache's kind may do, and what is excused for it.
//
// A fence that is forgotten (simulation/java_bookie.h). A recovery goes on when every possible ack
// quorum contains a bookie that answered its fence, and ends below an entry that Qw - Qa + 1 of its
// bookies have not got. With exactly so many answers, Qa - 1 bookies of the entry have not been
// heard. If one of those that answered forgets its fence, these Qa - 1 and that one are an ack
// quorum, and the old writer is told OK for an entry that the recovery has proved absent. With more
// answers than it needs a recovery would be safe, but it cannot wait for what may never come, and
// nothing tells it which bookies forget. So an acknowledgement is excused when it needed a bookie
// that took the entry after it had forgotten. If there is an ack quorum without such bookies, it is
// a finding as ever.
//
// A writer that closes over a recovery. It knows what it was acknowledged, and its handle is dead:
// nothing is lost, and its end needs no fence, so EndIsFinal does not apply. All else does, for
// recoveries of ours tell no LAC above that of the writer.
#include <algorithm>

#include "common/base/strings.h"
#include "simulation/swarm/wire_watch.h"

namespace stele::simulation {

void WireWatch::BeforeStray() {
  is_stray_ = true;
  scheduler_->faults().Count("java.stray frame");
}

void WireWatch::OnLostFence(const std::string& bookie, LedgerId ledger) {
  if (!fenced_.contains({bookie, ledger})) return;
  forgotten_.insert({bookie, ledger});
  scheduler_->faults().Count("java.early fence lost");
}

void WireWatch::OnAddDespiteFence(const Where& where, EntryId entry) {
  despite_[where].insert(entry);
  scheduler_->faults().Count("java.add despite a fence");
}

bool WireWatch::TookDespiteFence(const Where& where, EntryId entry) const {
  const auto took = despite_.find(where);
  return took != despite_.end() && took->second.contains(entry);
}

bool WireWatch::IsLateAck(LedgerId ledger, EntryId entry) const {
  auto found = ledgers_.find(ledger);
  if (found == ledgers_.end()) {
    found = last_seen_.find(ledger);
    if (found == last_seen_.end()) return false;
  }
  const metadata::LedgerMetadata& metadata = found->second;
  if (metadata.state() == metadata::LedgerState::kOpen) return false;
  if (metadata.IsClosed() && entry <= metadata.last_entry()) return false;
  int honest = 0;
  int forgetful = 0;
  for (const std::string& bookie : HostsOf(metadata, entry)) {
    const auto taken = taken_.find({bookie, ledger});
    if (taken == taken_.end() || !taken->second.contains(entry)) continue;
    (TookDespiteFence({bookie, ledger}, entry) ? forgetful : honest) += 1;
  }
  return forgetful > 0 && honest < metadata.replication().ack_quorum_size;
}

bool WireWatch::IsOverride(const std::string& process, LedgerId ledger) {
  const auto maker = makers_.find(ledger);
  if (maker == makers_.end() || maker->second != process) return false;
  if (!overriders_.contains(process)) return false;
  scheduler_->faults().Count("java.close over a recovery");
  stage_->Mark(history::Mark::Kind::kOverride, process, StrCat(ledger.value()));
  return true;
}

}  // namespace stele::simulation
