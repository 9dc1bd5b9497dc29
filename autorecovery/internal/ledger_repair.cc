#include "autorecovery/internal/ledger_repair.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "autorecovery/internal/bookie_answers.h"
#include "client/internal/ledger_cell.h"
#include "client/internal/ledger_recovery.h"
#include "client/internal/recovery_rules.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cas_loop.h"

namespace stele::autorecovery {
namespace {

using metadata::LedgerMetadata;
using Kind = RepairOutcome::Kind;

// A target that fails is replaced by the next; after so many the attempt is over.
constexpr int kRoundsMax = 5;
// How long the metadata store may be away before a repair is given up and tried anew.
constexpr absl::Duration kMetadataTimeout = absl::Seconds(60);

class Repair {
 public:
  Repair(CopyContext* context, const RepairDefaults* defaults, const std::set<BookieId>* avoid,
         RepairRequest request)
      : context_(context),
        defaults_(defaults),
        avoid_(avoid),
        request_(std::move(request)),
        looks_at_all_(request_.suspects.empty() && request_.leaving.empty()),
        suspects_(request_.suspects.begin(), request_.suspects.end()) {}

  Task<RepairOutcome> Run() {
    absl::Status status = co_await Work();
    const ErrorCode code = CodeOf(status);
    if (code == ErrorCode::kNoSuchLedgerMetadata) {
      outcome_.kind = Kind::kGone;
    } else if (code == ErrorCode::kStopped) {
      outcome_.kind = Kind::kInterrupted;
    } else if (outcome_.quarantine.has_value()) {
      outcome_.kind = Kind::kHopeless;
    } else if (!status.ok()) {
      outcome_.kind = Kind::kFailed;
    }
    STELE_SOMETIMES(kRepairLedgerGone, outcome_.kind == Kind::kGone);
    STELE_SOMETIMES(kRepairHopeless, outcome_.kind == Kind::kHopeless);
    STELE_SOMETIMES(kRepairNothingMissing, outcome_.kind == Kind::kDone &&
                                               outcome_.entries_copied == 0 &&
                                               outcome_.members_replaced == 0);
    outcome_.status = std::move(status);
    co_return std::move(outcome_);
  }

 private:
  client::ClientContext* client() const { return context_->client; }
  const metadata::BookieSet& bookies() const { return context_->registry->bookies(); }
  LedgerId ledger() const { return request_.ledger; }

  Task<absl::Status> Work() {
    STELE_CO_TRY(metadata::Versioned<LedgerMetadata> read,
                 co_await client()->ledgers->Read(ledger()));
    const LedgerMetadata& metadata = read.value;
    keys_ = metadata.password().has_value() ? std::make_shared<const client::LedgerKeys>(
                                                  metadata.digest_type(), *metadata.password())
                                            : std::make_shared<const client::LedgerKeys>(
                                                  defaults_->digest_type, defaults_->password);
    cell_ = std::make_shared<client::LedgerCell>(client()->ledgers, ledger(), std::move(read),
                                                 kMetadataTimeout);
    STELE_CO_TRY_OK(co_await ProbeLost());
    if (request_.may_fence && IsTailBroken(cell_->value(), bookies())) {
      STELE_CO_TRY_OK(co_await client::RecoverLedger({client(), cell_, keys_}));
      STELE_SOMETIMES(kRepairFences, true);
      outcome_.was_fenced = true;
    }
    absl::Status first_error;
    for (const SealedFragment& fragment : SealedFragments(cell_->value())) {
      const absl::Status repaired = co_await RepairFragment(fragment.first);
      const ErrorCode code = CodeOf(repaired);
      if (code == ErrorCode::kStopped || code == ErrorCode::kNoSuchLedgerMetadata) {
        co_return repaired;
      }
      // One fragment that cannot be repaired does not keep the others from it.
      if (first_error.ok()) first_error = repaired;
    }
    if (first_error.ok() && IsTailBroken(cell_->value(), bookies())) {
      outcome_.kind = Kind::kTailBroken;
    }
    co_return first_error;
  }

