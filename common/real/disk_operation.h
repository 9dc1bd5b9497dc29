// DiskOperation: one read, write or sync of an open file, and who waits for it. DiskEngine: what
// carries operations out; there are two, one on io_uring and one on threads.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/async/executor.h"
#include "common/base/buffer.h"
#include "common/real/blocking_pool.h"
#include "common/real/unique_fd.h"

namespace stele::real {

// What the File object and its operations in flight share. The last of them closes the descriptor.
struct OpenFile {
  OpenFile(std::string file_path, UniqueFd descriptor, BlockingPool* closing_pool)
      : path(std::move(file_path)), fd(std::move(descriptor)), pool(closing_pool) {}
  // On the pool: closing a removed file frees its blocks, which takes milliseconds.
  ~OpenFile();

  const std::string path;
  UniqueFd fd;
  BlockingPool* const pool;
  bool is_writable = false;
  bool is_direct = false;  // transfers must be aligned to kDirectAlignmentBytes
  bool needs_aligned_writes =
      false;  // opened with Sync::kEachWrite, also where O_DIRECT is refused
  // A write or sync failed: what the file holds is unknown, so that no later write or sync may
  // succeed.
  bool is_poisoned = false;
};

// What a write or sync of a poisoned file gives.
absl::Status PoisonError(const OpenFile& file);

class DiskWait;

// Owned by its engine while the kernel or a thread may touch the buffer, then by the posted job
// that resumes the waiter. So the buffer outlives both the waiting task and the File.
struct DiskOperation {
  enum class Kind { kRead, kWrite, kSync };

  DiskOperation() = default;
  DiskOperation(const DiskOperation&) = delete;
  DiskOperation& operator=(const DiskOperation&) = delete;
  // Dropped without having finished: its waiter waits until its owner destroys it.
  ~DiskOperation();

  // Takes the result of a system call (a count, or -errno) into account. True when the operation is
  // finished; false when what is left must be issued again.
  bool Advance(int64_t result);

  size_t left() const { return size - done; }

  Kind kind = Kind::kRead;
  std::shared_ptr<OpenFile> file;
  uint64_t offset = 0;
  size_t size = 0;
  size_t done = 0;
  char* data = nullptr;  // into `into` or `from`; a write does not change it
  MutableBuffer into;    // read
  Buffer from;           // write
  int retries = 0;
  absl::Status status;
  DiskWait* wait = nullptr;  // null when nobody waits any more
};

class DiskEngine {
 public:
  // `executor` is the shard's and must outlive the engine.
  explicit DiskEngine(Executor* executor) : executor_(executor) {}
  virtual ~DiskEngine() = default;

  // Carries `operation` out and finishes it. What is in the page cache is read in this call, which
  // costs one system call and no way through a queue of the kernel; the waiter is resumed from the
  // ready queue all the same.
  void Begin(std::unique_ptr<DiskOperation> operation);

  // Blocks the thread until no operation is in flight. For the end of a thread or a shard.
  virtual void WaitForAll() = 0;

 protected:
  // Carries out what is left of `operation`, then calls Finish, on the shard.
  virtual void Issue(std::unique_ptr<DiskOperation> operation) = 0;
  // Posts the resumption of the waiter, and poisons the file where that is due.
  void Finish(std::unique_ptr<DiskOperation> operation);

 private:
  Executor* const executor_;
};

// co_await DiskWait(engine, operation): carries it out and gives it back, finished. Destroying the
// waiter abandons the operation, which may still happen.
class DiskWait {
 public:
  DiskWait(DiskEngine* engine, std::unique_ptr<DiskOperation> operation)
      : engine_(engine), operation_(std::move(operation)) {}
  DiskWait(const DiskWait&) = delete;
  DiskWait& operator=(const DiskWait&) = delete;
  ~DiskWait() {
    if (in_flight_ != nullptr) in_flight_->wait = nullptr;
  }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    in_flight_ = operation_.get();
    in_flight_->wait = this;
    engine_->Begin(std::move(operation_));
  }
  std::unique_ptr<DiskOperation> await_resume() { return std::move(operation_); }

 private:
  friend struct DiskOperation;
  friend class DiskEngine;
  void Resume(std::unique_ptr<DiskOperation> operation);

  DiskEngine* const engine_;
  std::unique_ptr<DiskOperation> operation_;  // before and after
  DiskOperation* in_flight_ = nullptr;        // each knows the other while both exist
  std::coroutine_handle<> waiter_;
};

}  // namespace stele::real
