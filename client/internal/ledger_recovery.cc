#include "client/internal/ledger_recovery.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "client/internal/append_window.h"
#include "client/internal/lac_read.h"
#include "client/internal/recovery_rules.h"
#include "common/async/notification.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/observe/log.h"
#include "common/wire/entry_packet.h"

namespace stele::client {
namespace {

using metadata::LedgerMetadata;
using metadata::LedgerState;

// Write-backs that may wait for their acknowledgements.
constexpr size_t kWriteBacksMax = 64;

// What the fencing reads of one entry have told; shared with their callbacks.
struct EntryRead {
  EntryRead(EntryId id, const quorum::Replication& replication)
      : entry(id), rules(id, replication) {}
  EntryId entry;
  RecoveryRead rules;
  wire::VerifiedEntry copy;  // when the decision is kRecover
};

class Recovery : private AddSink {
 public:
  explicit Recovery(ReadSource source)
      : source_(std::move(source)),
        metadata_(source_.cell->snapshot()),
        ensemble_(metadata_->last_fragment().ensemble),
        changed_(std::make_shared<Notification>(context()->env.executor)) {
    for (const BookieId& bookie : ensemble_) bookies_.push_back(context()->bookies->Get(bookie));
  }
  ~Recovery() override { context()->bookies->DropSink(this); }

  // From the fence on; the ledger is marked.
  Task<absl::Status> Run() {
    STELE_CO_TRY(const LacReadResult fenced,
                 co_await ReadLac(context(), source_.cell->id(), metadata_, source_.keys,
                                  LacQuorum::Kind::kFencing));
    start_ = RecoveryStart(fenced.last_add_confirmed, metadata_->last_fragment().first_entry);
    window_.emplace(
        AppendWindow::Config{.replication = metadata_->replication(),
                             .replace_policy = context()->options.delay_ensemble_change
                                                   ? AppendWindow::ReplacePolicy::kWhenQuorumAtRisk
                                                   : AppendWindow::ReplacePolicy::kAtOnce,
                             .header_lac = AppendWindow::HeaderLac::kStartingLac,
                             .last_add_confirmed = start_});
    STELE_CO_TRY_OK(co_await CopyTail());
    const int64_t length_bytes = window_->last_add_confirmed() == start_
                                     ? co_await LengthAt(start_, fenced.highest)
                                     : window_->length_bytes();
    co_return co_await CloseMetadata(window_->last_add_confirmed(), length_bytes);
  }

 private:
  ClientContext* context() const { return source_.context; }

  // Reads from start_ on until an entry is proved absent, and writes back what it finds. Reads
  // always ask the ensemble of the stored metadata, never our private replacements: a second
  // recovery, after this one has failed, would not find anything there.
  Task<absl::Status> CopyTail() {
    EntryId next = start_.Next();
    std::deque<std::shared_ptr<EntryRead>> reads;
    bool is_end_known = false;
    while (!is_end_known || !window_->empty()) {
      if (!failure_.ok()) co_return failure_;
      while (!is_end_known && reads.size() < context()->options.recovery_read_ahead) {
        reads.push_back(StartRead(next));
        next = next.Next();
      }
      if (!is_end_known && window_->size() < kWriteBacksMax) {
        EntryRead& front = *reads.front();
        switch (front.rules.decision()) {
          case RecoveryRead::Decision::kRecover:
            WriteBack(std::move(front.copy));
            reads.pop_front();
            continue;
          case RecoveryRead::Decision::kAbsent:
            // Whatever the reads behind it bring is of no account any more, copies included.
            is_end_known = true;
            STELE_SOMETIMES(kRecoveryCutsOff, HasCopy(reads));
            continue;
          case RecoveryRead::Decision::kUnknown:
            STELE_SOMETIMES(kRecoveryUndecided, true);
            co_return MakeError(
                front.rules.error(),
                StrCat("entry ", front.entry.value(), " is neither found nor proved to be absent"));
          case RecoveryRead::Decision::kWait: break;
        }
      }
      co_await changed_->Wait();
    }
    co_return failure_;
  }

  static bool HasCopy(const std::deque<std::shared_ptr<EntryRead>>& reads) {
    return std::any_of(reads.begin(), reads.end(), [](const std::shared_ptr<EntryRead>& read) {
      return read->rules.decision() == RecoveryRead::Decision::kRecover;
    });
  }

  // All replicas at once: a hung one cannot delay the decision, and each answer comes from a bookie
  // that is fenced from then on.
  std::shared_ptr<EntryRead> StartRead(EntryId entry) {
    auto read = std::make_shared<EntryRead>(entry, metadata_->replication());
    const metadata::Ensemble& original = metadata_->last_fragment().ensemble;
    const quorum::WriteSet& write_set = read->rules.write_set();
    for (int offset = 0; offset < write_set.size(); ++offset) {
      context()
          ->bookies->Get(original[static_cast<size_t>(write_set[offset])])
          ->Call(wire::ReadRequest{.ledger = source_.cell->id(),
                                   .entry = entry,
                                   .fence_key = source_.keys->master_key},
                 {.high_priority = true},
                 [read, keys = source_.keys, ledger = source_.cell->id(),
                  changed = changed_](Answer answer) {
                   OnReadAnswer(*read, *keys, ledger, std::move(answer));
                   changed->NotifyAll();
                 });
    }
    return read;
  }

