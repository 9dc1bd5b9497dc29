#include "bookie/limbo.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/digest.h"

namespace stele::bookie {
namespace {

using observe::LogLevel;

constexpr absl::Duration kFirstHeal = absl::Seconds(1);
// Peers that were down may be back.
constexpr absl::Duration kHealPause = absl::Minutes(1);
// Ledgers after which those that are marked are made durable: until then they are held in memory.
constexpr int kLookedAtATime = 10'000;
constexpr size_t kFileSizeMaxBytes = 32;

bool Names(const metadata::Fragment& fragment, const BookieId& bookie) {
  return std::find(fragment.ensemble.begin(), fragment.ensemble.end(), bookie) !=
         fragment.ensemble.end();
}

// A mark without a readable time is a mark.
absl::Time ParseTime(std::string_view text) {
  int64_t milliseconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  return absl::FromUnixMillis(milliseconds);
}

}  // namespace

// A recovery fences the last ensemble, and asks only that one. What a bookie of earlier fragments
// says about the last one counts for nothing, so it may still be made a member, as any other.
Doubt DoubtAbout(const metadata::LedgerMetadata& metadata, const BookieId& self) {
  const auto& fragments = metadata.fragments();
  if (Names(fragments.back(), self)) return Doubt::kEntriesAndFence;
  const bool is_member =
      std::any_of(fragments.begin(), fragments.end(),
                  [&](const metadata::Fragment& fragment) { return Names(fragment, self); });
  return is_member ? Doubt::kEntries : Doubt::kNone;
}

Limbo::Limbo(LimboParts parts, DataAge age, BookieId self)
    : parts_(std::move(parts)),
      age_(std::move(age)),
      self_(std::move(self)),
      idle_(parts_.env.executor),
      scope_(parts_.env.executor) {}

// ---- The way in

Task<absl::StatusOr<bool>> Limbo::LookForLosses() {
  STELE_CO_TRY(has_lost_data_, co_await age_.IsBehind());
  co_return has_lost_data_;
}

Task<absl::Status> Limbo::Open() {
  if (has_lost_data_) {
    STELE_CO_TRY_OK(co_await Enter());
  } else {
    STELE_CO_TRY_OK(co_await Resume());
  }
  co_await RaiseAge();
  co_return absl::OkStatus();
}

Task<absl::Status> Limbo::Enter() {
  since_ = parts_.env.clock->WallNow();
  // First: a crash from here on must not leave ledgers that nobody heals.
  const absl::Status written = co_await WriteFiles();
  if (CodeOf(written) != ErrorCode::kDiskFull) STELE_CO_TRY_OK(written);
  const absl::Status marked = co_await MarkAll();
  if (CodeOf(marked) != ErrorCode::kDiskFull) STELE_CO_TRY_OK(marked);
  // On a full disk they are marked in memory, and the next start marks them again.
  is_durable_ = written.ok() && marked.ok();
  STELE_SOMETIMES(kLimboEntered, !ledgers_.empty());
  if (ledgers_.empty()) {
    parts_.log->Write(LogLevel::kInfo,
                      "this bookie is not what it was, and metadata names it in no ledger");
  } else {
    parts_.log->Write(LogLevel::kError, "this bookie has lost data: its ledgers are in limbo",
                      {{"ledgers", static_cast<int64_t>(ledgers_.size())}});
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Limbo::MarkAll() {
  metadata::LedgerLister lister = parts_.ledgers->List();
  int64_t seen = 0;
  absl::Status flushed = absl::OkStatus();
  for (;;) {
    STELE_CO_TRY(const std::optional<metadata::LedgerRange> range, co_await lister.Next());
    if (!range.has_value()) break;
    for (const LedgerId ledger : *range) {
      STELE_CO_TRY_OK(co_await LookAt(ledger));
      if (++seen % kLookedAtATime != 0) continue;
      parts_.log->Write(LogLevel::kInfo, "ledgers are looked at for what this bookie has lost",
                        {{"ledgers", seen}});
      if (!flushed.ok()) continue;  // the disk is full
      flushed = co_await parts_.storage->Flush();
      if (CodeOf(flushed) != ErrorCode::kDiskFull) STELE_CO_TRY_OK(flushed);
    }
  }
  if (flushed.ok()) flushed = co_await parts_.storage->Flush();
  co_return flushed;
}

Task<absl::Status> Limbo::LookAt(LedgerId ledger) {
  const auto read = co_await parts_.ledgers->Read(ledger);
  const ErrorCode code = CodeOf(read.status());
  if (code == ErrorCode::kNoSuchLedgerMetadata) co_return absl::OkStatus();
  // Nobody can say who its members are.
  if (code == ErrorCode::kCorruptData) {
    co_return co_await Mark(ledger, Doubt::kEntriesAndFence, std::nullopt);
  }
  STELE_CO_TRY_OK(read.status());
  std::optional<wire::MasterKey> key;
  const std::optional<std::string>& password = read->value.password();
  if (password.has_value()) key = wire::MakeMasterKey(*password);
  co_return co_await Mark(ledger, DoubtAbout(read->value, self_), key);
}

Task<absl::Status> Limbo::Mark(LedgerId ledger, Doubt doubt, std::optional<wire::MasterKey> key) {
  if (doubt == Doubt::kNone) co_return absl::OkStatus();
  const auto loaded = co_await parts_.storage->Load(ledger);
  const ErrorCode code = CodeOf(loaded.status());
  // These deny nothing as they are, and are not whole.
  if (code == ErrorCode::kUnknownLedgerState || code == ErrorCode::kCorruptData) {
    ledgers_.insert(ledger);
    co_return absl::OkStatus();
  }
  if (code == ErrorCode::kNoSuchLedger) {
    parts_.storage->CreateLedger(ledger, key);
  } else {
    STELE_CO_TRY_OK(loaded.status());
    // What a journal has brought back may lack it.
    if (key.has_value() && !(*loaded)->has_master_key) {
      static_cast<void>(parts_.storage->SetMasterKey(ledger, *key));
    }
  }
  parts_.storage->SetUncertain(ledger);
  if (doubt == Doubt::kEntriesAndFence) parts_.storage->SetFenced(ledger);
  ledgers_.insert(ledger);
  co_return absl::OkStatus();
}

Task<absl::Status> Limbo::WriteFiles() {
  const std::string time = StrCat(absl::ToUnixMillis(*since_));
  for (const std::string& directory : parts_.ledger_directories) {
    STELE_CO_TRY_OK(
        co_await ReplaceFile(parts_.env.files, directory, kLimboFileName, Buffer::CopyOf(time)));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Limbo::Resume() {
  for (const std::string& directory : parts_.ledger_directories) {
    const absl::StatusOr<Buffer> time = co_await ReadFile(
        parts_.env.files, StrCat(directory, "/", kLimboFileName), kFileSizeMaxBytes);
    if (CodeOf(time.status()) == ErrorCode::kNoSuchFile) continue;
    since_ = ParseTime(time.ok() ? time->view() : "");
    break;
  }
  if (!since_.has_value()) co_return absl::OkStatus();
  for (const LedgerId ledger : parts_.storage->Ledgers()) {
    const auto state = co_await parts_.storage->Load(ledger);
    if (CodeOf(state.status()) == ErrorCode::kNoSuchLedger) continue;
    if (!state.ok() || (*state)->uncertain) ledgers_.insert(ledger);
  }
  for (const LedgerId stray : parts_.storage->StrayLedgers()) ledgers_.insert(stray);
  parts_.log->Write(LogLevel::kWarning, "ledgers of this bookie are in limbo",
                    {{"ledgers", static_cast<int64_t>(ledgers_.size())}});
  co_return absl::OkStatus();
}

// ---- The way out, and what goes on meanwhile

Task<void> Limbo::RaiseAge() {
  if (!is_durable_) co_return;  // the next start must see what this one saw
  const absl::Status raised = co_await age_.Raise();
  if (raised.ok() || stopping_) co_return;
  parts_.log->Write(LogLevel::kWarning, "the age of the data is not raised yet; it is tried again",
                    {{"error", ToStd(raised.message())}});
}

Task<void> Limbo::RaiseAgeNowAndThen() {
  for (;;) {
    co_await SleepFor(parts_.env.executor, parts_.env.clock, kRaiseInterval);
    if (stopping_) co_return;
    co_await RaiseAge();
  }
}

void Limbo::Start(Scrubber* scrubber) {
  scrubber_ = scrubber;
  scope_.Spawn(RaiseAgeNowAndThen());
  if (since_.has_value()) scope_.Spawn(HealNowAndThen());
}

Task<void> Limbo::Stop() {
  stopping_ = true;
  while (is_healing_) co_await idle_.Wait();
}

Task<void> Limbo::HealNowAndThen() {
  co_await SleepFor(parts_.env.executor, parts_.env.clock, kFirstHeal);
  while (!stopping_ && since_.has_value()) {
    is_healing_ = true;
    co_await Announce();
    co_await HealAll();
    is_healing_ = false;
    idle_.NotifyAll();
    if (since_.has_value()) co_await SleepFor(parts_.env.executor, parts_.env.clock, kHealPause);
  }
}

// For operators: nothing depends on it.
Task<void> Limbo::Announce() {
  if (is_announced_) co_return;
  const absl::Status announced = co_await parts_.records->SetInLimbo(self_, *since_);
  is_announced_ = announced.ok();
  if (is_announced_ || stopping_) co_return;
  parts_.log->Write(LogLevel::kWarning, "the cluster could not be told of the limbo yet",
                    {{"error", ToStd(announced.message())}});
}

// Makes those whose index was lost known, uncertain and fenced.
Task<void> Limbo::HealStrays() {
  const auto of_limbo = [this] {
    std::vector<LedgerId> strays = parts_.storage->StrayLedgers();
    std::erase_if(strays, [this](LedgerId ledger) { return !ledgers_.contains(ledger); });
    return strays;
  };
  if (of_limbo().empty()) co_return;
  const absl::Status recovered = co_await scrubber_->RecoverStrays();
  if (stopping_) co_return;
  if (recovered.ok()) {
    for (const LedgerId deleted : of_limbo()) ledgers_.erase(deleted);
    co_return;
  }
  parts_.log->Write(LogLevel::kWarning, "ledgers without an index are not found in the logs yet",
                    {{"error", ToStd(recovered.message())}});
}

Task<void> Limbo::HealAll() {
  co_await HealStrays();
  if (stopping_) co_return;
  const std::vector<LedgerId> all(ledgers_.begin(), ledgers_.end());
  for (const LedgerId ledger : all) {
    const absl::StatusOr<bool> is_whole = co_await scrubber_->Heal(ledger);
    if (stopping_) co_return;
    if (is_whole.ok() && *is_whole) ledgers_.erase(ledger);
  }
  if (!ledgers_.empty()) co_return;
  const absl::Status left = co_await Leave();
  if (left.ok() || stopping_) co_return;
  parts_.log->Write(LogLevel::kWarning, "the mark of limbo cannot be taken away yet",
                    {{"error", ToStd(left.message())}});
}

Task<absl::Status> Limbo::Leave() {
  STELE_CO_TRY_OK(co_await parts_.storage->Flush());  // that they are whole
  STELE_CO_TRY_OK(co_await parts_.records->ClearInLimbo(self_));
  for (const std::string& directory : parts_.ledger_directories) {
    const absl::Status removed =
        co_await parts_.env.files->Remove(StrCat(directory, "/", kLimboFileName));
    if (CodeOf(removed) != ErrorCode::kNoSuchFile) STELE_CO_TRY_OK(removed);
    STELE_CO_TRY_OK(co_await parts_.env.files->SyncDirectory(directory));
  }
  since_.reset();
  is_durable_ = true;
  STELE_SOMETIMES(kLimboLeft, true);
  parts_.log->Write(LogLevel::kInfo, "this bookie has left limbo: all of its ledgers are whole");
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
