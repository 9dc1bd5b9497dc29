// HttpServer: the sockets of an admin endpoint, on a thread of their own: what strangers send there
// costs the shards nothing but the answers. Requests are answered by a handler on its shard, one at
// a time for each connection. Boost.Beast reads and writes the protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/http/http.h"
#include "common/seams/transport.h"

namespace stele::real {

struct HttpLimits {
  size_t connections_max = 64;  // more are closed as they come
  uint32_t head_max_bytes = 16 << 10;
  uint32_t body_max_bytes = 64 << 10;
  // A request comes whole within this, counted from the end of the one before; an answer is taken
  // within it.
  absl::Duration deadline = absl::Seconds(10);
  int requests_per_connection_max = 1'000;
};

class HttpServer {
 public:
  // Listens at once. Both pointers outlive the server; `executor` is the handler's shard, on which
  // the server is made and destroyed.
  //   errors   kIoError: the address cannot be had
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(Endpoint at, HttpLimits limits,
                                                           Executor* executor,
                                                           http::Handler* handler);
  // Drops the connections, and the answers that are being made.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // With the port that it got.
  Endpoint endpoint() const;

 private:
  class Parts;
  explicit HttpServer(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace stele::real
