#include "common/observe/summary.h"

#include <utility>

namespace stele::observe {

void Summary::Turn(MonotonicTime now) {
  if (current_ == nullptr) {
    current_ = std::make_unique<Histogram>();
    previous_ = std::make_unique<Histogram>();
  } else {
    std::swap(current_, previous_);
    current_->Clear();
    if (now >= turns_at_ + kWindow) previous_->Clear();  // nothing came for a whole window
  }
  turns_at_ = now + kWindow;
}

Histogram Summary::Recent(MonotonicTime now) const {
  Histogram recent;
  if (current_ == nullptr || now >= turns_at_ + kWindow) return recent;
  recent.Add(*current_);
  if (now < turns_at_) recent.Add(*previous_);
  return recent;
}

}  // namespace stele::observe
