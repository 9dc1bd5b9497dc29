#include "common/real/errno_error.h"

#include <cerrno>
#include <system_error>

#include "common/base/strings.h"

namespace stele::real {
namespace {

std::string Describe(int error_number, std::string_view operation, std::string_view subject) {
  return StrCat(operation, " ", subject, ": ", std::generic_category().message(error_number));
}

}  // namespace

absl::Status FileError(int error_number, std::string_view operation, std::string_view path,
                       Effect effect) {
  ErrorCode code = ErrorCode::kIoError;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT: code = ErrorCode::kDiskFull; break;
    case ENOENT: code = ErrorCode::kNoSuchFile; break;
    case EEXIST: code = ErrorCode::kFileExists; break;
    // Says nothing about the file.
    case EMFILE:
    case ENFILE:
    case ENOMEM: code = ErrorCode::kOverloaded; break;
    default: break;
  }
  return MakeError(code, effect, Describe(error_number, operation, path));
}

absl::Status SocketError(int error_number, std::string_view operation, std::string_view peer,
                         Effect effect) {
  return MakeError(ErrorCode::kConnectionLost, effect, Describe(error_number, operation, peer));
}

}  // namespace stele::real
