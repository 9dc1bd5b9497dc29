#include "bookie/storage/index_store.h"

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {

absl::Status NoSuchLedger(LedgerId ledger) {
  return MakeError(ErrorCode::kNoSuchLedger, StrCat("ledger ", ledger.value()));
}

}  // namespace stele::bookie
