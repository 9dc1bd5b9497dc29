// ClientOptions: how a client behaves. The defaults are safe; the names in comments are the keys of
// Apache BookKeeper's client configuration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"

namespace stele {
class TlsCredentials;
}  // namespace stele

namespace stele::observe {
class Log;
}  // namespace stele::observe

namespace stele::client {

// Custom metadata of a ledger that was created for somebody else to write: see
// OpenLedgerBuilder::Claim.
inline constexpr char kUnclaimedMark[] = "stele.unclaimed";

struct ClientOptions {
  // --- Bookies ---
  absl::Duration connect_timeout = absl::Seconds(10);  // clientConnectTimeoutMillis
  // A bookie that does not answer an add in time is replaced.
  absl::Duration add_timeout = absl::Seconds(5);   // addEntryTimeoutSec
  absl::Duration read_timeout = absl::Seconds(5);  // readEntryTimeoutSec
  // As the bookies' nettyMaxFrameSizeBytes: an entry must fit into a frame of this size.
  size_t frame_size_max_bytes = 5 * 1024 * 1024;
  // With credentials (real::LoadTlsCredentials) everything goes over TLS; a bookie without TLS is
  // not used. tlsProviderFactoryClass and the keys beside it.
  std::shared_ptr<const TlsCredentials> tls;
  // A bookie's certificate must be for the address that it registered.
  // tlsHostnameVerificationEnabled, whose default is false.
  bool tls_verifies_name = true;
  // What one bookie may owe this client before writers wait for it.
  size_t adds_owed_max = 4096;
  size_t add_bytes_owed_max = 32 * 1024 * 1024;

  // --- Writing ---
  // Appends beyond these fail at once with kOverloaded.
  size_t pending_appends_max = 100'000;                           // of one handle
  size_t pending_append_bytes_max = 64 * 1024 * 1024;             // of one handle
  size_t pending_append_bytes_max_of_client = 512 * 1024 * 1024;  // of all handles
  // When the oldest append has no ack quorum after this time, the handle fails all appends with
  // kAppendDeadline and closes the ledger. addEntryQuorumTimeoutSec; Infinite: off.
  absl::Duration append_quorum_timeout = absl::InfiniteDuration();
  // How often an idle writer tells the bookies its LAC, so that readers see its last entry.
  // explicitLacInterval; zero: never.
  absl::Duration explicit_lac_interval = absl::ZeroDuration();
  // Replace failed bookies only when an entry could not reach its ack quorum without.
  // delayEnsembleChange.
  bool delay_ensemble_change = false;
  int64_t ensemble_changes_max = INT32_MAX;  // of one handle; maxNumEnsembleChanges
  // With too few bookies, create with a smaller ensemble, down to the write quorum.
  bool opportunistic_striping = false;
  // A writer that closes a ledger which somebody is recovering: false fails with kLedgerFenced and
  // lets the recovery decide the end; true closes it all the same, as Apache's client does, and a
  // tailing reader may then see an entry disappear.
  bool writer_close_overrides_recovery = false;

  // --- Reading ---
  // After this time without an answer the next replica is asked too. Zero: only after an error.
  absl::Duration speculative_read_timeout = absl::Seconds(2);
  size_t read_entries_in_flight_max = 256;  // of one read call
  size_t recovery_read_ahead = 16;          // recoveryReadBatchSize, whose default is 1
  absl::Duration long_poll_timeout =
      absl::Seconds(3);  // how long a bookie holds one poll of a tail

  // --- Metadata ---
  // While the store cannot be reached, operations are tried again for so long.
  absl::Duration metadata_timeout = absl::Seconds(60);

  // Where the client says what an operator should know; may be null. Outlives the client.
  observe::Log* log = nullptr;
};

}  // namespace stele::client
