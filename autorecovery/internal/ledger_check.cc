#include "autorecovery/internal/ledger_check.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "autorecovery/internal/bookie_answers.h"
#include "autorecovery/internal/ledger_scan.h"
#include "autorecovery/repair_plan.h"
#include "client/internal/recovery_rules.h"
#include "common/async/permits.h"
#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::autorecovery {
namespace {

using metadata::LedgerMetadata;

// Copies of one ledger that are read at the same time.
constexpr int64_t kReadsInFlightMax = 32;

int64_t CountEntries(const SealedFragment& fragment, const quorum::Replication& replication,
                     BookieIndex index) {
  int64_t count = 0;
  for (EntryId entry = fragment.first; entry <= fragment.last; entry = entry.Next()) {
    if (quorum::WriteSet(entry, replication).Contains(index)) ++count;
  }
  return count;
}

class Check {
 public:
  Check(client::ClientCore* core, const std::set<BookieId>* known, CheckDepth depth,
        LedgerId ledger, LedgerMetadata metadata, CheckReport* report)
      : core_(core),
        known_(known),
        depth_(depth),
        ledger_(ledger),
        metadata_(std::move(metadata)),
        keys_(std::make_shared<const client::LedgerKeys>(metadata_.digest_type(),
                                                         metadata_.password().value_or(""))),
        report_(report) {}

  Task<void> Run() {
    ++report_->ledgers;
    if (!metadata_.IsClosed()) ++report_->open_ledgers;
    for (const SealedFragment& fragment : SealedFragments(metadata_)) {
      for (BookieIndex index = 0; index < replication().ensemble_size; ++index) {
        co_await CheckMember(fragment, index);
      }
      if (depth_ == CheckDepth::kFull) co_await ReadAll(fragment);
    }
    if (depth_ == CheckDepth::kFull && metadata_.IsClosed() && !has_gap_ &&
        length_bytes_ != metadata_.length_bytes()) {
      Add(FindingKind::kLengthWrong, BookieId(), metadata_.last_entry(), 1,
          StrCat("entries: ", length_bytes_, " bytes, metadata: ", metadata_.length_bytes()));
    }
  }

 private:
  const quorum::Replication& replication() const { return metadata_.replication(); }

  void Add(FindingKind kind, BookieId bookie, EntryId first, int64_t entries, std::string detail) {
    ++report_->finding_count;
    if (report_->findings.size() >= kFindingsMax) return;
    report_->findings.push_back(
        {kind, ledger_, std::move(bookie), first, entries, std::move(detail)});
  }

  // What metadata and the bookie's own list say about one position. The copies that are good so far
  // are counted as proven, unless they are to be read.
  Task<void> CheckMember(SealedFragment fragment, BookieIndex index) {
    const BookieId bookie = fragment.ensemble[static_cast<size_t>(index)];
    const int64_t expected = CountEntries(fragment, replication(), index);
    report_->copies += expected;
    if (!known_->contains(bookie)) {
      Add(FindingKind::kNoCookie, bookie, fragment.first, expected, "");
    }
    if (!core_->registry().bookies().IsUp(bookie)) {
      Add(FindingKind::kBookieDown, bookie, fragment.first, expected, "");
      co_return;
    }
    if (depth_ == CheckDepth::kMetadata || expected == 0) {
      report_->copies_proven += expected;
      co_return;
    }
    const auto stored = co_await ListEntries(&core_->context(), bookie, ledger_);
    if (!stored.ok()) {
      Add(FindingKind::kSilent, bookie, fragment.first, expected,
          std::string(NameOf(CodeOf(stored.status()))));
      co_return;
    }
    const wire::Availability* const list = stored->has_value() ? &**stored : nullptr;
    int64_t missing = 0;
    EntryId first_missing;
    for (EntryId entry = NextMissing(fragment, replication(), index, list, fragment.first);
         !entry.IsNone(); entry = NextMissing(fragment, replication(), index, list, entry.Next())) {
      if (missing++ == 0) first_missing = entry;
    }
    if (missing > 0) Add(FindingKind::kHole, bookie, first_missing, missing, "");
    if (depth_ == CheckDepth::kAvailability) report_->copies_proven += expected - missing;
    if (depth_ == CheckDepth::kSample) {
      const EntryId first = NextMissing(fragment, replication(), index, nullptr, fragment.first);
      EntryId last = fragment.last;
      while (!quorum::WriteSet(last, replication()).Contains(index)) last = last.Previous();
      const bool is_good =
          co_await ReadOne(bookie, first) && (first == last || co_await ReadOne(bookie, last));
      if (is_good) report_->copies_proven += expected - missing;
    }
  }

  // A copy that is there has a right digest, or there is a finding.
  Task<bool> ReadOne(BookieId bookie, EntryId entry) {
    const auto copy = co_await ReadCopy(&core_->context(), keys_.get(), bookie, ledger_, entry);
    if (copy.ok()) {
      report_->bytes_read += static_cast<int64_t>(copy->payload.size());
      co_return true;
    }
    const ErrorCode code = CodeOf(copy.status());
    if (client::IsNegative(code)) co_return false;  // its list has said so
    Add(IsDefinite(code) ? FindingKind::kDamaged : FindingKind::kSilent, bookie, entry, 1,
        std::string(NameOf(code)));
    co_return false;
  }

