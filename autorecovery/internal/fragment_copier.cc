#include "autorecovery/internal/fragment_copier.h"

#include <algorithm>

#include "autorecovery/internal/bookie_answers.h"
#include "client/internal/recovery_rules.h"
#include "common/async/task_scope.h"
#include "common/async/yield.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::autorecovery {
namespace {

// Entries that are only looked at before others get their turn.
constexpr int64_t kLooksPerTurn = 4096;

class Copier : private client::AddSink {
 public:
  Copier(CopyContext* context, const client::LedgerKeys* keys, LedgerId ledger,
         quorum::Replication replication, SealedFragment fragment, std::vector<CopyTarget> targets,
         int64_t entry_size_expected)
      : context_(context),
        keys_(keys),
        ledger_(ledger),
        replication_(replication),
        fragment_(std::move(fragment)),
        targets_(std::move(targets)),
        entry_size_(std::max<int64_t>(entry_size_expected, 1)),
        slots_(context->client->env.executor, static_cast<int64_t>(context->entries_in_flight_max)),
        copies_(context->client->env.executor) {}
  ~Copier() override { context_->client->bookies->DropSink(this); }

  Task<CopyResult> Run() {
    int64_t looked = 0;
    for (EntryId entry = fragment_.first; entry <= fragment_.last && result_.status.ok();
         entry = entry.Next()) {
      std::vector<size_t> wanted = TargetsOf(entry);
      if (wanted.empty()) {
        if (++looked % kLooksPerTurn == 0) {
          co_await Yield(context_->client->env.executor);
        }
        continue;
      }
      if (!context_->may_go_on()) Fail(MakeError(ErrorCode::kStopped, "repair is switched off"));
      Permits::Hold slot = co_await slots_.Acquire(1);
      Permits::Hold memory = co_await context_->bytes_in_flight->Acquire(entry_size_);
      if (!result_.status.ok()) break;
      copies_.Spawn(CopyEntry(this, entry, std::move(wanted), std::move(slot), std::move(memory)));
    }
    co_await copies_.Join();
    if (result_.status.ok()) result_.status = co_await CheckLists();
    co_return std::move(result_);
  }

 private:
  MonotonicTime Now() const { return context_->client->env.clock->Now(); }

  void Fail(absl::Status why) {
    if (result_.status.ok()) result_.status = std::move(why);
  }

  static bool Claims(const CopyTarget& target, EntryId entry) {
    return target.stored.has_value() && target.stored->Contains(entry);
  }

  // The targets that lack the entry, or that are new and only say that they have it, from an
  // earlier attempt.
  std::vector<size_t> TargetsOf(EntryId entry) const {
    const quorum::WriteSet write_set(entry, replication_);
    std::vector<size_t> wanted;
    for (size_t i = 0; i < targets_.size(); ++i) {
      const CopyTarget& target = targets_[i];
      const bool is_done = target.repair.IsInPlace() && Claims(target, entry);
      if (write_set.Contains(target.repair.index) && !is_done) wanted.push_back(i);
    }
    return wanted;
  }

  static Task<void> CopyEntry(Copier* self, EntryId entry, std::vector<size_t> wanted,
                              Permits::Hold slot, Permits::Hold memory) {
    for (auto place = wanted.begin(); place != wanted.end();) {
      const bool is_there =
          Claims(self->targets_[*place], entry) && co_await self->IsThere(*place, entry);
      place = is_there ? wanted.erase(place) : std::next(place);
    }
    if (wanted.empty()) co_return;
    absl::StatusOr<wire::VerifiedEntry> copy = co_await self->ReadSomewhere(entry);
    if (!copy.ok()) {
      ++self->context_->meters.entries_unreadable;
      self->Fail(copy.status());
      co_return;
    }
    for (size_t i : wanted) {
      if (!self->result_.status.ok()) co_return;
      const BookieId target = self->targets_[i].repair.new_bookie;
      const absl::Status stored = co_await self->Store(i, *copy);
      if (stored.ok()) {
        STELE_SOMETIMES(kRepairInPlace, self->targets_[i].repair.IsInPlace());
        ++self->result_.entries_copied;
        self->result_.bytes_copied += static_cast<int64_t>(copy->payload.size());
        continue;
      }
      if (CodeOf(stored) != ErrorCode::kStopped) self->result_.failed_targets.insert(target);
      self->Fail(WithContext(
          stored, StrCat("bookie ", target.value(), " does not take entry ", entry.value())));
    }
  }

