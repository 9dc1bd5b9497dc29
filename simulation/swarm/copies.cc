#include "simulation/swarm/copies.h"

#include <algorithm>
#include <optional>
#include <variant>
#include <vector>

#include "bookie/testing/wire_client.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/quorum/write_set.h"
#include "common/wire/availability.h"
#include "simulation/cluster.h"

namespace stele::simulation {
namespace {

using wire::ReplyCode;

// Entries that all bookies together are asked to read; every entry is asked for by listing.
constexpr int64_t kReadsMax = 3'000;
// Above every end, and near enough: an index file grows up to there, and a simulated disk has no
// holes.
constexpr int64_t kLateEntry = 1'000'000;

std::map<LedgerId, metadata::LedgerMetadata> ClosedLedgers(const WireWatch& watch) {
  std::map<LedgerId, metadata::LedgerMetadata> closed;
  for (const auto& [ledger, metadata] : watch.ledgers()) {
    if (metadata.IsClosed() && !watch.IsDeleted(ledger)) closed.emplace(ledger, metadata);
  }
  return closed;
}

}  // namespace

// What one bookie is asked. A connection that breaks ends it.
class CopyAudit::Questions {
 public:
  Questions(CopyAudit* audit, const Env& env, std::string host)
      : audit_(audit), host_(std::move(host)), wire_(env, wire::ProtocolVersion::kV3) {}

  Task<absl::Status> AskAll() {
    STELE_CO_TRY_OK(co_await wire_.Connect({host_, kBookiePort}));
    for (const auto& [ledger, metadata] : audit_->ledgers_) {
      STELE_CO_TRY_OK(co_await AskForLedger(ledger, metadata));
    }
    for (const LedgerId ledger : audit_->watch_->removed()) {
      STELE_CO_TRY_OK(co_await AskForDeleted(ledger));
    }
    co_return absl::OkStatus();
  }

 private:
  // Ledgers of the swarm have the client's defaults.
  static bookie::LedgerRequests RequestsOf(LedgerId ledger) {
    return {.ledger = ledger, .password = "", .digest_type = DigestType::kCrc32};
  }
  template <typename... Parts>
  void Violate(std::string_view checker, LedgerId ledger, const Parts&... what) {
    audit_->stage_->Violate(checker, StrCat(host_, ", ledger ", ledger.value(), ": ", what...));
  }

  Task<absl::Status> AskForLedger(LedgerId ledger, const metadata::LedgerMetadata& metadata) {
    std::vector<EntryId> owned;
    for (EntryId entry(0); entry <= metadata.last_entry(); entry = entry.Next()) {
      const std::vector<std::string> hosts = WireWatch::HostsOf(metadata, entry);
      if (std::ranges::find(hosts, host_) != hosts.end()) owned.push_back(entry);
    }
    if (owned.empty()) co_return absl::OkStatus();
    const bookie::LedgerRequests requests = RequestsOf(ledger);
    STELE_CO_TRY(const wire::Reply listed, co_await wire_.Call(requests.ListEntries()));
    std::optional<wire::Availability> has;
    if (listed.code == ReplyCode::kOk) {
      STELE_CO_TRY(has, wire::Availability::Parse(
                            std::get<wire::ListEntriesReply>(listed.body).availability));
    } else if (listed.code == ReplyCode::kUnknownLedgerState &&
               !audit_->watch_->HasAny(host_, ledger)) {
      // It cannot tell what became of entries that it never acknowledged as durable.
      co_return absl::OkStatus();
    } else if (listed.code != ReplyCode::kNoSuchLedger) {
      Violate("OwnCopies", ledger, "its entries cannot be listed: ", wire::NameOf(listed.code));
      co_return absl::OkStatus();
    }
    int64_t number = 0;
    for (const EntryId entry : owned) {
      if (!has.has_value() || !has->Contains(entry)) {
        if (audit_->watch_->Has(host_, ledger, entry)) {
          Violate("AckedSuperset", ledger, "it acknowledged entry ", entry.value(),
                  " and has not got it");
        }
        continue;
      }
      audit_->copies_[{ledger, entry}].insert(host_);
      if (++number % audit_->stride_ == 0) STELE_CO_TRY_OK(co_await ReadEntry(requests, entry));
    }
    // The answer is for WireWatch.
    co_return (co_await wire_.Call(requests.Add(kLateEntry, "late"))).status();
  }

