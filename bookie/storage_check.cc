#include "bookie/storage_check.h"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "bookie/stopped_storage.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/digest.h"
#include "common/wire/entry_packet.h"

namespace stele::bookie {
namespace {

// The calls belong to one pass over one storage, which outlives it.
class Check {
 public:
  Check(LedgerStorage* storage, metadata::LedgerManager* ledgers)
      : storage_(storage), ledgers_(ledgers) {}

  Task<absl::StatusOr<StorageCheckReport>> Run() {
    for (const LedgerId ledger : storage_->StrayLedgers()) {
      Add(ledger, kNoEntry, "entry logs have entries of it, and it has no index file");
    }
    for (const LedgerId ledger : storage_->Ledgers()) {
      ++report_.ledgers;
      STELE_CO_TRY_OK(co_await CheckLedger(ledger));
    }
    co_return std::move(report_);
  }

 private:
  void Add(LedgerId ledger, EntryId entry, std::string_view what) {
    ++report_.finding_count;
    if (report_.findings.size() >= kStorageFindingsMax) return;
    report_.findings.push_back({ledger, entry, std::string(what)});
  }

  // Nothing: digests of this ledger cannot be compared.
  Task<absl::StatusOr<std::optional<wire::Digester>>> DigesterOf(LedgerId ledger) {
    if (ledgers_ == nullptr) co_return std::nullopt;
    const auto read = co_await ledgers_->Read(ledger);
    const ErrorCode code = CodeOf(read.status());
    if (code == ErrorCode::kNoSuchLedgerMetadata) ++report_.ledgers_unknown;
    if (code == ErrorCode::kNoSuchLedgerMetadata || code == ErrorCode::kCorruptData) {
      co_return std::nullopt;
    }
    if (!read.ok()) co_return read.status();
    if (!read->value.password().has_value()) co_return std::nullopt;
    co_return wire::Digester(read->value.digest_type(), *read->value.password());
  }

  Task<absl::Status> CheckLedger(LedgerId ledger) {
    NoPace pace;
    absl::Status index = co_await storage_->CheckIndex(ledger, &pace);
    const auto state = co_await storage_->Load(ledger);
    if (index.ok()) index = state.status();
    if (!index.ok()) {
      Add(ledger, kNoEntry, index.ToString());
      co_return absl::OkStatus();
    }
    if ((*state)->uncertain) Add(ledger, kNoEntry, "its index has lost a part");
    STELE_CO_TRY(const std::optional<wire::Digester> digester, co_await DigesterOf(ledger));
    const EntryId last = (*state)->last_entry;
    const auto listed = co_await storage_->ListEntries(ledger);
    if (listed.ok()) {
      for (const EntryId entry : *listed) co_await CheckEntry(ledger, entry, digester);
      co_return absl::OkStatus();
    }
    // One that has lost a part of its index does not tell; what is there is read all the same.
    for (EntryId entry(0); entry <= last; entry = entry.Next()) {
      co_await CheckEntry(ledger, entry, digester);
    }
    co_return absl::OkStatus();
  }

  Task<void> CheckEntry(LedgerId ledger, EntryId entry,
                        const std::optional<wire::Digester>& digester) {
    const auto packet = co_await storage_->Read(ledger, entry);
    const ErrorCode code = CodeOf(packet.status());
    if (code == ErrorCode::kNoSuchEntry || code == ErrorCode::kUnknownLedgerState) co_return;
    ++report_.entries;
    if (!packet.ok()) {
      Add(ledger, entry, packet.status().ToString());
      co_return;
    }
    report_.bytes += static_cast<int64_t>(packet->size());
    if (!digester.has_value()) co_return;
    ++report_.entries_proven;
    if (!wire::DigestMatches(packet->view(), *digester)) {
      Add(ledger, entry, "its digest does not match");
    }
  }

  LedgerStorage* const storage_;
  metadata::LedgerManager* const ledgers_;
  StorageCheckReport report_;
};

}  // namespace

Task<absl::StatusOr<StorageCheckReport>> CheckStorage(Env env, StorageCheckOptions options) {
  STELE_CO_TRY(
      const StoppedStorage stopped,
      co_await OpenStoppedStorage(env, options.ledger_directories, options.index_directories));
  LedgerStorage* const storage = stopped.storage.get();
  Check check(storage, options.ledgers);
  // Not closed: closing would write what the check has learnt.
  co_return co_await check.Run();
}

}  // namespace stele::bookie
