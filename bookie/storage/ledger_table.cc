#include "bookie/storage/ledger_table.h"

#include "common/base/check.h"

namespace stele::bookie {

LedgerRecord* LedgerTable::Insert(LedgerId ledger) {
  const auto place = records_.insert(hand_, LedgerRecord{.state = {.ledger = ledger}});
  STELE_CHECK(by_ledger_.try_emplace(ledger, place).second);
  return &*place;
}

void LedgerTable::Erase(LedgerId ledger) {
  const auto found = by_ledger_.find(ledger);
  if (found == by_ledger_.end()) return;
  if (hand_ == found->second) ++hand_;
  records_.erase(found->second);
  by_ledger_.erase(found);
}

void LedgerTable::EvictIdle(size_t steps_max,
                            absl::FunctionRef<bool(const LedgerRecord&)> may_evict) {
  for (size_t step = 0; step < steps_max && records_.size() >= records_max_; ++step) {
    if (hand_ == records_.end()) hand_ = records_.begin();
    if (hand_ == records_.end()) return;
    LedgerRecord& record = *hand_;
    ++hand_;
    if (record.used) {
      record.used = false;
    } else if (may_evict(record)) {
      Erase(record.state.ledger);
    }
  }
}

}  // namespace stele::bookie
