// SimFileSystem: the FileSystem of one shard on a SimDisk. Each operation takes seeded virtual time
// and completes on the shard; operations in flight have no order. A write takes effect when it
// completes, any other operation when it begins or when it completes, as the seed says. A crash of
// the process drops the completions; a write in flight then lands as a prefix.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/seams/file_system.h"
#include "simulation/scheduler.h"
#include "simulation/sim_disk.h"

namespace stele::simulation {

class SimFileSystem : public FileSystem {
 public:
  // Both must outlive the file system, which outlives every life of its process.
  SimFileSystem(SimDisk* disk, SimExecutor* executor) : disk_(disk), executor_(executor) {}

  Task<absl::StatusOr<std::unique_ptr<File>>> Open(std::string path, OpenOptions options) override;
  Task<absl::StatusOr<FileInfo>> Stat(std::string path) override;
  Task<absl::StatusOr<std::vector<std::string>>> List(std::string path) override;
  Task<absl::Status> MakeDirectories(std::string path) override;
  Task<absl::Status> Rename(std::string from, std::string to) override;
  Task<absl::Status> Link(std::string from, std::string to) override;
  Task<absl::Status> Remove(std::string path) override;
  Task<absl::Status> SyncDirectory(std::string path) override;
  Task<absl::StatusOr<DiskSpace>> Space(std::string path) override;
  Task<absl::StatusOr<std::unique_ptr<DirectoryLock>>> LockDirectory(std::string path) override;

 private:
  SimDisk* disk_;
  SimExecutor* executor_;
};

}  // namespace stele::simulation
