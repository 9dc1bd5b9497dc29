// The token that changes over HTTP and gRPC need.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "common/real/shard.h"

namespace stele::shell {

// Whom a token file belongs to.
enum class TokenOwner { kUs, kRoot, kOther };

// Does nobody but its owner know what is in it? Only the owner may read it. A file of root, read by
// a program that is not root, may also be readable for a group, which root has chosen: that is how
// Kubernetes gives a Secret to a pod with fsGroup (root:fsGroup, 0440), and there is no other way
// for a program that is not root. Pure.
bool IsSecret(TokenOwner owner, std::filesystem::perms mode);

// The first line of a file that is secret; empty when `path` is.
//   errors   kConfig: others can read it, or the line is too short; those of reading
absl::StatusOr<std::string> ReadToken(real::Shard& shard, const std::string& path);

}  // namespace stele::shell
