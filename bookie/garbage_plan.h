// What may be removed because metadata does not know it. Pure: answers and times in, decision out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace stele::bookie {

// A ledger is garbage when metadata, asked for this very ledger, said twice that there is none, the
// second time at least a grace period after the first, and never in between that there is.
class GarbagePlan {
 public:
  explicit GarbagePlan(absl::Duration grace) : grace_(grace) {}

  // Forgets the ledgers that the pass before did not ask about, or found.
  void BeginPass();
  // Metadata has just said that there is no such ledger. True: it is garbage.
  bool OnAbsent(LedgerId ledger, MonotonicTime now);

 private:
  using Since = absl::btree_map<LedgerId, MonotonicTime>;

  absl::Duration grace_;
  Since before_;  // absent in the pass before, since when
  Since now_;     // in this pass
};

// Holds a pass back that would remove a large part of the bookie: more likely than so many
// deletions is a metadata store that forgot, or that is another one. After kHold it lets a part go
// in each pass, because deletions are real too.
class GarbageBrake {
 public:
  static constexpr size_t kRemovedPerPassMin = 100;
  static constexpr int64_t kRemovedPerPassDivisor = 10;  // a tenth of the ledgers
  static constexpr absl::Duration kHold = absl::Hours(24);

  // How many of `garbage` ledgers, of `ledger_count` that are stored, may go now.
  size_t Allow(size_t ledger_count, size_t garbage, MonotonicTime now);
  bool is_on() const { return since_.has_value(); }

 private:
  std::optional<MonotonicTime> since_;  // it holds
};

}  // namespace stele::bookie
