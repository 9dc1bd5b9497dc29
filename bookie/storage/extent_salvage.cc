#include "bookie/storage/extent_salvage.h"

#include <algorithm>

#include "absl/container/btree_map.h"

namespace stele::bookie {
namespace {

constexpr uint8_t kStateIsLost = kRowHasHeader | kRowLostSome;

// The least key behind the last row of the block.
ExtentKey BehindLastRow(const ExtentBlock& block) {
  const size_t last = block.row_count() - 1;
  const LedgerId ledger = block.key(last).ledger;
  if (!block.IsState(last)) return {.ledger = ledger, .entry = block.last_entry(last) + 1};
  if (ledger.value() == INT64_MAX) return {.ledger = ledger, .entry = kStateEntry};
  return {.ledger = LedgerId(ledger.value() + 1), .entry = 0};
}

// Calls visit(ledger, flags) for those that the run has in [first, end).
template <typename Visit>
void VisitLedgers(const ExtentRun& run, LedgerId first, std::optional<LedgerId> end, Visit visit) {
  const std::vector<LedgerId>& ledgers = run.ledgers();
  const auto begin = std::lower_bound(ledgers.begin(), ledgers.end(), first);
  for (auto i = static_cast<size_t>(begin - ledgers.begin()); i < ledgers.size(); ++i) {
    if (end.has_value() && ledgers[i] >= *end) break;
    visit(ledgers[i], run.flags(i));
  }
}

}  // namespace

void TailFromBlocks::Add(const ExtentBlock& block) {
  const LedgerId first = block.key(0).ledger;
  if (block.key(0) < next_) return AddDamaged();
  CloseHole(first);
  tail_.blocks.push_back(block.key(0));
  for (size_t row = 0; row < block.row_count(); ++row) {
    AddLedger(block.key(row).ledger);
    if (block.IsState(row)) tail_.flags.back() |= block.state(row).flags;
  }
  next_ = BehindLastRow(block);
}

void TailFromBlocks::AddDamaged() {
  damaged_.insert(static_cast<uint32_t>(tail_.blocks.size()));
  tail_.blocks.push_back(next_);
  if (!hole_.has_value()) hole_ = next_.ledger;
}

ExtentRunTail TailFromBlocks::Finish() {
  CloseHole(std::nullopt);
  return std::move(tail_);
}

void TailFromBlocks::AddLedger(LedgerId ledger) {
  if (!tail_.ledgers.empty() && tail_.ledgers.back() == ledger) return;
  tail_.ledgers.push_back(ledger);
  tail_.flags.push_back(0);
}

// `next`: the first ledger behind the damaged blocks. What follows of it has its state, if there is
// one; the state of those before it would have been in the hole. nullopt: the hole has no end.
void TailFromBlocks::CloseHole(std::optional<LedgerId> next) {
  if (!hole_.has_value()) return;
  LedgerId first = *std::exchange(hole_, std::nullopt);
  if (!tail_.ledgers.empty() && tail_.ledgers.back() == first) {
    const bool goes_on = next == first;
    tail_.flags.back() |= goes_on ? kRowLostSome : kStateIsLost;
    if (goes_on || first.value() == INT64_MAX) return;
    first = LedgerId(first.value() + 1);
  }
  const int64_t known = AddOthers(first, next);
  if (!next.has_value() || known < next->value() - std::max<int64_t>(first.value(), 0)) {
    may_hide_ledgers_ = true;
  }
  if (!next.has_value()) return;
  AddLedger(*next);
  tail_.flags.back() |= kRowLostSome;
}

// Those in [first, end) that were there before this run, or right behind it. Gives their number.
int64_t TailFromBlocks::AddOthers(LedgerId first, std::optional<LedgerId> end) {
  absl::btree_map<LedgerId, bool> is_there;
  for (const auto& run : others_.older) {
    VisitLedgers(*run, first, end, [&](LedgerId ledger, uint8_t flags) {
      is_there.try_emplace(ledger, !IsRemoval(flags));
    });
  }
  absl::btree_map<LedgerId, bool> goes_on;
  for (auto run = others_.newer.rbegin(); run != others_.newer.rend(); ++run) {
    VisitLedgers(**run, first, end, [&](LedgerId ledger, uint8_t flags) {
      goes_on.try_emplace(ledger, (flags & kRowIsFresh) == 0);
    });
  }
  for (const auto& [ledger, does] : goes_on) is_there[ledger] |= does;
  int64_t known = 0;
  for (const auto& [ledger, there] : is_there) {
    if (!there) continue;
    AddLedger(ledger);
    tail_.flags.back() |= kStateIsLost;
    ++known;
  }
  return known;
}

}  // namespace stele::bookie
