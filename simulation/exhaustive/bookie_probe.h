// BookieProbe: asks bookies directly what they hold, past all quorums. A client is content with one
// good copy; what was acknowledged has an ack quorum of them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "simulation/exhaustive/oracle.h"

namespace stele::simulation {

// Good copies by entry; shared with the tasks that count.
using CopyCounts = std::map<EntryId, int>;

// Reads the entries, which this bookie should hold, and counts those that are as the writer gave
// them.
Task<void> CountCopies(Env env, BookieId bookie, const LedgerOracle* ledger,
                       std::vector<EntryId> entries, std::shared_ptr<CopyCounts> copies);

// Reads `entry` and fences the ledger. *fenced: the bookie has answered, so the fence is for ever.
Task<void> FenceDirectly(Env env, BookieId bookie, LedgerId ledger, EntryId entry,
                         std::shared_ptr<bool> fenced);

// Adds `entry` as a writer. *accepted: the bookie says that it has it.
Task<void> AddDirectly(Env env, BookieId bookie, LedgerId ledger, EntryId entry,
                       std::shared_ptr<bool> accepted);

}  // namespace stele::simulation
