// RealFile: one open file on a DiskEngine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/real/disk_operation.h"
#include "common/seams/file_system.h"

namespace stele::real {

// The tasks that it gives share the open file, so that they may outlive this object.
class RealFile final : public File {
 public:
  // `executor` and `engine` are those of the shard.
  RealFile(std::shared_ptr<OpenFile> file, Executor* executor, DiskEngine* engine)
      : file_(std::move(file)), executor_(executor), engine_(engine) {}

  Task<absl::StatusOr<Buffer>> ReadAt(uint64_t offset, size_t size) override;
  Task<absl::Status> WriteAt(uint64_t offset, Buffer from) override;
  Task<absl::Status> Sync() override;
  Task<absl::Status> Truncate(uint64_t size) override;
  Task<absl::StatusOr<uint64_t>> Size() override;

 private:
  const std::shared_ptr<OpenFile> file_;
  Executor* const executor_;
  DiskEngine* const engine_;
};

}  // namespace stele::real
