// How auditor and workers behave. The names in comments are the keys of Apache BookKeeper's
// configuration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "autorecovery/racks.h"
#include "client/client_options.h"
#include "common/base/digest_type.h"

namespace stele::observe {
class Log;
}  // namespace stele::observe

namespace stele::autorecovery {

struct AutorecoveryOptions {
  // What locks and votes say, for people: the host's name.
  std::string name = "stele";
  bool runs_auditor = true;
  bool runs_worker = true;

  // --- Auditor ---
  // Of a cluster that has none set yet. lostBookieRecoveryDelay, whose default is 0 there.
  absl::Duration recovery_delay = absl::Minutes(10);
  // Everything is looked at again at least so often. auditorPeriodicBookieCheckInterval.
  absl::Duration bookie_check_interval = absl::Hours(24);
  // How often each copy of each ledger is asked for. auditorPeriodicCheckInterval; infinite: never.
  absl::Duration ledger_check_interval = absl::Hours(24 * 7);
  // How often it is counted which ledgers are in too few racks; infinite: never.
  // auditorPeriodicPlacementPolicyCheckInterval.
  absl::Duration placement_check_interval = absl::InfiniteDuration();
  RackMap racks;
  // More than this share of all bookies lost within storm_window: it is rather the network. Nothing
  // is published until fewer are away, or as long as storm_hold_max.
  int storm_percent = 30;
  absl::Duration storm_window = absl::Seconds(60);
  absl::Duration storm_hold_max = absl::Hours(1);
  // After a loss nothing is published for so long, in case that others went with it.
  absl::Duration loss_settle = absl::Seconds(4);
  // Operations on the metadata store at the same time.
  size_t metadata_in_flight_max = 256;
  // Ledgers whose copies are checked at the same time.
  size_t checks_in_flight_max = 16;

  // --- Workers ---
  size_t ledgers_in_flight_max = 64;
  size_t entries_in_flight_max = 32;  // of one ledger; rereplicationEntryBatchSize
  int64_t bytes_in_flight_max = 64 * 1024 * 1024;
  // How long a writer has to replace a lost bookie of its own. openLedgerRereplicationGracePeriod.
  absl::Duration open_ledger_grace = absl::Seconds(30);
  // A ledger that could not be repaired keeps its lock so long, doubling, so that nobody hurries.
  absl::Duration backoff_first = absl::Milliseconds(9375);
  absl::Duration backoff_max = absl::Minutes(5);  // lockReleaseOfFailedLedgerGracePeriod
  // How often an idle worker looks for tasks, and everybody for new limits.
  absl::Duration poll_interval = absl::Seconds(5);
  // How often a ledger that cannot be repaired is tried again, besides when a bookie comes back.
  absl::Duration quarantine_retry = absl::Hours(24);

  // For ledgers whose metadata carries no password. digestType, passwd.
  DigestType digest_type = DigestType::kCrc32;
  std::string password;

  client::ClientOptions client;
  // May be null. Outlives autorecovery.
  observe::Log* log = nullptr;
};

}  // namespace stele::autorecovery
