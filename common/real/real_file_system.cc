#include "common/real/real_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/errno_error.h"
#include "common/real/real_file.h"
#include "common/real/thread_engine.h"
#include "common/real/unique_fd.h"
#include "common/real/uring_engine.h"

// The functions of the anonymous namespace block, and run on the pool.
namespace stele::real {
namespace {

constexpr size_t kEngineThreadsMax = 4;
// A journal has few writes in flight; several journals may share the shard.
constexpr size_t kSyncedWriteThreadsMax = 4;
constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;

absl::StatusOr<UniqueFd> OpenFd(const std::string& path, int flags) {
  for (;;) {
    const int fd = open(path.c_str(), flags | O_CLOEXEC, kFileMode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return FileError(errno, "open", path);
  }
}

// O_DIRECT is refused by some file systems (tmpfs), O_DSYNC by none.
absl::StatusOr<std::shared_ptr<OpenFile>> OpenBlocking(const std::string& path, OpenOptions options,
                                                       BlockingPool* pool) {
  const bool is_writable = options.access == OpenOptions::Access::kReadWrite;
  const bool each_write = options.sync == OpenOptions::Sync::kEachWrite;
  int flags = is_writable ? O_RDWR : O_RDONLY;
  if (options.create != OpenOptions::Create::kNever) flags |= O_CREAT;
  if (options.create == OpenOptions::Create::kMustBeNew) flags |= O_EXCL;
  if (each_write) flags |= O_DSYNC;

  bool is_direct = each_write;
  absl::StatusOr<UniqueFd> fd = UniqueFd();
  if (is_direct) {
    const int direct = open(path.c_str(), flags | O_DIRECT | O_CLOEXEC, kFileMode);
    fd = UniqueFd(direct);
    is_direct = direct >= 0;
    // A kernel may have made the file before it refused O_DIRECT.
    if (!is_direct && errno == EINVAL && options.create == OpenOptions::Create::kMustBeNew) {
      flags &= ~O_EXCL;
    }
  }
  if (!is_direct) {
    STELE_TRY(fd, OpenFd(path, flags));
  }

  struct stat info = {};
  if (fstat(fd->get(), &info) != 0) return FileError(errno, "stat", path);
  if (!S_ISREG(info.st_mode)) {
    return MakeError(ErrorCode::kIoError, StrCat("open ", path, ": not a regular file"));
  }
  auto file = std::make_shared<OpenFile>(path, *std::move(fd), pool);
  file->is_writable = is_writable;
  file->is_direct = is_direct;
  file->needs_aligned_writes = each_write;
  return file;
}

absl::Status SyncDirectoryBlocking(const std::string& path) {
  STELE_TRY(const UniqueFd directory, OpenFd(path, O_RDONLY | O_DIRECTORY));
  if (fsync(directory.get()) != 0) return FileError(errno, "sync", path, Effect::kUnknown);
  return absl::OkStatus();
}

absl::Status MakeDirectoryBlocking(const std::string& path) {
  if (mkdir(path.c_str(), kDirectoryMode) == 0) {
    const size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return SyncDirectoryBlocking(".");
    return SyncDirectoryBlocking(slash == 0 ? "/" : path.substr(0, slash));
  }
  const int mkdir_errno = errno;
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return absl::OkStatus();
  return FileError(mkdir_errno, "make directory", path);
}

absl::Status MakeDirectoriesBlocking(const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    STELE_TRY_OK(MakeDirectoryBlocking(path.substr(0, end)));
  }
  return MakeDirectoryBlocking(path);
}

absl::StatusOr<std::vector<std::string>> ListBlocking(const std::string& path) {
  DIR* const directory = opendir(path.c_str());
  if (directory == nullptr) return FileError(errno, "list", path);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* const entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int read_errno = errno;
  closedir(directory);
  if (read_errno != 0) return FileError(read_errno, "list", path);
  std::sort(names.begin(), names.end());
  return names;
}

class RealDirectoryLock final : public DirectoryLock {
 public:
  explicit RealDirectoryLock(UniqueFd directory) : directory_(std::move(directory)) {}

