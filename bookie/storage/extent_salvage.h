// Makes the tail of an extent run anew from its blocks, also when some of these are damaged too. A
// block says where it lies and what it has; what one that is damaged had is only bounded by its
// neighbours.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "bookie/storage/extent_run.h"
#include "common/base/ids.h"

namespace stele::bookie {

// Takes the blocks of a run one after the other. A ledger that a damaged one may have had something
// of gets flags that say so: some of it is lost, its state with it, unless that was found. Those
// ledgers are the ones that other blocks show, those that older runs leave, and those that newer
// runs go on with; of one that nobody else knows nothing is left, but for what the entry logs have.
// That there may be such a one is told (ExtentStoreOptions::on_ledgers_lost).
class TailFromBlocks {
 public:
  explicit TailFromBlocks(OtherRuns others) : others_(std::move(others)) {}

  // One that does not lie behind those before it is as damaged.
  void Add(const ExtentBlock& block);
  void AddDamaged();
  // After the last one.
  ExtentRunTail Finish();
  // Numbers of those that are damaged.
  const std::set<uint32_t>& damaged() const { return damaged_; }
  // A damaged one may have had all that there was of a ledger, as when it was fenced and has no
  // entries.
  bool may_hide_ledgers() const { return may_hide_ledgers_; }

 private:
  void AddLedger(LedgerId ledger);
  void CloseHole(std::optional<LedgerId> next);
  int64_t AddOthers(LedgerId first, std::optional<LedgerId> end);

  OtherRuns others_;
  ExtentRunTail tail_;
  ExtentKey next_;  // the next block begins here, or behind
  // The first ledger that the damaged blocks before the next good one may have; nullopt: there are
  // none.
  std::optional<LedgerId> hole_;
  std::set<uint32_t> damaged_;
  bool may_hide_ledgers_ = false;
};

}  // namespace stele::bookie