  // What could not be read last time: when it is still so, nothing is copied in vain.
  Task<absl::Status> ProbeLost() {
    for (const metadata::QuarantineRecord::Range& range : request_.lost_last_time) {
      const LedgerMetadata& metadata = cell_->value();
      if (metadata.IsClosed() && range.first > metadata.last_entry()) continue;
      const metadata::Ensemble ensemble = metadata.FragmentOf(range.first).ensemble;
      const quorum::WriteSet write_set(range.first, metadata.replication());
      bool is_found = false;
      absl::Status not_now;
      std::vector<std::pair<BookieId, std::string>> evidence;
      for (int offset = 0; offset < write_set.size() && !is_found; ++offset) {
        const BookieId bookie = ensemble[static_cast<size_t>(write_set[offset])];
        if (!bookies().IsUp(bookie)) {
          evidence.emplace_back(bookie, "is not registered");
          continue;
        }
        const auto copy = co_await ReadCopy(client(), keys_.get(), bookie, ledger(), range.first);
        is_found = copy.ok();
        const ErrorCode code = CodeOf(copy.status());
        if (!copy.ok()) evidence.emplace_back(bookie, std::string(NameOf(code)));
        if (!copy.ok() && !IsDefinite(code)) not_now = copy.status();
      }
      if (is_found) continue;
      STELE_CO_TRY_OK(not_now);
      co_return Hopeless(range.first, std::move(evidence));
    }
    co_return absl::OkStatus();
  }

  absl::Status Hopeless(EntryId entry, std::vector<std::pair<BookieId, std::string>> evidence) {
    if (!outcome_.quarantine.has_value()) outcome_.quarantine.emplace();
    metadata::QuarantineRecord& record = *outcome_.quarantine;
    record.reason = "no bookie that is up has a good copy of some entries";
    record.entries.push_back({entry, entry});
    for (auto& said : evidence) record.evidence.push_back(std::move(said));
    return MakeError(ErrorCode::kNoSuchEntry,
                     StrCat("no bookie has a good copy of entry ", entry.value()));
  }

  // The fragment as the metadata has it now; nothing when it has gone.
  std::optional<SealedFragment> Find(EntryId first) const {
    for (SealedFragment& fragment : SealedFragments(cell_->value())) {
      if (fragment.first == first) return std::move(fragment);
    }
    return std::nullopt;
  }

  Task<absl::Status> RepairFragment(EntryId first) {
    std::set<BookieId> failed;  // as targets, for this fragment
    absl::Status last_error;
    for (int round = 0; round < kRoundsMax; ++round) {
      const std::optional<SealedFragment> fragment = Find(first);
      if (!fragment.has_value()) co_return absl::OkStatus();
      STELE_CO_TRY(std::vector<CopyTarget> targets, co_await Plan(*fragment, failed));
      if (targets.empty()) co_return absl::OkStatus();
      CopyResult copied =
          co_await CopyFragment(context_, keys_.get(), ledger(), cell_->value().replication(),
                                *fragment, targets, ExpectedEntrySize());
      outcome_.entries_copied += copied.entries_copied;
      outcome_.bytes_copied += copied.bytes_copied;
      for (BookieIndex index : copied.lacking) {
        suspects_.insert(fragment->ensemble[static_cast<size_t>(index)]);
      }
      last_error = copied.status;
      if (copied.status.ok()) {
        last_error = co_await Name(first, targets);
        if (last_error.ok() && copied.lacking.empty()) co_return last_error;
        if (last_error.ok() || CodeOf(last_error) == ErrorCode::kMetadataConflict) continue;
        co_return last_error;
      }
      if (!copied.lost_entry.IsNone()) {
        co_return Hopeless(copied.lost_entry, std::move(copied.evidence));
      }
      if (copied.failed_targets.empty()) co_return last_error;
      STELE_SOMETIMES(kRepairTargetFails, true);
      failed.merge(copied.failed_targets);
    }
    co_return last_error;
  }

  // Payload bytes of an entry, as far as it is known.
  int64_t ExpectedEntrySize() const {
    constexpr int64_t kUnknownBytes = 1024;
    const LedgerMetadata& metadata = cell_->value();
    const int64_t entries = Distance(EntryId(0), metadata.last_entry());
    return metadata.IsClosed() && entries > 0 ? metadata.length_bytes() / entries + 1
                                              : kUnknownBytes;
  }

