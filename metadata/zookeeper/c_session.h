// ZooKeeperSession on ZooKeeper's own C client (multi-threaded). A thread of ours makes its two
// calls that block (begin, which resolves names, and close); two threads of the client call back,
// and all that happens there is that the reply is copied and posted to the shard.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/executor.h"
#include "metadata/zookeeper/zookeeper_session.h"

namespace stele::metadata {

struct CSessionOptions {
  std::string connect_string;  // as ToCConnectString gives it
  absl::Duration session_timeout;
  // Gets the client's warnings and errors, on any thread; nullptr: nowhere. For finding faults:
  // with several sessions in the process their texts may be mixed up.
  void (*log)(const char* message) = nullptr;
};

// What the C client understands: a port for each server (2181 where it is left out), no brackets
// around IPv6 addresses, no spaces. kConfig for what is no list of servers.
//   servers   "host:port,host,[::1]:2181"; ';' is taken for ','
absl::StatusOr<std::string> ToCConnectString(std::string_view servers);

// `executor` and `listener` outlive the session. Its destructor waits for the C client's threads:
// at once after Close(), else up to some seconds.
std::unique_ptr<ZooKeeperSession> BeginCSession(CSessionOptions options, Executor* executor,
                                                ZooKeeperSessionListener* listener);

}  // namespace stele::metadata
