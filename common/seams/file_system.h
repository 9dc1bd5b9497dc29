// FileSystem: the only way to a disk. Offsets and sizes are in bytes; paths are absolute or
// relative to the process.
//
// Durability. A write is durable after Sync() of its file, or at once when the file was opened with
// Sync::kEachWrite. A new, renamed or linked name is durable only after SyncDirectory() of its
// directory. What was not made durable may survive a crash in any subset of 512-byte sectors.
// Buffers. The callee owns the bytes of an operation until it completes, so abandoning a Task is
// always safe; the operation itself may still happen. Errors. kNoSuchFile, kFileExists, kDiskFull,
// kIoError. After a failed write or sync the file is poisoned: every later write and sync of this
// File fails. Never retry a sync and believe it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/buffer.h"

namespace stele {

struct OpenOptions {
  enum class Access { kRead, kReadWrite };
  enum class Create { kNever, kIfMissing, kMustBeNew };
  enum class Sync {
    kExplicit,   // durable by Sync()
    kEachWrite,  // O_DIRECT and O_DSYNC where the device can: offset, size and address of writes
    // are multiples of 4096, else kInvalidArgument and nothing is tried; reads are free
  };
  Access access = Access::kRead;
  Create create = Create::kNever;
  Sync sync = Sync::kExplicit;
};

// Alignment of offset, size and address for files opened with Sync::kEachWrite.
inline constexpr size_t kDirectAlignmentBytes = 4096;

// One open file. Destroying it closes it without waiting for operations in flight.
// Any number of operations may be in flight; overlapping ones have no order.
class File {
 public:
  virtual ~File() = default;

  // Up to `size` bytes at `offset`; fewer only at the end of the file, none at or behind it.
  virtual Task<absl::StatusOr<Buffer>> ReadAt(uint64_t offset, size_t size) = 0;

  // All of `from`, or an error; may tear in a crash. Grows the file when it reaches behind the end.
  virtual Task<absl::Status> WriteAt(uint64_t offset, Buffer from) = 0;

  // Makes all completed writes and the file's size durable.
  virtual Task<absl::Status> Sync() = 0;

  virtual Task<absl::Status> Truncate(uint64_t size) = 0;
  virtual Task<absl::StatusOr<uint64_t>> Size() = 0;
};

struct FileInfo {
  bool is_directory = false;
  uint64_t size_bytes = 0;
};

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // for this process (not counting the reserve of root)
  uint64_t device = 0;      // equal for two paths on one file system
};

// Held while this process owns a directory. Destroying it gives the directory up.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Task<absl::StatusOr<std::unique_ptr<File>>> Open(std::string path,
                                                           OpenOptions options) = 0;
  virtual Task<absl::StatusOr<FileInfo>> Stat(std::string path) = 0;
  virtual Task<absl::StatusOr<std::vector<std::string>>> List(
      std::string path) = 0;  // names, sorted
  virtual Task<absl::Status> MakeDirectories(
      std::string path) = 0;  // with parents; ok when it exists
  virtual Task<absl::Status> Rename(std::string from, std::string to) = 0;  // replaces `to`
  virtual Task<absl::Status> Link(std::string from,
                                  std::string to) = 0;      // kFileExists when `to` exists
  virtual Task<absl::Status> Remove(std::string path) = 0;  // a file or an empty directory
  virtual Task<absl::Status> SyncDirectory(std::string path) = 0;
  virtual Task<absl::StatusOr<DiskSpace>> Space(std::string path) = 0;

  // An exclusive advisory lock; kOverloaded when another holder, of this or another process, has
  // it.
  virtual Task<absl::StatusOr<std::unique_ptr<DirectoryLock>>> LockDirectory(std::string path) = 0;
};

// The whole file, or an error; refuses (kCorruptData) files above `size_max_bytes`.
Task<absl::StatusOr<Buffer>> ReadFile(FileSystem* files, std::string path, size_t size_max_bytes);

// Replaces a small file so that after a crash it holds either the old or the new bytes: temporary
// file, sync, rename, directory sync.
Task<absl::Status> ReplaceFile(FileSystem* files, std::string directory, std::string name,
                               Buffer content);

}  // namespace stele
