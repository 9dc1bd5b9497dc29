// Which sessions of a metadata file live, as the operating system knows it.
//
// A session holds a lock on one byte of the file "<metadata file>-sessions": the byte whose offset
// is the session's number. It is an open-file-description lock: the kernel drops it when the last
// descriptor of that opening is closed, so at the latest when the process has died, whatever killed
// it; and unlike a process id the number of a session is never used again. Two sessions of one
// process see each other, which locks of fcntl's older kind would not allow.
//
// A process that forks after opening a store without exec'ing shares the descriptor with its child
// and its session lives as long as both; Stele's programs do not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stele::metadata {

// Threads: one.
class SessionLocks {
 public:
  // kIoError.
  static absl::StatusOr<std::unique_ptr<SessionLocks>> Open(std::string path);
  SessionLocks(const SessionLocks&) = delete;
  SessionLocks& operator=(const SessionLocks&) = delete;
  // Ends the sessions that were begun with this object.
  ~SessionLocks();

  // False when somebody holds the lock of that session already. kIoError.
  absl::StatusOr<bool> Begin(int64_t session);

  // Whether anybody but this object holds the lock of that session; when the question fails, true:
  // a session that may live is left alone.
  bool IsHeldElsewhere(int64_t session) const;

 private:
  explicit SessionLocks(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace stele::metadata
