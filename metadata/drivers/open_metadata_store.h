// The store that a metadata service URI names. For programs: it links every driver.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/seams/clock.h"
#include "metadata/metadata_store.h"
#include "metadata/service_uri.h"

namespace stele::metadata {

struct OpenMetadataStoreOptions {
  // BookKeeper's zkTimeout. A store without a server has no use for it.
  absl::Duration session_timeout = absl::Seconds(10);
  // Of SQLite: whether a file that is missing is made. Only who makes clusters should.
  bool create_if_missing = true;
  // From the call of an operation to kMetadataUnavailable.
  absl::Duration operation_timeout = absl::Seconds(30);
  // Gets the log of a driver's client library, on any thread; nullptr: nowhere.
  void (*log)(const char* message) = nullptr;
};

//   executor, clock   the shard's; they outlive the store
//   errors   kConfig: what is wrong with the URI; of SQLite, those of OpenSqliteStore()
//            (metadata/sqlite/sqlite_store.h). A server that cannot be reached is none: the
//            operations wait for it.
Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> OpenMetadataStore(
    ServiceUri uri, Executor* executor, Clock* clock, OpenMetadataStoreOptions options = {});
Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> OpenMetadataStore(
    std::string service_uri, Executor* executor, Clock* clock,
    OpenMetadataStoreOptions options = {});

}  // namespace stele::metadata