  Task<bool> IsThere(size_t target_index, EntryId entry) {
    const BookieId bookie = targets_[target_index].repair.new_bookie;
    RepairThrottle::Turn turn = co_await context_->throttle->AcquireRead(bookie, entry_size_);
    const bool is_there = (co_await ReadCopy(context_->client, keys_, bookie, ledger_, entry)).ok();
    if (is_there) co_await context_->throttle->Answered(std::move(turn));
    co_return is_there;
  }

  // A good copy from any member that is up and is not itself waiting for the entry.
  Task<absl::StatusOr<wire::VerifiedEntry>> ReadSomewhere(EntryId entry) {
    const quorum::WriteSet write_set(entry, replication_);
    std::vector<std::pair<BookieId, std::string>> evidence;
    absl::Status not_now;  // of a bookie that may have it and did not say
    const int start = static_cast<int>(
        context_->client->env.random->Below(static_cast<uint64_t>(write_set.size())));
    for (int i = 0; i < write_set.size(); ++i) {
      const BookieIndex index = write_set[(start + i) % write_set.size()];
      const BookieId bookie = fragment_.ensemble[static_cast<size_t>(index)];
      if (!context_->registry->bookies().IsUp(bookie)) {
        evidence.emplace_back(bookie, "is not registered");
        continue;
      }
      RepairThrottle::Turn turn = co_await context_->throttle->AcquireRead(bookie, entry_size_);
      const MonotonicTime begun = Now();
      absl::StatusOr<wire::VerifiedEntry> copy =
          co_await ReadCopy(context_->client, keys_, bookie, ledger_, entry);
      CopyMeters& meters = context_->meters;
      meters.reads.Record(copy.ok(), begun, Now());
      if (copy.ok()) {
        co_await context_->throttle->Answered(std::move(turn));
        const auto size = static_cast<int64_t>(copy->payload.size());
        ++meters.entries_read;
        meters.bytes_read.Record(Now(), size);
        context_->throttle->CorrectRead(bookie, size - entry_size_);
        entry_size_ = std::max(entry_size_, size);
        STELE_SOMETIMES(kRepairOtherSource, !evidence.empty());
        co_return copy;
      }
      const ErrorCode code = CodeOf(copy.status());
      evidence.emplace_back(bookie, std::string(NameOf(code)));
      if (client::IsNegative(code)) result_.lacking.insert(index);
      if (!IsDefinite(code) && not_now.ok()) not_now = copy.status();
    }
    if (!not_now.ok()) co_return not_now;
    result_.lost_entry = entry;
    result_.evidence = std::move(evidence);
    co_return MakeError(ErrorCode::kNoSuchEntry,
                        StrCat("no bookie has a good copy of entry ", entry.value()));
  }

