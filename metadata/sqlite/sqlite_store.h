// The MetadataStore of one machine: a SQLite file that several processes share, without a server.
// For `sqlite:///path/meta.db`; see README.md for what is guaranteed.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/seams/clock.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

struct SqliteStoreOptions {
  // On a local file system. Beside it SQLite keeps "<path>-wal" and "<path>-shm", and we
  // "<path>-sessions".
  std::string path;
  // False: for who looks for a cluster. A mistyped path then makes no new file.
  bool create_if_missing = true;
  // From the call to the answer. Whoever cannot get the write lock in this time gets
  // kMetadataUnavailable with Effect::kNone.
  absl::Duration operation_timeout = absl::Seconds(10);
  // How long a change by another process may stay unseen by a watch. Changes through this store are
  // seen at once.
  absl::Duration poll_interval = absl::Milliseconds(50);
  // How long ephemeral nodes of a dead process may stay in the file. Operations do not see them
  // from the moment of its death; this is the delay of watches.
  absl::Duration sweep_interval = absl::Milliseconds(200);
  // One more gives kOverloaded.
  size_t operations_in_flight_max = 4096;
};

// Opens the file, or creates it if it may, and begins a session.
//   executor, clock   the shard's; they outlive the store
//   errors   kIoError          the path cannot be opened, created or written
//            kCorruptData      a damaged file, or one that is not SQLite's
//            kConfig           a SQLite file of another program, or no file and it may not be made
//            kProtocolVersion  written by a newer Stele
//            kMetadataUnavailable  locked by another process for the whole operation_timeout
// The tasks of the store do not outlive it. Destroying it without Close() is what a crash does: the
// ephemeral nodes go when another store on the file notices.
Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> OpenSqliteStore(SqliteStoreOptions options,
                                                                     Executor* executor,
                                                                     Clock* clock);

}  // namespace stele::metadata
