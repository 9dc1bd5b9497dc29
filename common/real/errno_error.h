// The one place that turns errno into Stele's errors.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "common/base/errors.h"

namespace stele::real {

// An error of the file system: "<operation> <path>: <what errno means>".
//   kDiskFull (no space, quota), kNoSuchFile, kFileExists, else kIoError
absl::Status FileError(int error_number, std::string_view operation, std::string_view path,
                       Effect effect = Effect::kNone);

// kConnectionLost, whatever the system says: "<operation> <peer>: <what errno means>".
absl::Status SocketError(int error_number, std::string_view operation, std::string_view peer,
                         Effect effect = Effect::kNone);

}  // namespace stele::real
