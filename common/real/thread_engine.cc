#include "common/real/thread_engine.h"

#include <cerrno>
#include <utility>

#include <unistd.h>

namespace stele::real {
namespace {

int64_t Call(const DiskOperation& operation) {
  const int fd = operation.file->fd.get();
  char* const data = operation.data + operation.done;
  const auto offset = static_cast<off_t>(operation.offset + operation.done);
  int64_t result = -1;
  switch (operation.kind) {
    case DiskOperation::Kind::kRead: result = pread(fd, data, operation.left(), offset); break;
    case DiskOperation::Kind::kWrite: result = pwrite(fd, data, operation.left(), offset); break;
    case DiskOperation::Kind::kSync: result = fdatasync(fd); break;
  }
  return result < 0 ? -errno : result;
}

}  // namespace

ThreadEngine::ThreadEngine(EventLoop* loop, size_t threads_max)
    : DiskEngine(loop), loop_(loop), pool_(std::make_unique<BlockingPool>(threads_max)) {}

ThreadEngine::~ThreadEngine() = default;

void ThreadEngine::Issue(std::unique_ptr<DiskOperation> operation) {
  pool_->Submit([this, pending = std::move(operation)]() mutable {
    while (!pending->Advance(Call(*pending))) {
    }
    loop_->PostFromAnyThread(
        [this, done = std::move(pending)]() mutable { Finish(std::move(done)); });
  });
}

void ThreadEngine::WaitForAll() { pool_->WaitUntilIdle(); }

}  // namespace stele::real
