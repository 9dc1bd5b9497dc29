// Rules about node paths and sizes that all drivers of MetadataStore share, so that what works with
// one works with the others. The limits are ZooKeeper's.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace stele::metadata {

// ZooKeeper refuses requests of more than 1,048,575 bytes by cutting the connection; a node's value
// and path must fit together with the request's other fields.
inline constexpr size_t kNodeValueSizeMaxBytes = (size_t{1} << 20) - 8192;
inline constexpr size_t kNodePathSizeMaxBytes = 4096;

// How many digits CreateSequential appends.
inline constexpr size_t kSequenceDigits = 10;

// kInvalidArgument unless `path` is one that MetadataStore takes: it starts with '/', has no empty
// part, no part "." or "..", no control character and no trailing '/'.
absl::Status CheckNodePath(std::string_view path);

// The same for what CreateSequential takes: the part after the last '/' may be empty.
absl::Status CheckSequentialPrefix(std::string_view path_prefix);

// kInvalidArgument when the value is larger than every driver can store.
absl::Status CheckNodeValue(std::string_view path, std::string_view value);

// "/a/b" gives "/a"; "/a" gives "/". `path` is valid.
std::string_view ParentPath(std::string_view path);

// "/a/b" gives "b". `path` is valid.
std::string_view NodeName(std::string_view path);

}  // namespace stele::metadata
