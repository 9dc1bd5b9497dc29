// LocationUpdates: locations of many ledgers, each to be written only where the index still has
// what it is meant to replace.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bookie/storage/index_store.h"

namespace stele::bookie {

struct LocationChange {
  LedgerId ledger;
  int64_t entry = 0;
  EntryLocation from;  // absent: written where the index has none, or has lost it
  EntryLocation to;
};

// A flush may have written a newer location, or the ledger may have been deleted: then nothing is
// to be changed. Of several copies of an entry one is as good as another: the first is taken.
class LocationUpdates : public IndexUpdates {
 public:
  // `changes` are sorted by ledger and entry. What is pointed to outlives this.
  LocationUpdates(IndexStore* index, std::span<const LocationChange> changes);

  size_t count() const override { return ledgers_.size(); }
  LedgerId ledger(size_t i) const override { return ledgers_[i].changes.front().ledger; }
  Task<absl::StatusOr<std::optional<IndexUpdate>>> Prepare(size_t i) override;

 protected:
  // What was prepared of this ledger.
  const std::vector<int64_t>& entries(size_t i) const { return ledgers_[i].entries; }

 private:
  struct Ledger {
    std::span<const LocationChange> changes;
    std::vector<int64_t> entries;
    std::vector<int64_t> locations;
  };

  IndexStore* index_;
  std::vector<Ledger> ledgers_;
};

}  // namespace stele::bookie
