// Whether bookies may be stopped for a while, without anybody noticing. Pure.
//
// Source: docs/AUTORECOVERY.md "Restarting bookies".
#pragma once

#include <cstdint>
#include <set>
#include <string_view>

#include "common/base/ids.h"
#include "metadata/ledger_metadata.h"

namespace stele::autorecovery {

enum class RefusalKind {
  kUnreadable,       // G1: an entry would have no copy that is up
  kUnrecoverable,    // G2: too few bookies of an open end would be left to tell where it ends
  kTooFewCopies,     // G3: one more failure would make an entry unreadable, or lose it
  kTooFewWritable,   // G4: no ensemble of the size in use could be formed
  kUnderReplicated,  // G5: the ledger lacks copies already
};
// "G1" ...
std::string_view LabelOf(RefusalKind kind);
std::string_view ReasonOf(RefusalKind kind);

struct RestartRules {
  int copies_min = 2;  // that must stay; a ledger with fewer copies at all needs all of them
};

// What speaks against stopping, for one ledger.
//   away   the bookies that would be down: those that are, and those to be stopped
std::set<RefusalKind> RefusalsFor(const metadata::LedgerMetadata& metadata,
                                  const std::set<BookieId>& away, const RestartRules& rules);

}  // namespace stele::autorecovery
