#include "common/quorum/coverage.h"

#include "common/base/check.h"

namespace stele::quorum {

Coverage::Coverage(const Replication& replication)
    : replication_(replication), known_(static_cast<size_t>(replication.ensemble_size), false) {
  STELE_CHECK(replication.IsValid());
}

void Coverage::AddKnown(BookieIndex index) {
  STELE_CHECK(index >= 0 && index < replication_.ensemble_size);
  known_[static_cast<size_t>(index)] = true;
}

bool Coverage::IsCovered() const {
  // Slides a window of write_quorum_size around the ring and keeps count of its unknown positions.
  const size_t ensemble_size = known_.size();
  const size_t window = static_cast<size_t>(replication_.write_quorum_size);
  int unknown = 0;
  for (size_t i = 0; i < window; ++i) unknown += known_[i] ? 0 : 1;
  for (size_t first = 0; first < ensemble_size; ++first) {
    if (unknown >= replication_.ack_quorum_size) return false;
    unknown -= known_[first] ? 0 : 1;
    unknown += known_[(first + window) % ensemble_size] ? 0 : 1;
  }
  return true;
}

}  // namespace stele::quorum
