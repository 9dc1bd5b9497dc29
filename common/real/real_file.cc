#include "common/real/real_file.h"

#include <cerrno>
#include <limits>

#include <sys/stat.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/errno_error.h"

namespace stele::real {
namespace {

using OpenFileRef = std::shared_ptr<OpenFile>;

// The kernel transfers at most 2 GiB at once; nobody should ask for nearly as much.
constexpr size_t kTransferSizeMaxBytes = size_t{1} << 30;

std::unique_ptr<DiskOperation> MakeOperation(DiskOperation::Kind kind, OpenFileRef file,
                                             uint64_t offset, size_t size) {
  STELE_CHECK(size <= kTransferSizeMaxBytes);
  auto operation = std::make_unique<DiskOperation>();
  operation->kind = kind;
  operation->file = std::move(file);
  operation->offset = offset;
  operation->size = size;
  return operation;
}

// Where files end at the latest.
constexpr uint64_t kFileSizeMaxBytes = std::numeric_limits<int64_t>::max();

absl::Status CheckRange(const OpenFile& file, uint64_t offset, size_t size) {
  if (offset <= kFileSizeMaxBytes - kTransferSizeMaxBytes && size <= kTransferSizeMaxBytes) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   StrCat(file.path, ": no transfer of ", size, " bytes at ", offset));
}

absl::Status CheckMayChange(const OpenFile& file) {
  if (!file.is_writable) {
    return MakeError(ErrorCode::kInvalidArgument, StrCat(file.path, ": opened for reading"));
  }
  if (file.is_poisoned) return PoisonError(file);
  return absl::OkStatus();
}

bool IsAligned(uint64_t value) { return value % kDirectAlignmentBytes == 0; }

Task<absl::StatusOr<Buffer>> Read(DiskEngine* engine, OpenFileRef file, uint64_t offset,
                                  size_t size) {
  STELE_CO_TRY_OK(CheckRange(*file, offset, size));
  // A direct file is read in whole blocks; the caller gets the part that it asked for.
  const size_t skipped = file->is_direct ? offset % kDirectAlignmentBytes : 0;
  size_t read_size = skipped + size;
  if (file->is_direct) {
    read_size = (read_size + kDirectAlignmentBytes - 1) & ~(kDirectAlignmentBytes - 1);
  }
  auto operation = MakeOperation(DiskOperation::Kind::kRead, file, offset - skipped, read_size);
  operation->into =
      file->is_direct ? MutableBuffer(read_size, kDirectAlignmentBytes) : MutableBuffer(read_size);
  operation->data = operation->into.data();
  operation = co_await DiskWait(engine, std::move(operation));
  STELE_CO_TRY_OK(operation->status);
  const size_t done = operation->done;
  Buffer whole = std::move(operation->into).Freeze(done);
  if (!file->is_direct) co_return whole;
  if (done <= skipped) co_return Buffer();
  co_return whole.Slice(skipped, std::min(size, done - skipped));
}

Task<absl::Status> Write(DiskEngine* engine, OpenFileRef file, uint64_t offset, Buffer from) {
  STELE_CO_TRY_OK(CheckMayChange(*file));
  STELE_CO_TRY_OK(CheckRange(*file, offset, from.size()));
  if (file->needs_aligned_writes && !(IsAligned(offset) && IsAligned(from.size()) &&
                                      IsAligned(reinterpret_cast<uintptr_t>(from.data())))) {
    co_return MakeError(ErrorCode::kInvalidArgument,
                        StrCat(file->path, ": a write is not aligned"));
  }
  const size_t size = from.size();
  auto operation = MakeOperation(DiskOperation::Kind::kWrite, std::move(file), offset, size);
  operation->from = std::move(from);
  operation->data = const_cast<char*>(operation->from.data());
  operation = co_await DiskWait(engine, std::move(operation));
  co_return operation->status;
}

Task<absl::Status> SyncData(DiskEngine* engine, OpenFileRef file) {
  if (file->is_poisoned) co_return PoisonError(*file);
  auto operation = MakeOperation(DiskOperation::Kind::kSync, std::move(file), 0, 0);
  operation = co_await DiskWait(engine, std::move(operation));
  co_return operation->status;
}

Task<absl::Status> TruncateTo(Executor* executor, OpenFileRef file, uint64_t size) {
  STELE_CO_TRY_OK(CheckMayChange(*file));
  STELE_CO_TRY_OK(CheckRange(*file, size, 0));
  BlockingPool* const pool = file->pool;
  co_return co_await pool->Run(executor, [file = std::move(file), size]() -> absl::Status {
    int result = -1;
    do {
      result = ftruncate(file->fd.get(), static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    return result == 0 ? absl::OkStatus() : FileError(errno, "truncate", file->path);
  });
}

Task<absl::StatusOr<uint64_t>> SizeOf(Executor* executor, OpenFileRef file) {
  BlockingPool* const pool = file->pool;
  co_return co_await pool->Run(executor, [file = std::move(file)]() -> absl::StatusOr<uint64_t> {
    struct stat info = {};
    if (fstat(file->fd.get(), &info) != 0) return FileError(errno, "stat", file->path);
    return static_cast<uint64_t>(info.st_size);
  });
}

}  // namespace

Task<absl::StatusOr<Buffer>> RealFile::ReadAt(uint64_t offset, size_t size) {
  return Read(engine_, file_, offset, size);
}

Task<absl::Status> RealFile::WriteAt(uint64_t offset, Buffer from) {
  return Write(engine_, file_, offset, std::move(from));
}

Task<absl::Status> RealFile::Sync() { return SyncData(engine_, file_); }

Task<absl::Status> RealFile::Truncate(uint64_t size) { return TruncateTo(executor_, file_, size); }

Task<absl::StatusOr<uint64_t>> RealFile::Size() { return SizeOf(executor_, file_); }

}  // namespace stele::real