  Task<absl::Status> ReadEntry(bookie::LedgerRequests requests, EntryId entry) {
    STELE_CO_TRY(const wire::Reply reply, co_await wire_.Call(requests.Read(entry.value())));
    if (reply.code != ReplyCode::kOk) {
      Violate("OwnCopies", requests.ledger, "a read of entry ", entry.value(),
              ", which it lists, gives ", wire::NameOf(reply.code));
      co_return absl::OkStatus();
    }
    const auto acknowledged = audit_->acknowledged_.find({requests.ledger, entry});
    if (acknowledged == audit_->acknowledged_.end()) co_return absl::OkStatus();
    const history::PayloadTag tag = history::TagOf(
        requests.PayloadOf(std::get<wire::ReadReply>(reply.body).body, entry.value()));
    if (tag != acknowledged->second) {
      Violate("OwnCopies", requests.ledger, "entry ", entry.value(), " is ", ToText(tag),
              ", but was acknowledged as ", ToText(acknowledged->second));
    }
    co_return absl::OkStatus();
  }

  // One that it had and has not got any more was collected: its tombstone must refuse what comes.
  Task<absl::Status> AskForDeleted(LedgerId ledger) {
    if (!audit_->watch_->HasAny(host_, ledger)) co_return absl::OkStatus();
    const bookie::LedgerRequests requests = RequestsOf(ledger);
    STELE_CO_TRY(const wire::Reply read, co_await wire_.Call(requests.Read(0)));
    if (read.code != ReplyCode::kNoSuchLedger) co_return absl::OkStatus();
    STELE_CO_TRY(const wire::Reply added, co_await wire_.Call(requests.Add(kLateEntry, "late")));
    if (added.code == ReplyCode::kOk) {
      Violate("NoResurrection", ledger, "it was deleted and collected, and takes an add again");
    }
    co_return absl::OkStatus();
  }

  CopyAudit* audit_;
  const std::string host_;
  bookie::WireClient wire_;
};

CopyAudit::CopyAudit(Stage* stage, const WireWatch* watch)
    : stage_(stage), watch_(watch), ledgers_(ClosedLedgers(*watch)) {
  for (const history::Call& call : stage->history().calls()) {
    if (call.question.operation != history::Operation::kAppend || !call.ok()) continue;
    acknowledged_[{call.question.ledger, call.answer.entry}] = call.question.payload;
  }
  int64_t copies = 0;
  for (const auto& [ledger, metadata] : ledgers_) {
    copies += (metadata.last_entry().value() + 1) * metadata.replication().write_quorum_size;
  }
  stride_ = 1 + copies / kReadsMax;
}

Task<void> CopyAudit::Ask(Env env, std::string host, ProbeResult* result) {
  Questions questions(this, env, host);
  const absl::Status asked = co_await questions.AskAll();
  if (!asked.ok()) result->failure = StrCat(host, " cannot be asked: ", ToStd(asked.message()));
  result->ended = true;
}

void CopyAudit::CheckQuorums(const Hazards& hazards, const std::set<LedgerId>& repaired) {
  for (const auto& [ledger, metadata] : ledgers_) {
    if (watch_->IsDeferred(ledger)) continue;
    const bool is_repaired = repaired.contains(ledger);
    const int needed = is_repaired ? metadata.replication().write_quorum_size
                                   : metadata.replication().ack_quorum_size;
    for (EntryId entry(0); entry <= metadata.last_entry(); entry = entry.Next()) {
      const std::set<std::string>& have = copies_[{ledger, entry}];
      int copies = static_cast<int>(have.size());
      std::string missing;
      for (const std::string& host : WireWatch::HostsOf(metadata, entry)) {
        const bool excused = hazards.is_excused(host) && !(is_repaired && hazards.is_gone(host));
        copies += excused ? 1 : 0;
        if (!excused && !have.contains(host)) missing += StrCat(" ", host);
      }
      if (copies >= needed) continue;
      stage_->Violate(is_repaired ? "CopiesAreBack" : "AllCommittedEntriesReachAckQuorum",
                      StrCat("ledger ", ledger.value(), " entry ", entry.value(), " has ", copies,
                             " copies in the end, and needs ", needed, "; it is not on", missing));
      return;
    }
  }
}

}  // namespace stele::simulation