  // The same packet as the source's, byte by byte: the digest is over these fields and the payload.
  Task<absl::Status> Store(size_t target_index, const wire::VerifiedEntry copy) {
    const MemberRepair& repair = targets_[target_index].repair;
    const BookieId bookie = repair.new_bookie;
    const auto size = static_cast<int64_t>(copy.payload.size());
    RepairThrottle::Turn turn = co_await context_->throttle->AcquireWrite(bookie, size);
    if (!result_.status.ok()) co_return MakeError(ErrorCode::kStopped, "the fragment has failed");
    const EntryId entry = copy.header.entry;
    // A member may have become read-only; what belongs to it, it takes all the same.
    const auto priority = repair.IsInPlace() ? client::OutgoingAdd::Priority::kHigh
                                             : client::OutgoingAdd::Priority::kNormal;
    const client::OutgoingAdd add(
        {.ledger = ledger_,
         .entry = entry,
         .master_key = keys_->master_key,
         .recovery = true,
         .head = wire::EntryHead(copy.header, copy.payload.view(), keys_->digester),
         .payload = copy.payload},
        priority);
    const MonotonicTime begun = Now();
    Completion<ErrorCode> added(context_->client->env.executor);
    adds_.insert_or_assign({entry, repair.index}, added.GetCompleter());
    context_->client->bookies->Get(bookie)->Add(add, this, {.entry = entry, .index = repair.index});
    const ErrorCode code = co_await added;
    adds_.erase({entry, repair.index});
    CopyMeters& meters = context_->meters;
    meters.writes.Record(code == ErrorCode::kOk, begun, Now());
    if (code != ErrorCode::kOk) co_return MakeError(code, "the add failed");
    ++meters.entries_written;
    meters.bytes_written.Record(Now(), size);
    // Its word is not enough for metadata to name it: look.
    const absl::StatusOr<wire::VerifiedEntry> back =
        co_await ReadCopy(context_->client, keys_, bookie, ledger_, entry);
    STELE_CO_TRY_OK(back.status());
    if (back->payload != copy.payload || back->header.length_bytes != copy.header.length_bytes) {
      co_return MakeError(ErrorCode::kDigestMismatch, "it gives back another entry");
    }
    co_await context_->throttle->Answered(std::move(turn));
    co_return absl::OkStatus();
  }

  void OnRoom() override {}
  void OnAddReply(const client::AddTag& tag, ErrorCode code) override {
    const auto place = adds_.find({tag.entry, tag.index});
    if (place != adds_.end()) place->second.Set(code);
  }

  // What was copied first may have gone while the rest was copied: a bookie deletes what metadata
  // does not give to it.
  Task<absl::Status> CheckLists() {
    for (const CopyTarget& target : targets_) {
      const BookieId bookie = target.repair.new_bookie;
      if (!HoldsEntries(fragment_, replication_, target.repair.index)) continue;
      const absl::StatusOr<std::optional<wire::Availability>> stored =
          co_await ListEntries(context_->client, bookie, ledger_);
      STELE_CO_TRY_OK(stored.status());
      const EntryId missing =
          NextMissing(fragment_, replication_, target.repair.index,
                      stored->has_value() ? &**stored : nullptr, fragment_.first);
      if (!missing.IsNone()) {
        co_return MakeError(
            ErrorCode::kWriteFailed,
            StrCat("bookie ", bookie.value(), " has not kept entry ", missing.value()));
      }
    }
    co_return absl::OkStatus();
  }

  CopyContext* const context_;
  const client::LedgerKeys* const keys_;
  const LedgerId ledger_;
  const quorum::Replication replication_;
  const SealedFragment fragment_;
  const std::vector<CopyTarget> targets_;
  int64_t entry_size_;  // the largest seen, or expected
  CopyResult result_;
  std::map<std::pair<EntryId, BookieIndex>, Completer<ErrorCode>> adds_;
  Permits slots_;
  TaskScope copies_;
};

}  // namespace

Task<CopyResult> CopyFragment(CopyContext* context, const client::LedgerKeys* keys, LedgerId ledger,
                              quorum::Replication replication, SealedFragment fragment,
                              std::vector<CopyTarget> targets, int64_t entry_size_expected) {
  const auto copier =
      std::make_unique<Copier>(context, keys, ledger, replication, std::move(fragment),
                               std::move(targets), entry_size_expected);
  co_return co_await copier->Run();
}

}  // namespace stele::autorecovery