  Task<void> ReadAll(SealedFragment fragment) {
    Permits slots(core_->context().env.executor, kReadsInFlightMax);
    TaskScope scope(core_->context().env.executor);
    for (EntryId entry = fragment.first; entry <= fragment.last; entry = entry.Next()) {
      scope.Spawn(ReadCopies(this, &fragment, entry, co_await slots.Acquire(1)));
    }
    co_await scope.Join();
  }

  // All copies of one entry: as long as the others, and the same payload.
  static Task<void> ReadCopies(Check* self, const SealedFragment* fragment, EntryId entry,
                               Permits::Hold slot) {
    const quorum::WriteSet write_set(entry, self->replication());
    std::optional<wire::VerifiedEntry> first;
    for (int offset = 0; offset < write_set.size(); ++offset) {
      const BookieId bookie = fragment->ensemble[static_cast<size_t>(write_set[offset])];
      if (!self->core_->registry().bookies().IsUp(bookie)) continue;
      const auto copy = co_await ReadCopy(&self->core_->context(), self->keys_.get(), bookie,
                                          self->ledger_, entry);
      if (!copy.ok()) {
        const ErrorCode code = CodeOf(copy.status());
        if (client::IsNegative(code)) continue;  // its list has said so
        self->Add(IsDefinite(code) ? FindingKind::kDamaged : FindingKind::kSilent, bookie, entry, 1,
                  std::string(NameOf(code)));
        continue;
      }
      self->report_->bytes_read += static_cast<int64_t>(copy->payload.size());
      if (!first.has_value()) first = *copy;
      if (copy->payload != first->payload ||
          copy->header.length_bytes != first->header.length_bytes) {
        self->Add(FindingKind::kDamaged, bookie, entry, 1, "differs from another copy");
        continue;
      }
      ++self->report_->copies_proven;
    }
    if (first.has_value()) {
      self->length_bytes_ += static_cast<int64_t>(first->payload.size());
    } else {
      self->has_gap_ = true;
    }
  }

  client::ClientCore* const core_;
  const std::set<BookieId>* const known_;
  const CheckDepth depth_;
  const LedgerId ledger_;
  const LedgerMetadata metadata_;
  const std::shared_ptr<const client::LedgerKeys> keys_;
  CheckReport* const report_;
  int64_t length_bytes_ = 0;  // of the entries read
  bool has_gap_ = false;
};

}  // namespace

Task<absl::Status> CheckLedgerOnce(client::ClientCore* core, const std::set<BookieId>* known,
                                   CheckDepth depth, LedgerId ledger, CheckReport* report) {
  const auto read = co_await core->ledgers().Read(ledger);
  if (CodeOf(read.status()) == ErrorCode::kNoSuchLedgerMetadata) co_return absl::OkStatus();
  if (IsMatterOfTheStore(read.status())) co_return read.status();
  if (!read.ok()) {
    ++report->ledgers;
    ++report->finding_count;
    if (report->findings.size() < kFindingsMax) {
      report->findings.push_back({.kind = FindingKind::kUnreadableMetadata,
                                  .ledger = ledger,
                                  .detail = read.status().ToString()});
    }
    co_return absl::OkStatus();
  }
  const auto check = std::make_unique<Check>(core, known, depth, ledger, read->value, report);
  co_await check->Run();
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::vector<FragmentState>>> ExplainLedger(client::ClientCore* core,
                                                               LedgerId ledger) {
  STELE_CO_TRY(const metadata::Versioned<LedgerMetadata> read,
               co_await core->ledgers().Read(ledger));
  const LedgerMetadata& metadata = read.value;
  std::vector<FragmentState> states;
  for (const SealedFragment& fragment : SealedFragments(metadata)) {
    FragmentState state{.first = fragment.first, .last = fragment.last};
    for (BookieIndex index = 0; index < metadata.replication().ensemble_size; ++index) {
      MemberState member{.bookie = fragment.ensemble[static_cast<size_t>(index)]};
      member.is_up = core->registry().bookies().IsUp(member.bookie);
      member.entries_expected = CountEntries(fragment, metadata.replication(), index);
      if (member.is_up) {
        const auto stored = co_await ListEntries(&core->context(), member.bookie, ledger);
        member.has_answered = stored.ok();
        const wire::Availability* const list =
            stored.ok() && stored->has_value() ? &**stored : nullptr;
        EntryId entry = fragment.first;
        while (
            stored.ok() &&
            !(entry = NextMissing(fragment, metadata.replication(), index, list, entry)).IsNone()) {
          ++member.entries_missing;
          entry = entry.Next();
        }
      }
      state.members.push_back(std::move(member));
    }
    states.push_back(std::move(state));
  }
  if (!metadata.IsClosed()) {
    FragmentState tail{.first = metadata.last_fragment().first_entry, .is_open = true};
    for (const BookieId& bookie : metadata.last_fragment().ensemble) {
      tail.members.push_back({.bookie = bookie, .is_up = core->registry().bookies().IsUp(bookie)});
    }
    states.push_back(std::move(tail));
  }
  co_return states;
}

}  // namespace stele::autorecovery
