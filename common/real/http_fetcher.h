// RealHttpFetcher: the sockets of an HttpFetcher, on a thread of their own. A connection for each
// request.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/seams/http_fetcher.h"

namespace stele::real {

struct FetchLimits {
  absl::Duration deadline = absl::Seconds(2);  // of a request, from its name's look-up to its end
  uint64_t body_max_bytes = 1 << 20;
  uint32_t head_max_bytes = 16 << 10;
};

class RealHttpFetcher final : public HttpFetcher {
 public:
  // `executor` outlives it: its shard, on which it is made and destroyed.
  explicit RealHttpFetcher(Executor* executor, FetchLimits limits = {});
  ~RealHttpFetcher() override;
  RealHttpFetcher(const RealHttpFetcher&) = delete;
  RealHttpFetcher& operator=(const RealHttpFetcher&) = delete;

  Task<absl::StatusOr<std::string>> Get(Endpoint from, std::string path) override;
  // For commands of operators: a change, with their token. Errors as Get; the change may have been
  // made after all but kReadFailed.
  Task<absl::StatusOr<std::string>> Put(Endpoint to, std::string path, std::string body,
                                        std::string token);

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace stele::real
