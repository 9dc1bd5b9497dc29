#include "bookie/server/bad_input.h"

namespace stele::bookie {

void BadInput::Count(std::string_view reason, std::string_view peer) {
  const MonotonicTime now = clock_->Now();
  const auto [place, is_new] = reasons_.try_emplace(std::string(reason));
  Reason& seen = place->second;
  ++seen.count;
  if (!is_new && now < seen.logged_at + kLogInterval) return;
  seen.logged_at = now;
  log_->Write(observe::LogLevel::kWarning, "bad input",
              {{"reason", reason}, {"peer", peer}, {"count", seen.count}});
}

void BadInput::LogTotals() const {
  for (const auto& [reason, seen] : reasons_) {
    log_->Write(observe::LogLevel::kInfo, "bad input in all",
                {{"reason", std::string_view(reason)}, {"count", seen.count}});
  }
}

void BadInput::Export(observe::MetricsText& into) const {
  for (const auto& [reason, seen] : reasons_) {
    into.Counter("stele_bad_input_total", {{"reason", reason}}, seen.count);
  }
}

}  // namespace stele::bookie
