#include "bookie/server/ledger_turns.h"

#include <iterator>
#include <utility>

#include "common/base/check.h"

namespace stele::bookie {

void LedgerTurns::Hold(LedgerId ledger, Task<absl::Status> task, Turn next) {
  STELE_CHECK(!IsHeld(ledger));
  std::deque<Turn>& waiting = held_[ledger];
  if (next != nullptr) waiting.push_back(std::move(next));
  scope_.Spawn(RunHeld(ledger, std::move(task)));
}

void LedgerTurns::Enqueue(LedgerId ledger, Turn turn) {
  const auto found = held_.find(ledger);
  STELE_CHECK(found != held_.end());
  found->second.push_back(std::move(turn));
}

Task<void> LedgerTurns::RunHeld(LedgerId ledger, Task<absl::Status> task) {
  const absl::Status status = co_await std::move(task);
  const auto found = held_.find(ledger);
  std::deque<Turn> waiting = std::move(found->second);
  held_.erase(found);
  while (!waiting.empty()) {
    Turn turn = std::move(waiting.front());
    waiting.pop_front();
    std::move(turn)(status);
    // The turn may have held the ledger again: the rest stands before anything that came after it.
    if (const auto again = held_.find(ledger); again != held_.end()) {
      again->second.insert(again->second.begin(), std::make_move_iterator(waiting.begin()),
                           std::make_move_iterator(waiting.end()));
      co_return;
    }
  }
}

}  // namespace stele::bookie
