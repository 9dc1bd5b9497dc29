// The promises of Stele as rules over a history. Each checker is a pure function that names every
// call that breaks its promise; since an entry is written under one id once, comparing orders and
// sets is enough, and nothing is searched.
//
// A rule compares two calls only where one has ended before the other began, or where time cannot
// excuse them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "simulation/history/history.h"

namespace stele::history {

struct Violation {
  std::string checker;  // its name in the table below
  std::string text;     // what happened, with times
  int64_t call = -1;    // the call that showed it; -1: none did, that is what is wrong
};
using Violations = std::vector<Violation>;

// What is judged once for many checkers.
class LedgerCalls;

// What the cluster may do that the history cannot show.
struct CheckOptions {
  // More was destroyed than the replication survives: acknowledged entries may be gone, but what is
  // shown must still be true.
  bool beyond_budget = false;
};

// All of them. Empty: the history keeps every promise that it can show.
Violations CheckHistory(const History& history, const CheckOptions& options = {});

// A checker takes the calls of one ledger, in the order of invocation.
struct LedgerChecker {
  std::string_view name;
  void (*check)(const LedgerCalls& ledger, Violations* violations);
  bool holds_beyond_budget;
};

// G1 AllAckedEntriesAreReadable   what is acknowledged is never missing or other
// G1 EndKeepsAcknowledged         no end cuts off what is acknowledged
// G2 AckedPrefix                  a writer's acknowledgements are 0, 1, 2, ...; none after an error
// G3 ReadersAgree                 an entry has one content
// G4 NoOutOfOrderEntries          what is read was appended there, and not refused
// G5 LacIsTrue                    a LAC shown is acknowledged or recovered, and not above the end
// G6 LacMonotone                  what one handle was shown does not shrink
// G7 OneEnd                       a closed ledger keeps its end and its length
// G10 NoLateAck                   nothing above the end is acknowledged after a recovery
// 1.4 ReadContract                a read gives the entries it was asked for, in order
const std::vector<LedgerChecker>& LedgerCheckers();

// Those over several ledgers or none.
//   CreatedOnce     an id is given to one creator
//   EffectOfErrors  every error is one of ours
//   NothingHangs    at the end every call of a living process has ended
void CheckCreatedOnce(const History& history, Violations* violations);
void CheckEffectOfErrors(const History& history, Violations* violations);
void CheckNothingHangs(const History& history, Violations* violations);
// Those over single bookies, asked directly.
//   G9 FenceMonotone   no normal add after a fence
//   G11 LacDurable     a LAC that was written does not go back
void CheckFenceMonotone(const History& history, Violations* violations);
void CheckLacDurable(const History& history, Violations* violations);

}  // namespace stele::history