  static void OnReadAnswer(EntryRead& read, const LedgerKeys& keys, LedgerId ledger,
                           Answer answer) {
    ErrorCode code = answer.code;
    wire::VerifiedEntry copy;
    if (code == ErrorCode::kOk) {
      absl::StatusOr<wire::VerifiedEntry> verified = wire::VerifyEntry(
          std::get<wire::ReadReply>(answer.body).body, keys.digester, ledger, read.entry);
      code = CodeOf(verified.status());
      if (verified.ok()) copy = *std::move(verified);
    }
    const bool is_first = read.rules.decision() == RecoveryRead::Decision::kWait;
    if (read.rules.OnAnswer(code) == RecoveryRead::Decision::kRecover && is_first) {
      read.copy = std::move(copy);
    }
  }

  void WriteBack(wire::VerifiedEntry copy) {
    STELE_SOMETIMES(kRecoveryWriteBack, true);
    if (window_->HasDelayedFailures()) ReplaceFailed();
    if (!failure_.ok()) return;
    QueuedAppend* const append = window_->PushRecovered(
        std::move(copy.payload), copy.header.length_bytes, [](absl::StatusOr<EntryId>) {});
    STELE_CHECK(append->entry() == copy.header.entry);
    window_->MarkSent(append, context()->env.clock->Now());
    const OutgoingAdd add = Encode(*append);
    const quorum::WriteSet& write_set = append->acks.write_set();
    for (int offset = 0; offset < write_set.size(); ++offset) SendTo(add, write_set[offset]);
  }

  OutgoingAdd Encode(const QueuedAppend& append) const {
    const wire::EntryHeader header{.ledger = source_.cell->id(),
                                   .entry = append.entry(),
                                   .last_add_confirmed = append.header_lac,
                                   .length_bytes = append.length_bytes};
    return OutgoingAdd(
        {.ledger = header.ledger,
         .entry = header.entry,
         .master_key = source_.keys->master_key,
         .recovery = true,
         .head = wire::EntryHead(header, append.payload.view(), source_.keys->digester),
         .payload = append.payload},
        OutgoingAdd::Priority::kHigh);
  }

  void SendTo(const OutgoingAdd& add, BookieIndex index) {
    bookies_[static_cast<size_t>(index)]->Add(
        add, this, {.entry = add.entry().entry, .index = index, .epoch = window_->epoch(index)});
  }

  void OnRoom() override {}
  void OnAddReply(const AddTag& tag, ErrorCode code) override {
    switch (window_->OnReply({tag.entry, tag.index, tag.epoch, code})) {
      case AppendWindow::Step::kNothing: return;
      case AppendWindow::Step::kDeliver: Deliver(); break;
      case AppendWindow::Step::kReplaceBookies: ReplaceFailed(); break;
      case AppendWindow::Step::kFail: Fail(MakeError(code, "a bookie refuses the write-back"));
    }
    changed_->NotifyAll();
  }

  void Deliver() {
    while (window_->PopAcknowledged().has_value()) {
    }
  }

  void Fail(absl::Status why) {
    if (failure_.ok()) failure_ = std::move(why);
  }

  // Replacements stay private until the close: a recovery that fails half-way must leave the
  // metadata as it was, or the next one would look for entries where they never were. No bookie
  // gets a second chance: a change costs no time here, and those that refuse connections at once
  // would take turns without end.
  void ReplaceFailed() {
    const std::vector<BookieIndex> failed = window_->BeginChange();
    for (BookieIndex index : failed) {
      given_up_.insert(ensemble_[static_cast<size_t>(index)]);
      context()->placement->Suspect(ensemble_[static_cast<size_t>(index)]);
    }
    std::vector<BookieIndex> replaced;
    for (BookieIndex index : failed) {
      const auto i = static_cast<size_t>(index);
      absl::StatusOr<BookieId> replacement =
          context()->placement->Replacement(ensemble_, given_up_);
      if (!replacement.ok()) continue;
      ensemble_[i] = *std::move(replacement);
      bookies_[i] = context()->bookies->Get(ensemble_[i]);
      replaced.push_back(index);
    }
    // Without a spare bookie the rest of the write set has to do, as long as it is an ack quorum.
    STELE_SOMETIMES(kRecoveryReplacesBookie, !replaced.empty());
    STELE_SOMETIMES(kRecoveryNoReplacement, replaced.size() < failed.size());
    if (!replaced.empty()) private_fragments_[window_->last_add_confirmed().Next()] = ensemble_;
    std::optional<OutgoingAdd> add;
    for (const AppendWindow::Resend& resend : window_->FinishChange(replaced)) {
      if (!add.has_value() || add->entry().entry != resend.entry) {
        add = Encode(*window_->Find(resend.entry));
      }
      SendTo(*add, resend.index);
    }
    Deliver();
    if (window_->HasHopelessAppend()) {
      Fail(MakeError(ErrorCode::kNotEnoughBookies, "no replacement for a failed bookie"));
    }
  }

