#include "bookie/garbage_plan.h"

#include <algorithm>
#include <utility>

namespace stele::bookie {

void GarbagePlan::BeginPass() { before_ = std::exchange(now_, {}); }

bool GarbagePlan::OnAbsent(LedgerId ledger, MonotonicTime now) {
  const auto before = before_.find(ledger);
  const MonotonicTime since = before == before_.end() ? now : before->second;
  const auto [place, is_new] = now_.try_emplace(ledger, since);
  return before != before_.end() && now - place->second >= grace_;
}

size_t GarbageBrake::Allow(size_t ledger_count, size_t garbage, MonotonicTime now) {
  const size_t limit =
      std::max(kRemovedPerPassMin, ledger_count / static_cast<size_t>(kRemovedPerPassDivisor));
  if (garbage <= limit) {
    since_.reset();
    return garbage;
  }
  if (!since_.has_value()) since_ = now;
  return now - *since_ >= kHold ? limit : 0;
}

}  // namespace stele::bookie
