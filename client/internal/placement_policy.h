// PlacementPolicy: picks bookies for new ensembles, and replacements. Uniformly at random among the
// writable ones, those that failed lately last; racks and weights are not considered.
#pragma once

#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "client/internal/bookie_memory.h"
#include "common/base/ids.h"
#include "common/seams/clock.h"
#include "common/seams/random.h"
#include "metadata/ledger_metadata.h"

namespace stele::client {

class PlacementPolicy {
 public:
  // `random` and `clock` outlive this object.
  PlacementPolicy(Random* random, Clock* clock) : random_(random), clock_(clock) {}

  // What the registry says now. Read-only bookies are never picked.
  void OnBookiesChanged(std::vector<BookieId> writable);

  // A writer had to replace this bookie: it is picked only when there is no other, for a while.
  void Suspect(const BookieId& bookie) { suspects_.Mark(bookie, clock_->Now()); }

  // `ensemble_size` distinct writable bookies.
  //   errors   kNotEnoughBookies
  absl::StatusOr<metadata::Ensemble> NewEnsemble(int ensemble_size);

  // A writable bookie that is neither in `ensemble` nor in `excluded`.
  //   errors   kNotEnoughBookies
  absl::StatusOr<BookieId> Replacement(const metadata::Ensemble& ensemble,
                                       const std::set<BookieId>& excluded);

 private:
  // Brings the candidates into the order of picking.
  void Shuffle(std::vector<BookieId>& candidates);

  Random* random_;
  Clock* clock_;
  BookieMemory suspects_;
  std::vector<BookieId> writable_;  // sorted, unique
};

}  // namespace stele::client
