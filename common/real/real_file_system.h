// RealFileSystem: the disk. Reads, writes and syncs go through a DiskEngine; everything that deals
// with names blocks, and runs on a BlockingPool.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/real/blocking_pool.h"
#include "common/real/disk_operation.h"
#include "common/real/event_loop.h"
#include "common/seams/file_system.h"

namespace stele::real {

// What carries out reads and writes.
enum class FileBackend {
  kProbe,  // io_uring where the kernel allows it, else threads
  kUring,  // aborts where it is refused; for tests
  kThreads,
};

class RealFileSystem final : public FileSystem {
 public:
  // `loop` and `pool` must outlive the file system.
  RealFileSystem(EventLoop* loop, BlockingPool* pool, FileBackend backend);
  RealFileSystem(const RealFileSystem&) = delete;
  RealFileSystem& operator=(const RealFileSystem&) = delete;
  // Waits for operations in flight. Files must be gone.
  ~RealFileSystem() override;

  Task<absl::StatusOr<std::unique_ptr<File>>> Open(std::string path, OpenOptions options) override;
  Task<absl::StatusOr<FileInfo>> Stat(std::string path) override;
  Task<absl::StatusOr<std::vector<std::string>>> List(std::string path) override;
  // New directories are durable, with their parents.
  Task<absl::Status> MakeDirectories(std::string path) override;
  Task<absl::Status> Rename(std::string from, std::string to) override;
  Task<absl::Status> Link(std::string from, std::string to) override;
  Task<absl::Status> Remove(std::string path) override;
  Task<absl::Status> SyncDirectory(std::string path) override;
  Task<absl::StatusOr<DiskSpace>> Space(std::string path) override;
  Task<absl::StatusOr<std::unique_ptr<DirectoryLock>>> LockDirectory(std::string path) override;

  // Blocks the thread until no read, write or sync is in flight.
  void WaitForAll() {
    engine_->WaitForAll();
    synced_engine_->WaitForAll();
  }

 private:
  EventLoop* const loop_;
  BlockingPool* const pool_;
  std::unique_ptr<DiskEngine> engine_;
  // For files opened with Sync::kEachWrite. Where the disk cannot write through its cache, a synced
  // write ends in a flush that the kernel does on a worker thread of its own after io_uring's
  // completion: on a busy machine that worker waits for milliseconds. A thread that waits in the
  // system call does not (docs/decisions/0003-threads-for-synced-writes.md).
  std::unique_ptr<DiskEngine> synced_engine_;
};

}  // namespace stele::real
