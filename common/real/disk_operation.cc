#include "common/real/disk_operation.h"

#include <cerrno>

#include <sys/uio.h>

#include "common/base/strings.h"
#include "common/real/errno_error.h"
#include "common/seams/file_system.h"

namespace stele::real {
namespace {

// EINTR and EAGAIN say "again"; a kernel that says it this often in a row means something else.
constexpr int kRetriesMax = 1000;

std::string_view NameOf(DiskOperation::Kind kind) {
  switch (kind) {
    case DiskOperation::Kind::kRead: return "read";
    case DiskOperation::Kind::kWrite: return "write";
    case DiskOperation::Kind::kSync: return "sync";
  }
  return "";
}

// Reads what is in the page cache, without blocking. True when that was all.
bool ReadFromCache(DiskOperation* operation) {
  if (operation->kind != DiskOperation::Kind::kRead || operation->file->is_direct) return false;
  iovec into{.iov_base = operation->data, .iov_len = operation->size};
  const ssize_t result = preadv2(operation->file->fd.get(), &into, 1,
                                 static_cast<off_t>(operation->offset), RWF_NOWAIT);
  // Not cached, or a file system that cannot tell: the engine will know the outcome.
  return result >= 0 && operation->Advance(result);
}

}  // namespace

OpenFile::~OpenFile() {
  pool->Submit([descriptor = std::move(fd)]() mutable { descriptor.Close(); });
}

DiskOperation::~DiskOperation() {
  if (wait != nullptr) wait->in_flight_ = nullptr;
}

bool DiskOperation::Advance(int64_t result) {
  if ((result == -EINTR || result == -EAGAIN) && ++retries < kRetriesMax) return false;
  if (result < 0) {
    const Effect effect = kind == Kind::kRead ? Effect::kNone : Effect::kUnknown;
    status = FileError(static_cast<int>(-result), NameOf(kind), file->path, effect);
    return true;
  }
  switch (kind) {
    case Kind::kSync: return true;
    case Kind::kRead:
      done += static_cast<size_t>(result);
      // A short read may have stopped where the page cache did: only 0 is the end of the file.
      // The rest of a direct read that met an odd end could not be aligned.
      if (file->is_direct && result % kDirectAlignmentBytes != 0) return true;
      return result == 0 || left() == 0;
    case Kind::kWrite:
      done = static_cast<size_t>(result);
      // Linux cuts a write to a regular file short when the space ends. Writing the rest again
      // could succeed and hide that the device had failed in between.
      if (left() != 0) {
        status = FileError(ENOSPC, StrCat("short write (", done, " of ", size, " bytes) to"),
                           file->path, Effect::kUnknown);
      }
      return true;
  }
  return true;
}

absl::Status PoisonError(const OpenFile& file) {
  return MakeError(ErrorCode::kIoError,
                   StrCat(file.path, ": an earlier write or sync of this file failed"));
}

void DiskWait::Resume(std::unique_ptr<DiskOperation> operation) {
  operation_ = std::move(operation);
  operation_->wait = nullptr;
  in_flight_ = nullptr;
  waiter_.resume();
}

void DiskEngine::Begin(std::unique_ptr<DiskOperation> operation) {
  if (ReadFromCache(operation.get())) {
    Finish(std::move(operation));
  } else {
    Issue(std::move(operation));
  }
}

void DiskEngine::Finish(std::unique_ptr<DiskOperation> operation) {
  OpenFile& file = *operation->file;
  if (operation->kind == DiskOperation::Kind::kSync && file.is_poisoned) {
    // Another operation failed meanwhile: what this sync covered cannot be told.
    operation->status.Update(PoisonError(file));
  }
  // Also when nobody waits: a later write must not succeed on top of a lost one.
  if (!operation->status.ok() && operation->kind != DiskOperation::Kind::kRead) {
    file.is_poisoned = true;
  }
  executor_->Post([finished = std::move(operation)]() mutable {
    DiskWait* const wait = finished->wait;
    if (wait != nullptr) wait->Resume(std::move(finished));
  });
}

}  // namespace stele::real
