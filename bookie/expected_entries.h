// Which entries of a ledger a bookie must have, by the ledger's metadata. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/ids.h"
#include "metadata/ledger_metadata.h"

namespace stele::bookie {

// Those whose write set has the bookie, in all fragments whose end is known: the last one of a
// ledger that is not closed has none yet.
class ExpectedEntries {
 public:
  // `metadata` must outlive it.
  ExpectedEntries(const metadata::LedgerMetadata* metadata, BookieId bookie);

  // There are no others. False: the bookie is in a fragment whose end is not known, or a recovery
  // may have made it a member of one that metadata does not name yet.
  bool are_all() const { return are_all_; }
  // The smallest expected entry that is not below `from`; kNoEntry: none.
  EntryId AtOrAfter(EntryId from) const;

 private:
  struct Range {
    EntryId first;
    EntryId last;
    int position = 0;  // of the bookie in the ensemble
  };
  const metadata::LedgerMetadata* metadata_;
  std::vector<Range> ranges_;
  bool are_all_ = true;
};

}  // namespace stele::bookie