  // The ledger's length when no entry was recovered: what the last entry's own header says. The
  // headers heard while fencing may belong to entries that are cut off, and the last fragment may
  // have none at all.
  Task<int64_t> LengthAt(EntryId last, LastEntryFields heard) {
    if (last.IsNone()) co_return 0;
    if (heard.entry == last) co_return heard.length_bytes;
    const absl::StatusOr<std::vector<Entry>> entries = co_await ReadOneByOne(source_, last, last);
    if (entries.ok()) co_return entries->front().length_bytes;
    // The length is advisory; the end of the ledger is not, and must not depend on a fragment that
    // cannot be reached now.
    if (context()->options.log != nullptr) {
      context()->options.log->Write(observe::LogLevel::kWarning,
                                    "the length of a recovered ledger is not known",
                                    {{"ledger", source_.cell->id().value()},
                                     {"entry", last.value()},
                                     {"error", entries.status().ToString()}});
    }
    co_return heard.entry < last ? heard.length_bytes : 0;
  }

  Task<absl::Status> CloseMetadata(EntryId last, int64_t length_bytes) {
    metadata::LedgerUpdate update;
    update.needed = [](const LedgerMetadata& now) -> absl::StatusOr<bool> {
      STELE_SOMETIMES(kRecoveryAdoptsEnd, now.IsClosed());
      return now.state() == LedgerState::kInRecovery;
    };
    update.apply = [fragments = private_fragments_, last,
                    length_bytes](const LedgerMetadata& now) -> absl::StatusOr<LedgerMetadata> {
      LedgerMetadata changed = now;
      for (const auto& [first_entry, ensemble] : fragments) {
        STELE_TRY(changed, changed.WithEnsembleFrom(first_entry, ensemble));
      }
      return changed.WithClosed(last, length_bytes);
    };
    STELE_SOMETIMES(kRecoveryEmptyLastFragment, last < metadata_->last_fragment().first_entry);
    STELE_CO_TRY_OK(co_await source_.cell->Update(std::move(update)));
    if (source_.cell->value().IsClosed()) co_return absl::OkStatus();
    co_return MakeError(ErrorCode::kMetadataConflict, "the ledger left recovery without a close");
  }

  const ReadSource source_;
  // As it was when the ledger had been marked: no writer changes it after that.
  const std::shared_ptr<const LedgerMetadata> metadata_;
  EntryId start_;
  metadata::Ensemble ensemble_;   // write-backs go here
  std::vector<Bookie*> bookies_;  // the same
  std::set<BookieId> given_up_;   // did not take a write-back
  std::map<EntryId, metadata::Ensemble> private_fragments_;
  std::optional<AppendWindow> window_;
  absl::Status failure_;
  std::shared_ptr<Notification> changed_;
};

Task<absl::Status> Mark(LedgerCell* cell) {
  metadata::LedgerUpdate update;
  update.needed = [](const LedgerMetadata& now) -> absl::StatusOr<bool> {
    STELE_SOMETIMES(kRecoveryOfMarkedLedger, now.state() == LedgerState::kInRecovery);
    return now.state() == LedgerState::kOpen;
  };
  update.apply = [](const LedgerMetadata& now) { return now.WithInRecovery(); };
  co_return co_await cell->Update(std::move(update));
}

absl::Status ToRecoveryError(const absl::Status& status, LedgerId ledger) {
  const std::string context = StrCat("recovery of ledger ", ledger.value());
  switch (CodeOf(status)) {
    case ErrorCode::kOk:
    case ErrorCode::kUnauthorized:
    case ErrorCode::kDeadline:
    case ErrorCode::kNoSuchLedgerMetadata:
    case ErrorCode::kMetadataUnavailable:
    case ErrorCode::kStopped: return WithContext(status, context);
    default: break;
  }
  return MakeError(ErrorCode::kRecoveryFailed, EffectOf(status),
                   StrCat(context, ": ", ToStd(status.ToString())));
}

}  // namespace

Task<absl::Status> RecoverLedger(ReadSource source) {
  // The mark comes before the first fence: it makes the writer's next ensemble change fail, so that
  // the ensemble that is fenced stays the last one.
  STELE_CO_TRY_OK(co_await Mark(source.cell.get()));
  if (source.cell->value().IsClosed()) co_return absl::OkStatus();
  const auto recovery = std::make_unique<Recovery>(source);
  absl::Status status = co_await recovery->Run();
  if (status.ok()) co_return status;
  co_return ToRecoveryError(status, source.cell->id());
}

}  // namespace stele::client
