// HttpFetcher: the seam to the admin ports of other processes. It only looks: GET, with no
// credentials.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/transport.h"

namespace stele {

class HttpFetcher {
 public:
  virtual ~HttpFetcher() = default;

  // The body of the answer to a GET of `path`. On the fetcher's shard; its tasks do not outlive it.
  //   errors   kConnectionLost   nobody is there, or it is gone before the answer is whole
  //            kDeadline         the answer is not whole in time
  //            kOverloaded       it is longer than the fetcher takes
  //            kReadFailed       another status than 200, which the error names
  //            kCorruptData      no HTTP
  virtual Task<absl::StatusOr<std::string>> Get(Endpoint from, std::string path) = 0;
};

}  // namespace stele
