#include "bookie/limbo.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/async/run_concurrently.h"
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
constexpr absl::Duration kAnnouncePause = absl::Seconds(10);
// Ledgers after which those that are marked are made durable: until then they are held in memory.
constexpr int64_t kLookedAtATime = 10'000;
constexpr size_t kReadsInFlightMax = 64;
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
      marking_(parts_.env.executor, 1),
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
    co_await Resume();
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
  int64_t unflushed = 0;
  absl::Status flushed = absl::OkStatus();
  for (;;) {
    STELE_CO_TRY(const std::optional<metadata::LedgerRange> range, co_await lister.Next());
    if (!range.has_value()) break;
    const auto look_at = [&](size_t i) { return LookAt((*range)[i]); };
    STELE_CO_TRY_OK(
        co_await RunConcurrently(parts_.env.executor, range->size(), kReadsInFlightMax, look_at));
    seen += static_cast<int64_t>(range->size());
    unflushed += static_cast<int64_t>(range->size());
    if (unflushed < kLookedAtATime) continue;
    unflushed = 0;
    parts_.log->Write(LogLevel::kInfo, "ledgers are looked at for what this bookie has lost",
                      {{"ledgers", seen}});
    if (!flushed.ok()) continue;  // the disk is full
    flushed = co_await parts_.storage->Flush();
    if (CodeOf(flushed) != ErrorCode::kDiskFull) STELE_CO_TRY_OK(flushed);
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

Task<void> Limbo::Resume() {
  for (const std::string& directory : parts_.ledger_directories) {
    const absl::StatusOr<Buffer> time = co_await ReadFile(
        parts_.env.files, StrCat(directory, "/", kLimboFileName), kFileSizeMaxBytes);
    if (CodeOf(time.status()) == ErrorCode::kNoSuchFile) continue;
    since_ = ParseTime(time.ok() ? time->view() : "");
    is_listed_ = false;
    break;
  }
}

// Each answers by its own state, whether it is listed or not.
Task<void> Limbo::ListLedgers() {
  for (const LedgerId ledger : parts_.storage->Ledgers()) {
    if (stopping_) co_return;
    const auto state = co_await parts_.storage->Load(ledger);
    if (CodeOf(state.status()) == ErrorCode::kNoSuchLedger) continue;
    if (!state.ok() || (*state)->uncertain) ledgers_.insert(ledger);
  }
  for (const LedgerId stray : parts_.storage->StrayLedgers()) ledgers_.insert(stray);
  is_listed_ = true;
  parts_.log->Write(LogLevel::kWarning, "ledgers of this bookie are in limbo",
                    {{"ledgers", static_cast<int64_t>(ledgers_.size())}});
}

// ---- The way out, and what goes on meanwhile

LimboStatus Limbo::status() const {
  auto ledgers = static_cast<int64_t>(ledgers_.size());
  if (!is_listed_) {
    ledgers = parts_.storage->Stats().ledgers +
              static_cast<int64_t>(parts_.storage->StrayLedgers().size());
  }
  return {ledgers, since_, age_.value(), is_store_set_back_};
}

Task<absl::Status> Limbo::MayRemove() {
  if (since_.has_value()) {
    co_return MakeError(ErrorCode::kUnknownLedgerState,
                        "ledgers of this bookie are in limbo: nothing is removed meanwhile");
  }
  const absl::Status checked = co_await age_.CheckStore();
  OnStoreSeen(checked);
  co_return checked;
}

// For operators.
void Limbo::OnStoreSeen(const absl::Status& checked) {
  const bool is_set_back = CodeOf(checked) == ErrorCode::kCookieMismatch;
  if (!checked.ok() && !is_set_back) return;
  if (std::exchange(is_store_set_back_, is_set_back) == is_set_back) return;
  parts_.log->Write(is_set_back ? LogLevel::kError : LogLevel::kInfo,
                    is_set_back ? "the metadata store knows less than it did: nothing is removed"
                                : "the metadata store knows again what it knew",
                    {{"error", ToStd(checked.message())}});
}

// What could not be written because the disk was full.
Task<void> Limbo::MakeDurable() {
  const Permits::Hold hold = co_await marking_.Acquire(1);
  if (is_durable_) co_return;
  absl::Status written = co_await WriteFiles();
  if (written.ok()) written = co_await parts_.storage->Flush();
  is_durable_ = written.ok();
}

Task<void> Limbo::RaiseAge() {
  if (!is_durable_) co_await MakeDurable();
  if (!is_durable_) co_return;  // the next start must see what this one saw
  const absl::Status raised = co_await age_.Raise();
  OnStoreSeen(raised);
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
  if (!since_.has_value()) return;
  scope_.Spawn(AnnounceNowAndThen());
  scope_.Spawn(HealNowAndThen());
}

Task<void> Limbo::Stop() {
  stopping_ = true;
  while (is_healing_) co_await idle_.Wait();
}

Task<void> Limbo::HealNowAndThen() {
  co_await SleepFor(parts_.env.executor, parts_.env.clock, kFirstHeal);
  while (!stopping_ && since_.has_value()) {
    is_healing_ = true;
    if (!is_listed_) co_await ListLedgers();
    if (is_listed_) co_await HealAll();
    is_healing_ = false;
    idle_.NotifyAll();
    if (since_.has_value()) co_await SleepFor(parts_.env.executor, parts_.env.clock, kHealPause);
  }
}

// For operators: nothing depends on it.
Task<void> Limbo::AnnounceNowAndThen() {
  co_await SleepFor(parts_.env.executor, parts_.env.clock, kFirstHeal);
  for (;;) {
    const absl::Status announced = co_await Announce();
    if (announced.ok() || stopping_) co_return;
    parts_.log->Write(LogLevel::kWarning, "the cluster could not be told of the limbo yet",
                      {{"error", ToStd(announced.message())}});
    co_await SleepFor(parts_.env.executor, parts_.env.clock, kAnnouncePause);
  }
}

Task<absl::Status> Limbo::Announce() {
  const Permits::Hold hold = co_await marking_.Acquire(1);
  if (!since_.has_value()) co_return absl::OkStatus();
  co_return co_await parts_.records->SetInLimbo(self_, *since_);
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
    co_await HealOne(ledger);
    if (stopping_) co_return;
  }
  if (!ledgers_.empty()) co_return;
  const absl::Status left = co_await Leave();
  if (left.ok() || stopping_) co_return;
  parts_.log->Write(LogLevel::kWarning, "the mark of limbo cannot be taken away yet",
                    {{"error", ToStd(left.message())}});
}

Task<void> Limbo::HealOne(LedgerId ledger) {
  const auto metadata = co_await parts_.ledgers->Read(ledger);
  if (stopping_) co_return;
  bool is_healed = CodeOf(metadata.status()) == ErrorCode::kNoSuchLedgerMetadata;  // deleted
  if (metadata.ok()) {
    const auto known = open_.find(ledger);
    if (known != open_.end() && known->second == metadata->version) co_return;
  }
  if (!is_healed) {
    const absl::StatusOr<LedgerProof> proof = co_await scrubber_->Heal(ledger);
    if (stopping_ || !proof.ok()) co_return;
    is_healed = *proof == LedgerProof::kWhole;
    if (*proof == LedgerProof::kOpen && metadata.ok()) {
      open_.insert_or_assign(ledger, metadata->version);
    }
  }
  if (!is_healed) co_return;
  ledgers_.erase(ledger);
  open_.erase(ledger);
}

Task<absl::Status> Limbo::Leave() {
  const Permits::Hold hold = co_await marking_.Acquire(1);
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
