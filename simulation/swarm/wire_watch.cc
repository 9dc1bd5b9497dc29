#include "simulation/swarm/wire_watch.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/strings.h"
#include "common/wire/entry_packet.h"
#include "metadata/ledger_metadata_codec.h"

namespace stele::simulation {
namespace {

constexpr char kRoot[] = "/ledgers";
// A long poll that waits on, although its bookie knows what it waits for, has been forgotten.
constexpr int64_t kWakeMaxNanoseconds = 100'000'000;

// Hosts of bookies are "b1", "b2", ...; those of clients have names of roles.
bool IsBookie(const std::string& host) {
  return host.size() >= 2 && host[0] == 'b' && host[1] >= '0' && host[1] <= '9';
}

std::string NameOf(LedgerId ledger, EntryId entry) {
  return StrCat("ledger ", ledger.value(), " entry ", entry.value());
}

bool IsNegative(wire::ReplyCode code) {
  return code == wire::ReplyCode::kNoSuchEntry || code == wire::ReplyCode::kNoSuchLedger;
}

}  // namespace

WireWatch::WireWatch(Stage* stage, Scheduler* scheduler)
    : stage_(stage), scheduler_(scheduler), layout_(kRoot, metadata::LayoutType::kHierarchical) {}

// ---- Frames

void WireWatch::OnDelivered(uint64_t connection, const std::string& from, const std::string& to,
                            const Buffer& frame) {
  if (!IsBookie(to)) return;
  const wire::DecodedRequest decoded = wire::DecodeRequest(frame);
  const auto* request = std::get_if<wire::Request>(&decoded);
  if (request == nullptr) return;
  Asked asked{.operation = request->header.operation,
              .delivered_nanoseconds = scheduler_->Now().nanoseconds(),
              .delivered_at = scheduler_->steps()};
  if (const auto* lac = std::get_if<wire::WriteLacRequest>(&request->body)) {
    OnWriterLac(lac->ledger, lac->lac);
    return;
  }
  if (const auto* add = std::get_if<wire::AddRequest>(&request->body)) {
    asked.ledger = add->ledger;
    asked.entry = add->entry;
    asked.recovery = add->recovery;
    asked.deferred_sync = add->deferred_sync;
    const auto ids = wire::ParseEntryIds(add->body.view());
    asked.lac = ids.ok() ? ids->last_add_confirmed : kNoEntry;
    OnAdd(from, to, asked);
  } else if (const auto* read = std::get_if<wire::ReadRequest>(&request->body)) {
    asked.previous_lac = read->previous_lac;
    asked.ledger = read->ledger;
    asked.entry = read->entry;
    asked.fence = read->fence_key.has_value();
  } else {
    return;
  }
  const bool v2 = request->header.version == wire::ProtocolVersion::kV2;
  versions_[connection] = request->header.version;
  asked_.emplace(Key{.connection = connection,
                     .txn_id = v2 ? 0 : request->header.txn_id,
                     .operation = static_cast<int>(asked.operation),
                     .ledger = v2 ? asked.ledger.value() : 0,
                     .entry = v2 ? asked.entry.value() : 0},
                 asked);
}

void WireWatch::OnSent(uint64_t connection, const std::string& from, const std::string& to,
                       const Buffer& frame) {
  if (!IsBookie(from)) return CountAdd(connection, from, to, frame);
  if (std::exchange(is_stray_, false)) return;
  const auto version = versions_.find(connection);
  if (version == versions_.end()) return;
  const auto reply = wire::DecodeReply(version->second, frame);
  if (!reply.ok()) return;
  const auto debts = debts_.find(connection);
  if (reply->operation == wire::Operation::kAdd && debts != debts_.end() &&
      !debts->second.empty()) {
    debts->second.pop_front();
  }
  Key key{.connection = connection,
          .txn_id = reply->txn_id,
          .operation = static_cast<int>(reply->operation)};
  if (version->second == wire::ProtocolVersion::kV2) {
    if (const auto* add = std::get_if<wire::AddReply>(&reply->body)) {
      key.ledger = add->ledger.value();
      key.entry = add->entry.value();
    } else if (const auto* read = std::get_if<wire::ReadReply>(&reply->body)) {
      key.ledger = read->ledger.value();
      key.entry = read->entry.value();
    }
  }
  const auto found = asked_.find(key);
  if (found == asked_.end()) return;
  const Asked asked = found->second;
  asked_.erase(found);
  ++checks_;
  if (asked.operation == wire::Operation::kAdd) {
    OnAddReply(from, asked, reply->code);
    if (asked.recovery && reply->code == wire::ReplyCode::kOk) {
      OnRecoveryAdd(to, asked.ledger, asked.entry);
    }
  } else if (asked.previous_lac.has_value()) {
    OnLongPollReply(from, asked);
  } else {
    OnReadReply(from, asked, reply->code);
    if (reply->code == wire::ReplyCode::kOk && to.starts_with(NameOf(Role::kAutorecovery))) {
      shown_[{from, asked.ledger}].insert(asked.entry);
    }
  }
}

void WireWatch::OnWriterLac(LedgerId ledger, EntryId lac) {
  EntryId& highest = writer_lacs_.try_emplace(ledger, kNoEntry).first->second;
  highest = std::max(highest, lac);
}

void WireWatch::OnAdd(const std::string& client, const std::string& bookie, const Asked& asked) {
  const Where where(bookie, asked.ledger);
  unanswered_[where].insert(asked.entry);
  if (const auto doubtful = doubtful_.find(where); doubtful != doubtful_.end()) {
    doubtful->second.erase(asked.entry);
  }
  if (!asked.recovery) return OnWriterLac(asked.ledger, asked.lac);
  const auto found = ledgers_.find(asked.ledger);
  if (found == ledgers_.end()) return;
  ++checks_;
  EntryId bound = found->second.last_fragment().first_entry.Previous();
  for (const std::map<LedgerId, EntryId>* known : {&writer_lacs_, &acknowledged_}) {
    const auto highest = known->find(asked.ledger);
    if (highest != known->end()) bound = std::max(bound, highest->second);
  }
  if (asked.lac <= bound) return;
  stage_->Violate("RecoveryLac", StrCat(client, " writes ", NameOf(asked.ledger, asked.entry),
                                        " back with LAC ", asked.lac.value(),
                                        "; all that its writer can have told is ", bound.value()));
}

void WireWatch::CountAdd(uint64_t connection, const std::string& client, const std::string& bookie,
                         const Buffer& frame) {
  const auto limit = debts_max_.find(client);
  if (limit == debts_max_.end()) return;
  const wire::DecodedRequest decoded = wire::DecodeRequest(frame);
  const auto* request = std::get_if<wire::Request>(&decoded);
  if (request == nullptr || !std::holds_alternative<wire::AddRequest>(request->body)) return;
  ++checks_;
  std::deque<int64_t>& debts = debts_[connection];
  const int64_t now = scheduler_->Now().nanoseconds();
  debts.push_back(now);
  while (debts.front() < now - limit->second.patience_nanoseconds) debts.pop_front();
  if (debts.size() != limit->second.adds_max + 1) return;
  stage_->Violate("BoundedDebt", StrCat(client, " has ", debts.size(), " adds under way to ",
                                        bookie, ", which may owe it ", limit->second.adds_max));
}

// While a ledger is in recovery nobody changes its fragments.
void WireWatch::OnRecoveryAdd(const std::string& client, LedgerId ledger, EntryId entry) {
  const auto found = ledgers_.find(ledger);
  if (found == ledgers_.end() || client.starts_with(NameOf(Role::kAutorecovery))) return;
  if (found->second.state() != metadata::LedgerState::kInRecovery) return;
  ++checks_;
  const EntryId first = found->second.last_fragment().first_entry;
  if (entry >= first) return;
  stage_->Violate("RecoveryTail", StrCat(client, " writes ", NameOf(ledger, entry),
                                         " back; the last fragment begins at ", first.value()));
}

void WireWatch::OnAddReply(const std::string& bookie, const Asked& asked, wire::ReplyCode code) {
  const Where where(bookie, asked.ledger);
  if (const auto waiting = unanswered_.find(where); waiting != unanswered_.end()) {
    waiting->second.erase(asked.entry);
  }
  if (code != wire::ReplyCode::kOk) return;
  if (!asked.recovery) taken_[where].insert(asked.entry);
  if (!asked.deferred_sync) stored_[where].emplace(asked.entry, scheduler_->steps());
  if (const auto unnamed = unnamed_.find(where); unnamed != unnamed_.end()) {
    unnamed->second.erase(asked.entry);
  }
  if (!asked.lac.IsNone()) lacs_[where].emplace(asked.lac, scheduler_->Now().nanoseconds());
  const auto fenced = fenced_.find(where);
  if (asked.recovery || fenced == fenced_.end() || asked.delivered_at <= fenced->second) return;
  if (forgotten_.contains(where)) return OnAddDespiteFence(where, asked.entry);
  stage_->Violate("FenceMonotone",
                  StrCat(bookie, " took a normal add of ", NameOf(asked.ledger, asked.entry),
                         ", which came in step ", asked.delivered_at,
                         "; it had answered a fence in step ", fenced->second));
}

void WireWatch::OnReadReply(const std::string& bookie, const Asked& asked, wire::ReplyCode code) {
  const Where where(bookie, asked.ledger);
  if (asked.fence && (code == wire::ReplyCode::kOk || IsNegative(code))) {
    if (forgotten_.erase(where) > 0) fenced_.erase(where);
    fenced_.emplace(where, scheduler_->steps());
  }
  if (const auto doubtful = doubtful_.find(where); code == wire::ReplyCode::kOk &&
                                                   doubtful != doubtful_.end() &&
                                                   doubtful->second.erase(asked.entry) > 0) {
    stored_[where].emplace(asked.entry, scheduler_->steps());
  }
  // A ledger without metadata may be collected: it was deleted, or an intruder's.
  if (!ledgers_.contains(asked.ledger) || IsDeleted(asked.ledger)) return;
  if (!IsNegative(code) || damaged_.contains(bookie)) return;
  const auto stored = stored_.find(where);
  if (stored == stored_.end()) return;
  // Of the whole ledger, any entry is enough.
  auto entry = stored->second.find(asked.entry);
  if (code == wire::ReplyCode::kNoSuchLedger || asked.entry.IsNone()) {
    entry = stored->second.begin();
    while (entry != stored->second.end() && !MustKnow(bookie, asked.ledger, entry->first)) ++entry;
  } else if (!MustKnow(bookie, asked.ledger, asked.entry)) {
    return;
  }
  if (entry == stored->second.end() || entry->second >= asked.delivered_at) return;
  stage_->Violate("NegativesWereTrue",
                  StrCat(bookie, " says ", wire::NameOf(code), " to a read of ",
                         NameOf(asked.ledger, asked.entry), ", and acknowledged entry ",
                         entry->first.value(), " in step ", entry->second));
}

bool WireWatch::MustKnow(const std::string& bookie, LedgerId ledger, EntryId entry) const {
  if (!set_back_.contains(bookie)) return true;
  const auto unnamed = unnamed_.find({bookie, ledger});
  if (unnamed != unnamed_.end() && unnamed->second.contains(entry)) return false;
  return IsNamed(bookie, ledger, entry);
}

bool WireWatch::IsNamed(const std::string& bookie, LedgerId ledger, EntryId entry) const {
  const auto found = ledgers_.find(ledger);
  if (found == ledgers_.end()) return false;
  // A recovery has decided that it is no entry of the ledger.
  if (found->second.IsClosed() && entry > found->second.last_entry()) return false;
  const std::vector<std::string> hosts = HostsOf(found->second, entry);
  return std::ranges::find(hosts, bookie) != hosts.end();
}

// ---- Restarts

void WireWatch::MarkSetBack(const std::string& bookie) {
  set_back_.insert(bookie);
  for (const auto& [where, entries] : stored_) {
    if (where.first != bookie) continue;
    for (const auto& [entry, step] : entries) {
      if (!IsNamed(bookie, where.second, entry)) unnamed_[where].insert(entry);
    }
  }
  std::erase_if(fenced_, [&](const auto& fenced) {
    const auto& [host, ledger] = fenced.first;
    const auto found = ledgers_.find(ledger);
    if (host != bookie) return false;
    return found == ledgers_.end() ||
           std::ranges::none_of(found->second.last_fragment().ensemble, [&](const BookieId& id) {
             return id.value().starts_with(bookie + ":");
           });
  });
}

void WireWatch::OnRestart(const std::string& bookie) {
  for (auto sent = unanswered_.lower_bound({bookie, LedgerId(0)});
       sent != unanswered_.end() && sent->first.first == bookie; sent = unanswered_.erase(sent)) {
    doubtful_[sent->first].insert(sent->second.begin(), sent->second.end());
  }
  // The last write before the end may be lost without a trace, and it may have been a fence.
  if (!IsDamaged(bookie)) return;
  const auto first = fenced_.lower_bound({bookie, LedgerId(0)});
  auto end = first;
  while (end != fenced_.end() && end->first.first == bookie) ++end;
  fenced_.erase(first, end);
}

std::vector<std::pair<LedgerId, EntryId>> WireWatch::RollCall(const std::string& bookie) const {
  constexpr size_t kEntriesMax = 20;  // of each kind
  constexpr int kOfLedgerMax = 4;
  std::vector<std::pair<LedgerId, EntryId>> entries;
  const auto youngest = [&](const auto& all, const auto& entry_of) {
    const size_t most = entries.size() + kEntriesMax;
    auto place = all.upper_bound({bookie, LedgerId(INT64_MAX)});
    while (place != all.begin() && (--place)->first.first == bookie) {
      if (!ledgers_.contains(place->first.second) || IsDeleted(place->first.second)) continue;
      int count = 0;
      for (auto last = place->second.rbegin();
           last != place->second.rend() && count < kOfLedgerMax && entries.size() < most;
           ++last, ++count) {
        entries.emplace_back(place->first.second, entry_of(*last));
      }
      if (entries.size() == most) return;
    }
  };
  youngest(doubtful_, [](EntryId entry) { return entry; });
  youngest(stored_, [](const auto& stored) { return stored.first; });
  return entries;
}

void WireWatch::OnLongPollReply(const std::string& bookie, const Asked& asked) {
  if (disturbed_.contains(bookie)) return;
  const auto lacs = lacs_.find({bookie, asked.ledger});
  if (lacs == lacs_.end()) return;
  const auto told = lacs->second.upper_bound(*asked.previous_lac);
  if (told == lacs->second.end()) return;
  const int64_t late =
      scheduler_->Now().nanoseconds() - std::max(told->second, asked.delivered_nanoseconds);
  if (late < kWakeMaxNanoseconds) return;
  stage_->Violate("LongPollWakes",
                  StrCat(bookie, " lets a long poll of ledger ", asked.ledger.value(),
                         " behind LAC ", asked.previous_lac->value(), " wait for ", late,
                         " ns after it was told LAC ", told->first.value()));
}

bool WireWatch::HasShown(const std::string& bookie, LedgerId ledger, EntryId entry) const {
  const auto shown = shown_.find({bookie, ledger});
  return shown != shown_.end() && shown->second.contains(entry);
}

bool WireWatch::Has(const std::string& bookie, LedgerId ledger, EntryId entry) const {
  const auto stored = stored_.find({bookie, ledger});
  return stored != stored_.end() && stored->second.contains(entry);
}

// ---- Metadata

bool WireWatch::IsDeleted(LedgerId ledger) const {
  if (removed_.contains(ledger)) return true;
  return std::ranges::any_of(stage_->ledgers(), [ledger](const KnownLedger& known) {
    return known.id == ledger && known.deleted;
  });
}

bool WireWatch::IsDeferred(LedgerId ledger) const {
  return std::ranges::any_of(stage_->ledgers(), [ledger](const KnownLedger& known) {
    return known.id == ledger && known.deferred_sync;
  });
}

int WireWatch::CopiesOf(const metadata::LedgerMetadata& metadata, LedgerId ledger,
                        EntryId entry) const {
  int copies = 0;
  for (const std::string& bookie : HostsOf(metadata, entry)) {
    const bool has = Has(bookie, ledger, entry) || HasShown(bookie, ledger, entry);
    copies += has || damaged_.contains(bookie) ? 1 : 0;
  }
  return copies;
}

std::vector<std::string> WireWatch::HostsOf(const metadata::LedgerMetadata& metadata,
                                            EntryId entry) {
  const metadata::Ensemble& ensemble = metadata.FragmentOf(entry).ensemble;
  const quorum::WriteSet write_set(entry, metadata.replication());
  std::vector<std::string> hosts;
  for (int i = 0; i < write_set.size(); ++i) {
    const std::string& id = ensemble[static_cast<size_t>(write_set[i])].value();
    hosts.push_back(id.substr(0, id.find(':')));
  }
  return hosts;
}

void WireWatch::CheckRepair(LedgerId ledger, const metadata::LedgerMetadata& before,
                            const metadata::LedgerMetadata& after) {
  const auto& now = after.fragments();
  for (size_t i = 0; i < now.size(); ++i) {
    const metadata::Ensemble& ensemble = now[i].ensemble;
    if (std::set<BookieId>(ensemble.begin(), ensemble.end()).size() != ensemble.size()) {
      stage_->Violate("RepairHarmless",
                      StrCat("ledger ", ledger.value(), ": the fragment from ",
                             now[i].first_entry.value(), " on names a bookie twice"));
    }
    if (IsDeferred(ledger) || IsDeleted(ledger)) continue;
    // Of a fragment that was open only its writer, or a recovery, replaces bookies. A recovery that
    // loses several bookies names all that it tried in one change, also one that died before it
    // took the entries for which the others are enough.
    if (!before.IsClosed() && now[i].first_entry >= before.last_fragment().first_entry) continue;
    const bool ends = i + 1 < now.size();
    const EntryId last = ends ? now[i + 1].first_entry.Previous() : after.last_entry();
    for (EntryId entry = now[i].first_entry; entry <= last; entry = entry.Next()) {
      const metadata::Ensemble& old = before.FragmentOf(entry).ensemble;
      if (old == ensemble) break;
      for (const std::string& host : HostsOf(after, entry)) {
        const bool is_new = std::ranges::none_of(
            old, [&](const BookieId& member) { return member.value().starts_with(host + ":"); });
        if (!is_new || Has(host, ledger, entry) || HasShown(host, ledger, entry)) continue;
        if (damaged_.contains(host)) continue;
        stage_->Violate("RepairHarmless", StrCat(host, " is named for ", NameOf(ledger, entry),
                                                 ", and has not shown that it has it"));
        return;
      }
    }
  }
}

void WireWatch::OnAcknowledged(LedgerId ledger, EntryId entry) {
  if (IsLateAck(ledger, entry)) {
    late_acks_.emplace(ledger, entry);
    scheduler_->faults().Count("java.late ack");
    stage_->Mark(history::Mark::Kind::kLateAck, "", StrCat(ledger.value(), " ", entry.value()));
  }
  const auto found = ledgers_.find(ledger);
  if (found == ledgers_.end() || IsDeleted(ledger) || IsDeferred(ledger)) return;
  ++checks_;
  // What is acknowledged behind one that is late goes with it.
  const auto first_late = late_acks_.find(ledger);
  if (first_late == late_acks_.end() || entry < first_late->second) {
    EntryId& highest = acknowledged_.try_emplace(ledger, kNoEntry).first->second;
    highest = std::max(highest, entry);
  }
  const int copies = CopiesOf(found->second, ledger, entry);
  if (copies >= found->second.replication().ack_quorum_size) return;
  stage_->Violate("AckGate", StrCat(NameOf(ledger, entry), " is acknowledged with ", copies,
                                    " copies where the metadata says that they are; ack quorum ",
                                    found->second.replication().ack_quorum_size));
}

void WireWatch::OnWritten(const std::string& process, const MetadataRequest& request) {
  const std::optional<LedgerId> ledger = layout_.LedgerOf(request.path);
  if (!ledger.has_value()) return;
  ++checks_;
  if (request.operation == MetadataOperation::kDelete) {
    removed_.insert(*ledger);
    if (auto last = ledgers_.extract(*ledger); !last.empty()) last_seen_.insert(std::move(last));
    return;
  }
  auto parsed = metadata::ParseLedgerMetadata(request.value);
  if (!parsed.ok()) {
    stage_->Violate("CasHistory", StrCat(process, " wrote metadata of ledger ", ledger->value(),
                                         " that cannot be read"));
    return;
  }
  const auto found = ledgers_.find(*ledger);
  if (found != ledgers_.end()) {
    if (request.operation == MetadataOperation::kPut && request.expected == metadata::kAnyVersion) {
      stage_->Violate("CasHistory",
                      StrCat(process, " wrote ledger ", ledger->value(), " without a version"));
    }
    CheckStep(process, *ledger, found->second, *parsed);
    CheckMoved(*ledger, found->second, *parsed);
    CheckRepair(*ledger, found->second, *parsed);
    found->second = *std::move(parsed);
  } else {
    if (removed_.contains(*ledger)) {
      stage_->Violate("CasHistory", StrCat(process, " made ledger ", ledger->value(),
                                           " again after it was deleted"));
    }
    ledgers_.emplace(*ledger, *std::move(parsed));
    makers_[*ledger] = process;
  }
}

void WireWatch::CheckMoved(LedgerId ledger, const metadata::LedgerMetadata& before,
                           const metadata::LedgerMetadata& after) {
  const auto acknowledged = acknowledged_.find(ledger);
  if (acknowledged == acknowledged_.end() || IsDeleted(ledger)) return;
  for (const metadata::Fragment& fragment : after.fragments()) {
    for (EntryId entry = fragment.first_entry; entry <= acknowledged->second;
         entry = entry.Next()) {
      if (&after.FragmentOf(entry) != &fragment ||
          before.FragmentOf(entry).ensemble == fragment.ensemble) {
        break;
      }
      const int copies = CopiesOf(after, ledger, entry);
      if (copies >= after.replication().ack_quorum_size) continue;
      stage_->Violate("AckGate", StrCat(NameOf(ledger, entry), " is acknowledged, and has ", copies,
                                        " copies where new metadata says that they are"));
      return;
    }
  }
}

// A recovery has seen that the next entry is on too few bookies, and made sure that it stays so.
void WireWatch::CheckEnd(LedgerId ledger, const metadata::LedgerMetadata& before,
                         const metadata::LedgerMetadata& after) {
  if (IsDeleted(ledger)) return;
  const EntryId next = after.last_entry().Next();
  int open = 0;
  std::string who;
  for (const std::string& bookie : HostsOf(before, next)) {
    const Where where(bookie, ledger);
    const auto taken = taken_.find(where);
    const bool has =
        taken != taken_.end() && taken->second.contains(next) && !TookDespiteFence(where, next);
    if (damaged_.contains(bookie) || (!has && fenced_.contains(where))) continue;
    ++open;
    who += StrCat(" ", bookie, has ? " has it" : " is not fenced");
  }
  if (open < before.replication().ack_quorum_size) return;
  stage_->Violate("EndIsFinal",
                  StrCat("ledger ", ledger.value(), " is closed at ", after.last_entry().value(),
                         ", and its writer may still get ", open,
                         " acknowledgements for the next entry:", who));
}

void WireWatch::CheckStep(const std::string& process, LedgerId ledger,
                          const metadata::LedgerMetadata& before,
                          const metadata::LedgerMetadata& after) {
  const auto violate = [&](std::string_view what) {
    stage_->Violate("CasHistory", StrCat("ledger ", ledger.value(), ": ", what));
  };
  if (after.state() < before.state()) violate("its state went back");
  if (!(after.replication() == before.replication())) violate("its replication changed");
  if (before.IsClosed() && (after.last_entry() != before.last_entry() ||
                            after.length_bytes() != before.length_bytes())) {
    violate("its end changed after it was closed");
  }
  const auto& old = before.fragments();
  const auto& now = after.fragments();
  if (now.size() < old.size()) violate("it lost a fragment");
  for (size_t i = 0; i < std::min(old.size(), now.size()); ++i) {
    if (old[i].first_entry != now[i].first_entry) violate("a fragment begins elsewhere");
  }
  // Recovery writes its replacements when it closes, not before; what lies behind is repaired at
  // any time.
  if (before.state() == metadata::LedgerState::kInRecovery && !after.IsClosed() &&
      !(now.back() == old.back())) {
    violate("its ensembles changed during recovery");
  }
  if (before.IsClosed() || !after.IsClosed() || IsDeferred(ledger)) return;
  if (before.state() == metadata::LedgerState::kInRecovery && !IsOverride(process, ledger)) {
    CheckEnd(ledger, before, after);
  }
  for (EntryId entry(0); entry <= after.last_entry(); entry = entry.Next()) {
    const int copies = CopiesOf(after, ledger, entry);
    if (copies >= after.replication().ack_quorum_size) continue;
    stage_->Violate("ClosedReplicated",
                    StrCat(NameOf(ledger, entry), " has ", copies, " copies when it is closed"));
    break;
  }
}

}  // namespace stele::simulation
