// What a bookie is told at start. Defaults are safe: sync before every acknowledgement,
// back-pressure on. The comment behind a field is its key in bk_server.conf.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "bookie/compaction_plan.h"
#include "bookie/disk_rules.h"
#include "bookie/entry_source.h"
#include "bookie/scrub_options.h"
#include "bookie/server/read_service.h"
#include "bookie/server/server.h"
#include "bookie/storage/ledger_storage.h"
#include "common/base/ids.h"
#include "common/seams/transport.h"

namespace stele::bookie {

struct BookieOptions {
  BookieId id;          // bookieId; "host:port" by default
  Endpoint listen;      // bookiePort, listeningInterface
  Endpoint advertised;  // advertisedAddress; port 0: the one that listens
  Endpoint admin;       // httpServerHost, httpServerPort, to be registered; port 0: none
  absl::Duration metadata_timeout = absl::Seconds(10);  // zkTimeout
  std::string ledgers_root = "/ledgers";                // of metadataServiceUri

  // Roots; the bookie works in their sub-directory `current`. The order is part of the cookie.
  std::vector<std::string> journal_directories;  // journalDirectories
  std::vector<std::string> ledger_directories;   // ledgerDirectories
  std::vector<std::string> index_directories;    // indexDirectories; empty: the ledger directories
  bool allow_storage_expansion = false;          // allowStorageExpansion
  std::optional<IndexFormat> index_format;       // stele.indexFormat; nullopt: as it is

  uint64_t journal_size_max_bytes = 2048ull << 20;    // journalMaxSizeMB
  int journal_backups = 5;                            // journalMaxBackups
  size_t journal_batch_max_bytes = 1 << 20;           // journalBufferedWritesThreshold
  size_t journal_pending_max_bytes = 64 << 20;        // journalMaxMemorySizeMb
  uint64_t entry_log_size_max_bytes = 1ull << 30;     // logSizeLimit
  uint64_t memtable_max_bytes = 64ull << 20;          // skipListSizeLimit
  size_t open_index_files_max = 512;                  // openFileLimit
  absl::Duration flush_interval = absl::Seconds(10);  // flushInterval
  absl::Duration gc_interval = absl::Minutes(10);     // gcWaitTime
  CompactionOptions compaction;
  ScrubOptions scrub;
  EntrySource entry_source;  // what it uses outlives the bookie; empty: damage is not repaired
  absl::Duration disk_check_interval = absl::Seconds(10);  // diskCheckInterval
  // A disk that does not answer for so long ends the bookie. stele.diskHangMaxSec
  absl::Duration disk_hang_max = absl::Seconds(60);
  bool read_only_mode_enabled = true;  // readOnlyModeEnabled
  bool force_read_only = false;        // forceReadOnlyBookie
  DiskRuleOptions disk_rules;
  ServerLimits server;
  // tls*, stele.tlsRequired, bookieAuthProviderFactoryClass, authorizedRoles
  PeerRequirements peers;
  ReadLimits reads;
};

}  // namespace stele::bookie
