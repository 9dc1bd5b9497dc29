// The MetadataStore of a cluster: ZooKeeper. For `zk+hierarchical://host:2181;host:2181/ledgers`;
// the root path is above this seam, the connection has no chroot. See README.md for what is
// guaranteed, LAYOUT.md for what is kept there.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/seams/clock.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

struct ZooKeeperStoreOptions {
  // "host:port,host:port", as ServiceUri::servers; the port is 2181 where it is left out.
  std::string servers;
  // Asked for; the server may set another. After a crash our ephemeral nodes stay this long.
  absl::Duration session_timeout = absl::Seconds(10);
  // From the call to the answer, including the time without a connection.
  absl::Duration operation_timeout = absl::Seconds(30);
  // One more gives kOverloaded.
  size_t operations_in_flight_max = 4096;
  // Gets the C client's warnings and errors, on any thread; nullptr: nowhere. For finding faults:
  // with several stores in the process their texts may be mixed up.
  void (*log)(const char* message) = nullptr;
};

// Begins to connect in the background: operations wait for the connection.
//   executor, clock   the shard's; they outlive the store
//   errors   kConfig  `servers` is no list of servers
// The tasks of the store do not outlive it. Destroying it without Close() waits for the C client's
// threads, some seconds at worst.
absl::StatusOr<std::unique_ptr<MetadataStore>> MakeZooKeeperStore(ZooKeeperStoreOptions options,
                                                                  Executor* executor, Clock* clock);

}  // namespace stele::metadata
