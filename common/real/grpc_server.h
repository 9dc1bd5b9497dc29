// GrpcServer: gRPC for an rpc::Handler. Connections, HTTP/2 and messages are on threads of gRPC's
// own, which exist as long as the server does; only the answers are made on the handler's shard. It
// is for operators: bounded in everything, in clear text, without compression. Reflection is on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/rpc/rpc.h"
#include "common/seams/clock.h"
#include "common/seams/transport.h"

namespace stele::real {

struct GrpcLimits {
  size_t connections_max = 64;            // more are closed as they come
  int calls_per_connection_max = 32;      // at the same time; more wait
  size_t calls_max = 64;                  // at the same time; more get RESOURCE_EXHAUSTED
  size_t streams_max = 32;                // of those, calls with any number of replies
  uint32_t message_max_bytes = 64 << 10;  // of a request
  uint32_t metadata_max_bytes = 16 << 10;
  absl::Duration greeting_max = absl::Seconds(10);  // from a connection to its HTTP/2 settings
  absl::Duration idle_max = absl::Minutes(1);       // of a connection without calls
  // A reply is taken within this, and a ping answered.
  absl::Duration deadline = absl::Seconds(10);
};

class GrpcServer {
 public:
  // Listens at once. The pointers outlive the server; `executor` and `clock` are those of the
  // handler's shard, on which the server is made and destroyed.
  //   errors   kIoError: the address cannot be had
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(Endpoint at, GrpcLimits limits,
                                                           Executor* executor, Clock* clock,
                                                           rpc::Handler* handler);
  // Drops the connections, and the answers that are being made: they get UNAVAILABLE.
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // With the port that it got.
  Endpoint endpoint() const;

 private:
  class Parts;
  explicit GrpcServer(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace stele::real
