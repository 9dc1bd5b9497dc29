#include "bookie/scrubber.h"

#include <utility>

#include "bookie/expected_entries.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/entry_packet.h"

namespace stele::bookie {

using observe::LogLevel;

namespace {

// Is the ledger gone, so that nothing about it matters any more?
bool IsGone(const absl::Status& status) { return CodeOf(status) == ErrorCode::kNoSuchLedger; }

}  // namespace

Scrubber::Scrubber(ScrubParts parts, BookieId self, ScrubOptions options,
                   absl::AnyInvocable<void()> on_too_much)
    : parts_(std::move(parts)),
      self_(std::move(self)),
      options_(options),
      on_too_much_(std::move(on_too_much)),
      rate_(parts_.env, options.bytes_per_second),
      idle_(parts_.env.executor),
      scope_(parts_.env.executor) {}

void Scrubber::Start() {
  if (options_.enabled) scope_.Spawn(Loop());
}

Task<void> Scrubber::Loop() {
  co_await SleepFor(parts_.env.executor, parts_.env.clock, options_.first);
  for (;;) {
    const absl::Status status = co_await Run();
    if (!status.ok() && !stopping_) {
      parts_.log->Write(LogLevel::kWarning, "a scrub pass broke off",
                        {{"error", ToStd(status.message())}});
    }
    co_await SleepFor(parts_.env.executor, parts_.env.clock, options_.pause);
  }
}

Task<void> Scrubber::Stop() {
  stopping_ = true;
  while (running_) co_await idle_.Wait();
}

Task<absl::Status> Scrubber::Spend(uint64_t bytes) {
  for (;;) {
    if (stopping_) co_return MakeError(ErrorCode::kStopped, "scrubbing stops");
    const absl::Duration delay = rate_.Delay();
    if (delay <= absl::ZeroDuration()) break;
    co_await SleepFor(parts_.env.executor, parts_.env.clock, delay);
  }
  rate_.Spend(bytes);
  co_return absl::OkStatus();
}

Task<absl::Status> Scrubber::Run() {
  ++passes_waiting_;
  while (running_) co_await idle_.Wait();
  --passes_waiting_;
  running_ = true;
  const MonotonicTime begun = parts_.env.clock->Now();
  const absl::Status status = co_await Pass();
  const MonotonicTime now = parts_.env.clock->Now();
  passes_.Record(status.ok(), begun, now);
  if (status.ok()) completed_at_ = now;
  running_ = false;
  idle_.NotifyAll();
  co_return status;
}

void Scrubber::Export(observe::MetricsText& into) const {
  into.OfLatency("scrubber_runTime", {}, passes_);
  if (!completed_at_.has_value()) return;
  into.Gauge("stele_scrub_full_pass_age_seconds", {},
             absl::ToInt64Seconds(parts_.env.clock->Now() - *completed_at_));
}

Task<absl::Status> Scrubber::Pass() {
  STELE_CO_TRY_OK(co_await Spend(0));  // also says whether it was told to stop
  damaged_in_pass_ = 0;
  stats_.ledgers_uncertain = 0;
  STELE_CO_TRY_OK(co_await CheckJournals());
  STELE_CO_TRY_OK(co_await RecoverIndexes());
  for (const LedgerId ledger : parts_.storage->Ledgers()) {
    STELE_CO_TRY_OK(co_await ScrubLedger(ledger));
  }
  ++stats_.passes;
  if (damaged_in_pass_ > 0 || stats_.ledgers_uncertain > 0) {
    parts_.log->Write(
        LogLevel::kWarning, "scrub pass ended",
        {{"damaged", damaged_in_pass_}, {"uncertain_ledgers", stats_.ledgers_uncertain}});
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Scrubber::CheckJournals() {
  STELE_CO_TRY(const int64_t damaged, co_await parts_.journals->Run(this));
  stats_.journal_damaged += damaged;
  for (int64_t i = 0; i < damaged; ++i) CountDamage();
  co_return absl::OkStatus();
}

// One search through the logs for all ledgers that have lost something.
Task<absl::Status> Scrubber::RecoverIndexes() {
  std::vector<LedgerId> lost = parts_.storage->StrayLedgers();
  for (const LedgerId ledger : parts_.storage->Ledgers()) {
    STELE_CO_TRY_OK(co_await Spend(kReadCostBytes));
    const absl::Status checked = co_await parts_.storage->CheckIndex(ledger, this);
    if (CodeOf(checked) == ErrorCode::kStopped) co_return checked;
    // What else is wrong with the file is told when the ledger's entries are read.
    const auto state = co_await parts_.storage->Load(ledger);
    if (state.ok() && (*state)->uncertain) lost.push_back(ledger);
  }
  co_return co_await SearchLogs(std::move(lost));
}

Task<absl::Status> Scrubber::RecoverStrays() {
  while (running_) co_await idle_.Wait();
  running_ = true;
  const absl::Status recovered = co_await SearchLogs(parts_.storage->StrayLedgers());
  running_ = false;
  idle_.NotifyAll();
  co_return recovered;
}

Task<absl::Status> Scrubber::SearchLogs(std::vector<LedgerId> lost) {
  std::vector<LedgerId> known;
  for (const LedgerId ledger : lost) {
    const absl::Status read = (co_await parts_.ledgers->Read(ledger)).status();
    // What metadata does not know is garbage collection's.
    if (CodeOf(read) != ErrorCode::kNoSuchLedgerMetadata) known.push_back(ledger);
  }
  if (known.empty()) co_return absl::OkStatus();
  STELE_CO_TRY(const int64_t found,
               co_await parts_.storage->RecoverIndexes(std::move(known), this));
  STELE_SOMETIMES(kScrubFindsLocations, found > 0);
  stats_.locations_found += found;
  co_return absl::OkStatus();
}

Task<absl::Status> Scrubber::ScrubLedger(LedgerId id) {
  Ledger ledger{.id = id};
  const absl::Status opened = co_await Open(&ledger);
  if (IsGone(opened)) co_return absl::OkStatus();
  if (CodeOf(opened) == ErrorCode::kOverloaded) co_return opened;
  if (!opened.ok()) {
    OnDamage(id, kNoEntry, opened);
    co_return absl::OkStatus();
  }
  const auto state = co_await parts_.storage->Load(id);
  const bool uncertain = state.ok() && (*state)->uncertain;
  if (!uncertain) co_return co_await CheckAll(&ledger);
  STELE_CO_TRY(const LedgerProof proof, co_await Prove(&ledger));
  if (proof != LedgerProof::kWhole) ++stats_.ledgers_uncertain;
  co_return absl::OkStatus();
}

Task<absl::StatusOr<LedgerProof>> Scrubber::Heal(LedgerId ledger) {
  while (running_ || passes_waiting_ > 0) co_await idle_.Wait();
  running_ = is_healing_ = true;
  damaged_in_pass_ = 0;
  const absl::StatusOr<LedgerProof> proof = co_await HealLedger(ledger);
  running_ = is_healing_ = false;
  idle_.NotifyAll();
  co_return proof;
}

Task<absl::StatusOr<LedgerProof>> Scrubber::HealLedger(LedgerId id) {
  STELE_CO_TRY_OK(co_await Spend(0));
  Ledger ledger{.id = id};
  const absl::Status opened = co_await Open(&ledger);
  if (IsGone(opened)) co_return LedgerProof::kWhole;
  STELE_CO_TRY_OK(opened);
  const LedgerState* state = parts_.storage->FindLoaded(id);
  if (state != nullptr && !state->uncertain) co_return LedgerProof::kWhole;
  co_return co_await Prove(&ledger);
}

Task<absl::Status> Scrubber::Open(Ledger* ledger) {
  STELE_CO_TRY_OK((co_await parts_.storage->Load(ledger->id)).status());
  auto metadata = co_await parts_.ledgers->Read(ledger->id);
  if (!metadata.ok()) co_return absl::OkStatus();  // then without digest
  ledger->metadata = std::move(metadata->value);
  const std::optional<std::string>& password = ledger->metadata->password();
  if (password.has_value()) ledger->digester.emplace(ledger->metadata->digest_type(), *password);
  co_return absl::OkStatus();
}

Task<absl::Status> Scrubber::CheckAll(Ledger* ledger) {
  const absl::StatusOr<std::vector<EntryId>> entries =
      co_await parts_.storage->ListEntries(ledger->id);
  if (IsGone(entries.status())) co_return absl::OkStatus();
  // Too many to be listed is no damage.
  if (CodeOf(entries.status()) == ErrorCode::kOverloaded) co_return absl::OkStatus();
  if (!entries.ok()) {
    OnDamage(ledger->id, kNoEntry, entries.status());
    co_return absl::OkStatus();
  }
  for (const EntryId entry : *entries) {
    STELE_CO_TRY(const bool good, co_await IsGood(ledger, entry));
    if (!good) static_cast<void>(co_await Repair(ledger, entry));
    if (ledger->repaired.size() >= kReadBackAtATimeMax) {
      STELE_CO_TRY_OK(co_await ReadBack(ledger));
      ledger->repaired.clear();  // those that are still bad were told, and come again
    }
  }
  co_return co_await ReadBack(ledger);
}

// What is missing cannot be told from what never was, unless metadata says where the fragment ends.
Task<absl::StatusOr<LedgerProof>> Scrubber::Prove(Ledger* ledger) {
  if (!ledger->metadata.has_value()) co_return LedgerProof::kLacking;
  const ExpectedEntries expected(&*ledger->metadata, self_);
  bool complete = false;
  // Index files tell on the way of what is brought back then: once more.
  for (int tries = 0; tries < 2 && !complete; ++tries) {
    parts_.storage->WatchForLosses(ledger->id);
    STELE_CO_TRY(complete, co_await LookForAll(ledger, &expected));
    if (!complete) co_return LedgerProof::kLacking;
    if (!expected.are_all()) co_return LedgerProof::kOpen;
    complete = !parts_.storage->HasSeenLoss();
  }
  if (!complete || parts_.storage->FindLoaded(ledger->id) == nullptr) {
    co_return LedgerProof::kLacking;
  }
  parts_.storage->SetCertain(ledger->id);
  ++stats_.ledgers_proven;
  parts_.log->Write(LogLevel::kInfo, "a ledger is whole again", {{"ledger", ledger->id.value()}});
  co_return LedgerProof::kWhole;
}

Task<absl::StatusOr<bool>> Scrubber::LookForAll(Ledger* ledger, const ExpectedEntries* expected) {
  bool complete = true;
  for (EntryId entry = expected->AtOrAfter(EntryId(0)); !entry.IsNone();
       entry = expected->AtOrAfter(entry.Next())) {
    STELE_CO_TRY(const bool good, co_await IsGood(ledger, entry));
    if (!good) complete = co_await Repair(ledger, entry) && complete;
    if (ledger->repaired.size() >= kReadBackAtATimeMax) {
      STELE_CO_TRY_OK(co_await ReadBack(ledger));
      complete = complete && ledger->repaired.empty();
      ledger->repaired.clear();
    }
  }
  STELE_CO_TRY_OK(co_await ReadBack(ledger));
  complete = complete && ledger->repaired.empty();
  ledger->repaired.clear();
  co_return complete;
}

Task<absl::StatusOr<bool>> Scrubber::IsGood(Ledger* ledger, EntryId entry) {
  const absl::StatusOr<Buffer> body = co_await parts_.storage->Read(ledger->id, entry);
  STELE_CO_TRY_OK(co_await Spend(body.ok() ? body->size() : kReadCostBytes));
  ++stats_.entries;
  if (body.ok()) {
    stats_.bytes += body->size();
    if (!ledger->digester.has_value() || wire::DigestMatches(body->view(), *ledger->digester)) {
      co_return true;
    }
    parts_.storage->SetEntryDamaged(ledger->id, entry, true);
    OnDamage(ledger->id, entry, MakeError(ErrorCode::kDigestMismatch, "the digest does not match"));
    co_return false;
  }
  const ErrorCode code = CodeOf(body.status());
  if (code == ErrorCode::kNoSuchLedger) co_return true;  // deleted meanwhile
  if (code == ErrorCode::kOverloaded) co_return body.status();
  // In an uncertain ledger: it was lost with the index.
  if (code != ErrorCode::kUnknownLedgerState) OnDamage(ledger->id, entry, body.status());
  co_return false;
}

// True: a good copy is in storage; ReadBack() makes it durable.
Task<bool> Scrubber::Repair(Ledger* ledger, EntryId entry) {
  if (!parts_.source) co_return false;
  const absl::StatusOr<Buffer> copy = co_await parts_.source(ledger->id, entry);
  if (!copy.ok()) {
    // Once for each ledger: there may be very many, as when a disk was lost.
    if (std::exchange(ledger->lacks_copies, true)) co_return false;
    parts_.log->Write(LogLevel::kWarning, "no copy of a damaged entry is to be had",
                      {{"ledger", ledger->id.value()},
                       {"entry", entry.value()},
                       {"error", ToStd(copy.status().message())}});
    co_return false;
  }
  if (ledger->digester.has_value() &&
      !wire::VerifyEntry(*copy, *ledger->digester, ledger->id, entry).ok()) {
    co_return false;
  }
  const absl::Status stored = co_await parts_.storage->ReplaceEntry(ledger->id, entry, *copy);
  if (stored.ok()) ledger->repaired.push_back(entry);
  co_return stored.ok();
}

// Leaves in `repaired` what is not good from the disk either.
Task<absl::Status> Scrubber::ReadBack(Ledger* ledger) {
  if (ledger->repaired.empty()) co_return absl::OkStatus();
  STELE_CO_TRY_OK(co_await parts_.storage->Flush());
  std::vector<EntryId> bad;
  for (const EntryId entry : ledger->repaired) {
    parts_.storage->SetEntryDamaged(ledger->id, entry, false);
    STELE_CO_TRY(const bool good, co_await IsGood(ledger, entry));
    STELE_SOMETIMES(kScrubRepairs, good);
    if (good) {
      ++stats_.repaired;
    } else {
      bad.push_back(entry);
    }
  }
  ledger->repaired = std::move(bad);
  co_return absl::OkStatus();
}

void Scrubber::OnDamage(LedgerId ledger, EntryId entry, const absl::Status& why) {
  CountDamage();
  if (damaged_in_pass_ > options_.damage_max) return;  // the counter tells the rest
  parts_.log->Write(
      LogLevel::kError, "damage on disk",
      {{"ledger", ledger.value()}, {"entry", entry.value()}, {"error", ToStd(why.message())}});
}

void Scrubber::CountDamage() {
  ++damaged_in_pass_;
  if (is_healing_) return;
  ++stats_.damaged;
  if (damaged_in_pass_ == options_.damage_max) on_too_much_();
}

}  // namespace stele::bookie
