// The token that changes over HTTP and gRPC need.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/real/shard.h"

namespace stele::shell {

// The first line of a file that only its owner can read; empty when `path` is.
//   errors   kConfig: others can read it, or the line is too short; those of reading
absl::StatusOr<std::string> ReadToken(real::Shard& shard, const std::string& path);

}  // namespace stele::shell
