#include "client/internal/ledger_cell.h"

#include "common/base/try.h"

namespace stele::client {

bool LedgerCell::Take(metadata::Versioned<metadata::LedgerMetadata> seen) {
  if (seen.version <= version_) return false;
  value_ = std::make_shared<const metadata::LedgerMetadata>(std::move(seen.value));
  version_ = seen.version;
  return true;
}

Task<absl::Status> LedgerCell::Update(metadata::LedgerUpdate update) {
  const metadata::RetryOptions retry{.give_up_at = ledgers_->env().clock->Now() + timeout_};
  STELE_CO_TRY(metadata::Versioned<metadata::LedgerMetadata> updated,
               co_await metadata::UpdateLedger(ledgers_, id_, {*value_, version_},
                                               std::move(update), retry));
  Take(std::move(updated));
  co_return absl::OkStatus();
}

Task<absl::Status> LedgerCell::Refresh() {
  STELE_CO_TRY(metadata::Versioned<metadata::LedgerMetadata> seen, co_await ledgers_->Read(id_));
  Take(std::move(seen));
  co_return absl::OkStatus();
}

}  // namespace stele::client
