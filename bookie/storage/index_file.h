// What is done to one index file: its header and locations are read, a flush or a compaction
// updates it. Where it lies, who waits for whom and what is kept in memory: index_store.h.
//
// A sector of locations that the file claims (index_claim.h) and that is empty is *lost*: its
// entries are answered as damage, never as absent. The claim is made behind the sync of an update
// and not synced itself, so it never says more than was durable.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/index_format.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/location_cache.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// How far back from the end of an index file the last entry is searched: zeroes behind it come from
// Java's page size, or from a crash. 64 MiB are 8 million entries.
inline constexpr uint64_t kLastEntrySearchMaxBytes = 64ull << 20;
// What ListEntriesOf() goes through at most; it gives kListedEntriesMax at most.
inline constexpr uint64_t kListedIndexMaxBytes = 1ull << 30;

inline constexpr int64_t kSectorsPerPage = kLocationsPerPage / kLocationsPerSector;

struct LoadedPage {
  std::unique_ptr<LocationPage> locations;
  std::bitset<kSectorsPerPage> lost;
};

// Pages of locations by number, as the file has them.
using NumberedPages = std::vector<std::pair<int64_t, std::unique_ptr<LocationPage>>>;

// Each may meet an update, but for UpdateIndex: the claim is read before what it is held against.
// Errors: those of the file; kCorruptData: a header that no crash leaves.
Task<absl::StatusOr<LoadedIndex>> LoadIndex(File* file, LedgerId ledger);
// The locations of entries [512 page, 512 page + 511].
Task<absl::StatusOr<LoadedPage>> LoadPage(File* file, LedgerId ledger, int64_t page);
// Ids of all entries, ascending. kOverloaded: too many. kCorruptData: some are lost.
Task<absl::StatusOr<std::vector<EntryId>>> ListEntriesOf(File* file, LedgerId ledger);
// Goes through the sectors that are claimed.
Task<absl::StatusOr<bool>> HasLostSome(File* file, LedgerId ledger, BackgroundPace* pace);

// What an update asks and tells while it runs.
struct UpdateHooks {
  // A page that is in memory and has lost nothing, or null.
  absl::FunctionRef<const LocationPage*(int64_t page)> cached;
  // The file has lost locations, says its claim. Its header, which will say so, is not written yet.
  absl::FunctionRef<void()> on_lost;
};

// Writes header and locations; all is durable when it returns. Gives the pages that were changed.
// The only writer of the file, which is opened for this update. What had been lost before is made
// known in the header first, because the update may fill a sector that was empty. A header that is
// certain over one that is not says that nothing is missing: what is lost is claimed no longer.
Task<absl::StatusOr<NumberedPages>> UpdateIndex(File* file, IndexUpdate update, bool is_new,
                                                UpdateHooks hooks);

// The status of what is lost.
absl::Status LocationsLost(LedgerId ledger);

}  // namespace stele::bookie