  // Which positions get entries, and where those go.
  Task<absl::StatusOr<std::vector<CopyTarget>>> Plan(SealedFragment fragment,
                                                     std::set<BookieId> failed) {
    const quorum::Replication replication = cell_->value().replication();
    std::vector<CopyTarget> targets;
    std::set<BookieId> excluded = failed;
    excluded.insert(avoid_->begin(), avoid_->end());
    excluded.insert(fragment.ensemble.begin(), fragment.ensemble.end());
    for (BookieIndex index = 0; index < replication.ensemble_size; ++index) {
      const BookieId member = fragment.ensemble[static_cast<size_t>(index)];
      CopyTarget target{.repair = {index, member, member}};
      const bool stays = bookies().IsUp(member) && !request_.leaving.contains(member);
      if (stays) {
        if (!looks_at_all_ && !suspects_.contains(member)) continue;
        if (!HoldsEntries(fragment, replication, index)) continue;
        STELE_CO_TRY(target.stored, co_await ListEntries(client(), member, ledger()));
        if (NextMissing(fragment, replication, index,
                        target.stored.has_value() ? &*target.stored : nullptr, fragment.first)
                .IsNone()) {
          continue;
        }
      }
      // What only lacks entries gets them back, unless it cannot take them.
      if (!stays || failed.contains(member)) {
        STELE_CO_TRY(target, co_await ChooseFor(fragment, index, &excluded));
      }
      targets.push_back(std::move(target));
    }
    co_return targets;
  }

  // A bookie to take the place of a member, and what it has of the ledger already. Those that do
  // not answer are passed over.
  Task<absl::StatusOr<CopyTarget>> ChooseFor(SealedFragment fragment, BookieIndex index,
                                             std::set<BookieId>* excluded) {
    const BookieId member = fragment.ensemble[static_cast<size_t>(index)];
    for (;;) {
      const std::optional<BookieId> chosen = ChooseTarget(ledger(), bookies().writable, *excluded);
      if (!chosen.has_value()) {
        co_return MakeError(
            ErrorCode::kNotEnoughBookies,
            StrCat("no writable bookie can take the place of ", member.value(),
                   " in the fragment that begins with entry ", fragment.first.value()));
      }
      excluded->insert(*chosen);
      CopyTarget target{.repair = {index, member, *chosen}};
      if (!HoldsEntries(fragment, cell_->value().replication(), index)) co_return target;
      absl::StatusOr<std::optional<wire::Availability>> stored =
          co_await ListEntries(client(), *chosen, ledger());
      if (!stored.ok()) continue;
      target.stored = *std::move(stored);
      co_return target;
    }
  }

  // The new members have their entries: the metadata may name them.
  Task<absl::Status> Name(EntryId first, const std::vector<CopyTarget> targets) {
    std::vector<MemberRepair> repairs;
    for (const CopyTarget& target : targets) repairs.push_back(target.repair);
    int64_t replaced = 0;
    for (const MemberRepair& repair : repairs) replaced += repair.IsInPlace() ? 0 : 1;
    if (replaced == 0) co_return absl::OkStatus();
    // By somebody else, or by a write of ours whose answer was lost.
    const auto is_found_done = std::make_shared<bool>(false);
    metadata::LedgerUpdate update;
    update.needed = [first, repairs,
                     is_found_done](const LedgerMetadata& now) -> absl::StatusOr<bool> {
      *is_found_done = !NamesReplaced(now, first, repairs);
      return !*is_found_done;
    };
    update.apply = [first, repairs](const LedgerMetadata& now) {
      return WithRepairedFragment(now, first, repairs);
    };
    const absl::Status updated = co_await cell_->Update(std::move(update));
    if (CodeOf(updated) == ErrorCode::kMetadataConflict) {
      STELE_SOMETIMES(kRepairOvertaken, true);
      STELE_CO_TRY_OK(co_await cell_->Refresh());
    }
    if (updated.ok() && !*is_found_done) outcome_.members_replaced += replaced;
    co_return updated;
  }

  CopyContext* const context_;
  const RepairDefaults* const defaults_;
  const std::set<BookieId>* const avoid_;
  const RepairRequest request_;
  const bool looks_at_all_;
  std::set<BookieId> suspects_;
  std::shared_ptr<const client::LedgerKeys> keys_;
  std::shared_ptr<client::LedgerCell> cell_;
  RepairOutcome outcome_;
};

}  // namespace

Task<RepairOutcome> RepairLedger(CopyContext* context, const RepairDefaults* defaults,
                                 const std::set<BookieId>* avoid, RepairRequest request) {
  const auto repair = std::make_unique<Repair>(context, defaults, avoid, std::move(request));
  co_return co_await repair->Run();
}

}  // namespace stele::autorecovery
