#include "metadata/sqlite/session_locks.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::metadata {
namespace {

struct flock ByteOf(int64_t session) {
  struct flock range = {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = session;
  range.l_len = 1;
  return range;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SessionLocks>> SessionLocks::Open(std::string path) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return MakeError(ErrorCode::kIoError,
                     StrCat("session file ", path, " cannot be opened: ", std::strerror(errno)));
  }
  return std::unique_ptr<SessionLocks>(new SessionLocks(descriptor));
}

SessionLocks::~SessionLocks() { close(descriptor_); }

absl::StatusOr<bool> SessionLocks::Begin(int64_t session) {
  struct flock range = ByteOf(session);
  if (fcntl(descriptor_, F_OFD_SETLK, &range) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return MakeError(ErrorCode::kIoError,
                   StrCat("cannot lock the session file: ", std::strerror(errno),
                          "; the metadata file must be on a local file system"));
}

bool SessionLocks::IsHeldElsewhere(int64_t session) const {
  struct flock range = ByteOf(session);
  return fcntl(descriptor_, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

}  // namespace stele::metadata
