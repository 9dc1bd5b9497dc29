#include "client/internal/entry_numbers.h"

#include <algorithm>

namespace stele::client {

EntryNumbers::Slots::iterator EntryNumbers::Find(EntryId entry) {
  return std::lower_bound(slots_.begin() + static_cast<ptrdiff_t>(first_), slots_.end(), entry,
                          [](const Slot& slot, EntryId of) { return slot.entry < of; });
}

bool EntryNumbers::Insert(EntryId entry, uint64_t number) {
  if (empty() || slots_.back().entry < entry) {
    // Half of it at least was taken: what is left moves once for each of those.
    if (first_ > slots_.size() / 2) {
      slots_.erase(slots_.begin(), slots_.begin() + static_cast<ptrdiff_t>(first_));
      first_ = 0;
    }
    slots_.push_back({entry, number});
    return true;
  }
  const Slots::iterator place = Find(entry);
  if (place->entry == entry) return false;
  slots_.insert(place, {entry, number});
  return true;
}

std::optional<uint64_t> EntryNumbers::Take(EntryId entry) {
  if (empty()) return std::nullopt;
  if (slots_[first_].entry == entry) return slots_[first_++].number;
  const Slots::iterator place = Find(entry);
  if (place == slots_.end() || place->entry != entry) return std::nullopt;
  const uint64_t number = place->number;
  slots_.erase(place);
  return number;
}

std::optional<uint64_t> LedgerEntryNumbers::Take(LedgerId ledger, EntryId entry) {
  const auto numbers = ledgers_.find(ledger);
  if (numbers == ledgers_.end()) return std::nullopt;
  const std::optional<uint64_t> number = numbers->second.Take(entry);
  if (numbers->second.empty()) ledgers_.erase(numbers);
  return number;
}

}  // namespace stele::client
