// PlacementPolicy: picks bookies for new ensembles, and replacements. Uniformly at random among the
// writable ones; racks and weights are not considered.
#pragma once

#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/seams/random.h"
#include "metadata/ledger_metadata.h"

namespace stele::client {

class PlacementPolicy {
 public:
  // `random` outlives this object.
  explicit PlacementPolicy(Random* random) : random_(random) {}

  // What the registry says now. Read-only bookies are never picked.
  void OnBookiesChanged(std::vector<BookieId> writable);

  // `ensemble_size` distinct writable bookies, in random order.
  //   errors   kNotEnoughBookies
  absl::StatusOr<metadata::Ensemble> NewEnsemble(int ensemble_size);

  // A writable bookie that is neither in `ensemble` nor in `excluded`.
  //   errors   kNotEnoughBookies
  absl::StatusOr<BookieId> Replacement(const metadata::Ensemble& ensemble,
                                       const std::set<BookieId>& excluded);

  size_t writable_count() const { return writable_.size(); }

 private:
  Random* random_;
  std::vector<BookieId> writable_;  // sorted, unique
};

}  // namespace stele::client
