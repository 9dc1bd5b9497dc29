// FragmentCopier: brings the entries that are missing at some positions of one fragment to bookies
// that shall have them, and proves that they are there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "autorecovery/repair_plan.h"
#include "autorecovery/repair_throttle.h"
#include "client/internal/bookie_client.h"
#include "client/internal/client_context.h"
#include "client/internal/ledger_keys.h"
#include "common/async/completion.h"
#include "common/async/permits.h"
#include "common/async/task.h"
#include "common/observe/summary.h"
#include "common/wire/availability.h"
#include "common/wire/entry_packet.h"
#include "metadata/bookie_registry.h"

namespace stele::autorecovery {

// What copying has cost, as BookKeeper's replicator measures it. A write ends with its reply.
struct CopyMeters {
  int64_t entries_read = 0;
  int64_t entries_written = 0;     // once per target
  int64_t entries_unreadable = 0;  // no bookie gave a good copy: counted at each attempt
  observe::Summary bytes_read;     // of each payload
  observe::Summary bytes_written;
  observe::Latency reads;  // of a copy from one bookie
  observe::Latency writes;
};

// What copies of all ledgers share. Everything outlives the copiers.
struct CopyContext {
  client::ClientContext* client = nullptr;
  metadata::BookieRegistry* registry = nullptr;
  RepairThrottle* throttle = nullptr;
  Permits* bytes_in_flight = nullptr;
  size_t entries_in_flight_max = 32;  // of one fragment
  // False: repair was switched off, stop here.
  absl::AnyInvocable<bool() const> may_go_on;
  CopyMeters meters;
};

// One position that is to get its entries.
struct CopyTarget {
  MemberRepair repair;
  std::optional<wire::Availability> stored;  // what the new bookie has already; nothing: nothing
};

struct CopyResult {
  absl::Status status;
  int64_t entries_copied = 0;  // counted once per target
  int64_t bytes_copied = 0;    // payloads
  // kNoSuchEntry: an entry that no bookie that is up has, by their own words; `evidence` says what
  // each of its bookies said. Waiting does not help.
  EntryId lost_entry;
  std::vector<std::pair<BookieId, std::string>> evidence;
  // Targets that could not take or keep their copies.
  std::set<BookieId> failed_targets;
  // Members that are up and turned out to lack an entry.
  std::set<BookieIndex> lacking;
};

// Ok: every target has every entry that belongs to its position, read back from it with a right
// digest, after it said that they are durable.
//   errors   kNoSuchEntry   see CopyResult
//            kStopped       may_go_on said no
//            others         may be tried again
// `context`, `keys` outlive the task.
Task<CopyResult> CopyFragment(CopyContext* context, const client::LedgerKeys* keys, LedgerId ledger,
                              quorum::Replication replication, SealedFragment fragment,
                              std::vector<CopyTarget> targets, int64_t entry_size_expected);

}  // namespace stele::autorecovery
