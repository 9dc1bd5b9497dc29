#include "client/internal/placement_policy.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::client {

void PlacementPolicy::OnBookiesChanged(std::vector<BookieId> writable) {
  std::sort(writable.begin(), writable.end());
  writable.erase(std::unique(writable.begin(), writable.end()), writable.end());
  writable_ = std::move(writable);
}

void PlacementPolicy::Shuffle(std::vector<BookieId>& candidates) {
  for (size_t i = 0; i + 1 < candidates.size(); ++i) {
    std::swap(candidates[i], candidates[i + random_->Below(candidates.size() - i)]);
  }
  const MonotonicTime now = clock_->Now();
  std::stable_partition(candidates.begin(), candidates.end(),
                        [&](const BookieId& bookie) { return !suspects_.IsMarked(bookie, now); });
}

absl::StatusOr<metadata::Ensemble> PlacementPolicy::NewEnsemble(int ensemble_size) {
  const auto wanted = static_cast<size_t>(ensemble_size);
  if (wanted > writable_.size()) {
    return MakeError(ErrorCode::kNotEnoughBookies,
                     StrCat("an ensemble of ", wanted, " is asked for; ", writable_.size(),
                            " bookies are writable"));
  }
  std::vector<BookieId> candidates = writable_;
  Shuffle(candidates);
  candidates.resize(wanted);
  return candidates;
}

absl::StatusOr<BookieId> PlacementPolicy::Replacement(const metadata::Ensemble& ensemble,
                                                      const std::set<BookieId>& excluded) {
  std::vector<BookieId> candidates;
  for (const BookieId& bookie : writable_) {
    if (!excluded.contains(bookie) &&
        std::find(ensemble.begin(), ensemble.end(), bookie) == ensemble.end()) {
      candidates.push_back(bookie);
    }
  }
  if (candidates.empty()) {
    return MakeError(ErrorCode::kNotEnoughBookies, StrCat("none of the ", writable_.size(),
                                                          " writable bookies is a replacement"));
  }
  Shuffle(candidates);
  return candidates.front();
}

}  // namespace stele::client