 private:
  UniqueFd directory_;  // the lock is that of the open file description
};

absl::StatusOr<std::unique_ptr<DirectoryLock>> LockBlocking(const std::string& path) {
  STELE_TRY(UniqueFd directory, OpenFd(path, O_RDONLY | O_DIRECTORY));
  if (flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return MakeError(ErrorCode::kOverloaded, StrCat(path, ": is locked by another process"));
    }
    return FileError(errno, "lock", path);
  }
  return std::make_unique<RealDirectoryLock>(std::move(directory));
}

absl::StatusOr<DiskSpace> SpaceBlocking(const std::string& path) {
  struct statvfs space = {};
  struct stat info = {};
  if (statvfs(path.c_str(), &space) != 0) return FileError(errno, "statvfs", path);
  if (stat(path.c_str(), &info) != 0) return FileError(errno, "stat", path);
  return DiskSpace{.total_bytes = uint64_t{space.f_blocks} * space.f_frsize,
                   .free_bytes = uint64_t{space.f_bavail} * space.f_frsize,
                   .device = info.st_dev};
}

// For the calls that give 0 or -1 with errno.
absl::Status StatusFrom(int result, std::string_view operation, const std::string& path) {
  return result == 0 ? absl::OkStatus() : FileError(errno, operation, path);
}

std::unique_ptr<DiskEngine> MakeEngine(EventLoop* loop, FileBackend backend) {
  if (backend != FileBackend::kThreads) {
    if (auto engine = UringEngine::TryMake(loop)) return engine;
    STELE_CHECK(backend == FileBackend::kProbe);
  }
  return std::make_unique<ThreadEngine>(loop, kEngineThreadsMax);
}

}  // namespace

RealFileSystem::RealFileSystem(EventLoop* loop, BlockingPool* pool, FileBackend backend)
    : loop_(loop),
      pool_(pool),
      engine_(MakeEngine(loop, backend)),
      synced_engine_(std::make_unique<ThreadEngine>(loop, kSyncedWriteThreadsMax)) {}

RealFileSystem::~RealFileSystem() = default;

Task<absl::StatusOr<std::unique_ptr<File>>> RealFileSystem::Open(std::string path,
                                                                 OpenOptions options) {
  STELE_CO_TRY(std::shared_ptr<OpenFile> file,
               co_await pool_->Run(loop_, [path, options, pool = pool_] {
                 return OpenBlocking(path, options, pool);
               }));
  // Direct reads are not synced: they need no thread.
  const bool has_synced_writes = options.sync == OpenOptions::Sync::kEachWrite &&
                                 options.access == OpenOptions::Access::kReadWrite;
  DiskEngine* const engine = has_synced_writes ? synced_engine_.get() : engine_.get();
  co_return std::make_unique<RealFile>(std::move(file), loop_, engine);
}

Task<absl::StatusOr<FileInfo>> RealFileSystem::Stat(std::string path) {
  co_return co_await pool_->Run(loop_, [path]() -> absl::StatusOr<FileInfo> {
    struct stat info = {};
    if (stat(path.c_str(), &info) != 0) return FileError(errno, "stat", path);
    return FileInfo{.is_directory = S_ISDIR(info.st_mode),
                    .size_bytes = static_cast<uint64_t>(info.st_size)};
  });
}

Task<absl::StatusOr<std::vector<std::string>>> RealFileSystem::List(std::string path) {
  co_return co_await pool_->Run(loop_, [path] { return ListBlocking(path); });
}

Task<absl::Status> RealFileSystem::MakeDirectories(std::string path) {
  co_return co_await pool_->Run(loop_, [path] { return MakeDirectoriesBlocking(path); });
}

Task<absl::Status> RealFileSystem::Rename(std::string from, std::string to) {
  co_return co_await pool_->Run(loop_, [from, to] {
    return StatusFrom(rename(from.c_str(), to.c_str()), "rename", StrCat(from, " to ", to));
  });
}

Task<absl::Status> RealFileSystem::Link(std::string from, std::string to) {
  co_return co_await pool_->Run(loop_, [from, to] {
    return StatusFrom(link(from.c_str(), to.c_str()), "link", StrCat(from, " to ", to));
  });
}

Task<absl::Status> RealFileSystem::Remove(std::string path) {
  co_return co_await pool_->Run(
      loop_, [path] { return StatusFrom(remove(path.c_str()), "remove", path); });
}

Task<absl::Status> RealFileSystem::SyncDirectory(std::string path) {
  co_return co_await pool_->Run(loop_, [path] { return SyncDirectoryBlocking(path); });
}

Task<absl::StatusOr<DiskSpace>> RealFileSystem::Space(std::string path) {
  co_return co_await pool_->Run(loop_, [path] { return SpaceBlocking(path); });
}

Task<absl::StatusOr<std::unique_ptr<DirectoryLock>>> RealFileSystem::LockDirectory(
    std::string path) {
  co_return co_await pool_->Run(loop_, [path] { return LockBlocking(path); });
}

}  // namespace stele::real
