// Which rack each bookie is in, as an operator says, and whether the copies of a ledger are spread
// over racks. Pure. Source: docs/AUTORECOVERY.md "Racks".
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "metadata/ledger_metadata.h"

namespace stele::autorecovery {

inline constexpr std::string_view kDefaultRack = "/default-rack";
// Of the copies of an entry. Apache's minNumRacksPerWriteQuorum, at its default.
inline constexpr int kRacksPerWriteQuorumMin = 2;

class RackMap {
 public:
  // A line each: a bookie's id or its host, a space, and its rack, as "/rack" or "/region/rack";
  // '#' begins a comment.
  //   errors   kConfig: another line, a name twice; it names the line
  static absl::StatusOr<RackMap> Parse(std::string_view text);

  // Of its id, else of the host that its id begins with; kDefaultRack when neither is named.
  std::string_view RackOf(const BookieId& bookie) const;

 private:
  std::map<std::string, std::string, std::less<>> racks_;
};

// Whether the copies of each entry that there may be are in kRacksPerWriteQuorumMin racks, or in as
// many as there are copies when those are fewer. A bookie that is down counts where it is.
bool IsSpreadOverRacks(const metadata::LedgerMetadata& metadata, const RackMap& racks);

}  // namespace stele::autorecovery
