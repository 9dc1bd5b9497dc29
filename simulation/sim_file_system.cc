#include "simulation/sim_file_system.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "simulation/sim_process.h"

namespace stele::simulation {
namespace {

// Where operations run: the disk, and the shard that waits.
struct Place {
  SimDisk* disk;
  SimExecutor* executor;
};

// Puts the operation into the trace and gives the fault that strikes it, if any. A process that is
// being crashed asks for nothing any more.
absl::Status Announce(Place place, FileRequest request) {
  if (!place.executor->alive()) return absl::OkStatus();
  place.disk->scheduler()->trace().Record(
      TraceKind::kFile, place.executor->id() * 32 + static_cast<uint64_t>(request.operation),
      DigestOf(request.path) ^ DigestOf(request.target) * 31 ^
          (request.offset * 31 + request.size));
  request.process = place.executor->process();
  return place.disk->AskFaults(request);
}

// Completes on the shard with the outcome, some time from now. `outcome` runs then.
template <typename T, typename Outcome>
Completion<T> CompleteLater(Place place, size_t transfer_bytes, Outcome outcome) {
  Completion<T> done(place.executor);
  place.disk->scheduler()->CallAfter(
      place.executor, place.disk->DrawLatency(transfer_bytes),
      [completer = done.GetCompleter(), outcome = std::move(outcome)]() mutable {
        completer.Set(outcome());
      });
  return done;
}

// An operation that takes effect at one point in time: when it begins or when it completes.
//   effect   a function object without arguments that gives a T
template <typename T, typename Effect>
Task<T> Run(Place place, FileRequest request, Effect effect) {
  std::optional<T> early;
  absl::Status fault = Announce(place, std::move(request));
  if (!fault.ok()) {
    early.emplace(std::move(fault));
  } else if (place.executor->alive() && place.disk->random().Chance(1, 2)) {
    early.emplace(effect());
  }
  co_return co_await CompleteLater<T>(
      place, 0, [early = std::move(early), effect = std::move(effect)]() mutable -> T {
        return early.has_value() ? *std::move(early) : effect();
      });
}

// An open file; lives as long as the File or one of its operations.
struct OpenFile {
  OpenFile(Place at, SimDisk::InodeRef opened, std::string opened_path, OpenOptions with)
      : place(at), inode(std::move(opened)), path(std::move(opened_path)), options(with) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() { place.disk->CloseFile(inode.get()); }

  absl::Status PoisonError() const {
    return MakeError(ErrorCode::kIoError, StrCat(path, ": poisoned by an earlier failure"));
  }

  Place place;
  SimDisk::InodeRef inode;
  std::string path;
  OpenOptions options;
  bool poisoned = false;
};

using OpenFileRef = std::shared_ptr<OpenFile>;

Task<absl::StatusOr<Buffer>> Read(OpenFileRef file, uint64_t offset, size_t size) {
  absl::Status fault = Announce(
      file->place,
      {.operation = FileOperation::kRead, .path = file->path, .offset = offset, .size = size});
  co_return co_await CompleteLater<absl::StatusOr<Buffer>>(
      file->place, size,
      [file, offset, size, fault = std::move(fault)]() -> absl::StatusOr<Buffer> {
        if (!fault.ok()) return fault;
        const SectorImage& content = file->inode->content;
        const uint64_t left = offset < content.size() ? content.size() - offset : 0;
        MutableBuffer result(std::min<uint64_t>(size, left));
        content.Read(offset, result.data(), result.size());
        return std::move(result).Freeze();
      });
}

absl::Status CheckWritable(const OpenFile& file, uint64_t offset, const Buffer& from) {
  if (file.options.access != OpenOptions::Access::kReadWrite) {
    return MakeError(ErrorCode::kInvalidArgument, StrCat(file.path, ": opened for reading"));
  }
  if (file.options.sync == OpenOptions::Sync::kEachWrite &&
      (offset % kDirectAlignmentBytes != 0 || from.size() % kDirectAlignmentBytes != 0 ||
       reinterpret_cast<uintptr_t>(from.data()) % kDirectAlignmentBytes != 0)) {
    return MakeError(ErrorCode::kInvalidArgument, StrCat(file.path, ": a write is not aligned"));
  }
  return absl::OkStatus();
}

Task<absl::Status> Write(OpenFileRef file, uint64_t offset, Buffer from) {
  STELE_CO_TRY_OK(CheckWritable(*file, offset, from));
  if (file->poisoned) co_return file->PoisonError();
  SimDisk* disk = file->place.disk;
  SimExecutor* executor = file->place.executor;
  const size_t size = from.size();
  absl::Status fault = Announce(
      file->place,
      {.operation = FileOperation::kWrite, .path = file->path, .offset = offset, .size = size});
  std::optional<SimDisk::WriteTicket> ticket;
  if (fault.ok() && executor->alive()) {
    disk->scheduler()->trace().Record(TraceKind::kFile, offset, DigestOf(from.view()));
    ticket = disk->BeginWrite({executor->process(), file->inode, offset, std::move(from)});
  }
  co_return co_await CompleteLater<absl::Status>(
      file->place, size, [file, fault = std::move(fault), ticket]() mutable {
        absl::Status result = std::move(fault);
        if (ticket.has_value()) {
          SimDisk* on = file->place.disk;
          result = on->Write(file->inode.get(), (*ticket)->offset, (*ticket)->bytes.view(),
                             file->options.sync);
          on->EndWrite(*ticket);
        }
        if (!result.ok()) file->poisoned = true;
        return result;
      });
}

Task<absl::Status> Sync(OpenFileRef file) {
  if (file->poisoned) co_return file->PoisonError();
  absl::Status fault =
      Announce(file->place, {.operation = FileOperation::kSync, .path = file->path});
  SimDisk* disk = file->place.disk;
  if (!fault.ok()) {
    disk->LoseUnsynced(file->inode.get());
    file->poisoned = true;
  }
  const bool early = file->place.executor->alive() && disk->random().Chance(1, 2);
  if (fault.ok() && early) disk->SyncFile(file->inode.get());
  co_return co_await CompleteLater<absl::Status>(
      file->place, 0, [file, early, fault = std::move(fault)]() -> absl::Status {
        if (!fault.ok()) return fault;
        // Another operation failed meanwhile: what this sync covered cannot be told.
        if (file->poisoned) return file->PoisonError();
        if (!early) file->place.disk->SyncFile(file->inode.get());
        return absl::OkStatus();
      });
}

Task<absl::Status> Truncate(OpenFileRef file, uint64_t size) {
  STELE_CO_TRY_OK(CheckWritable(*file, 0, Buffer()));
  if (file->poisoned) co_return file->PoisonError();
  co_return co_await Run<absl::Status>(
      file->place, {.operation = FileOperation::kTruncate, .path = file->path, .offset = size},
      [file, size] { return file->place.disk->Truncate(file->inode.get(), size); });
}

Task<absl::StatusOr<uint64_t>> Size(OpenFileRef file) {
  co_return co_await Run<absl::StatusOr<uint64_t>>(
      file->place, {.operation = FileOperation::kSize, .path = file->path},
      [file] { return absl::StatusOr<uint64_t>(file->inode->content.size()); });
}

class SimFile : public File {
 public:
  explicit SimFile(OpenFileRef file) : file_(std::move(file)) {}

  Task<absl::StatusOr<Buffer>> ReadAt(uint64_t offset, size_t size) override {
    return Read(file_, offset, size);
  }
  Task<absl::Status> WriteAt(uint64_t offset, Buffer from) override {
    return Write(file_, offset, std::move(from));
  }
  Task<absl::Status> Sync() override { return simulation::Sync(file_); }
  Task<absl::Status> Truncate(uint64_t size) override { return simulation::Truncate(file_, size); }
  Task<absl::StatusOr<uint64_t>> Size() override { return simulation::Size(file_); }

 private:
  OpenFileRef file_;
};

class SimDirectoryLock : public DirectoryLock {
 public:
  explicit SimDirectoryLock(SimDisk::InodeRef directory) : directory_(std::move(directory)) {
    directory_->locked = true;
  }
  ~SimDirectoryLock() override { directory_->locked = false; }

 private:
  SimDisk::InodeRef directory_;
};

absl::StatusOr<SimDisk::InodeRef> FindDirectory(SimDisk* disk, const std::string& path) {
  STELE_TRY(SimDisk::InodeRef inode, disk->Find(path));
  if (inode->is_directory) return inode;
  return MakeError(ErrorCode::kIoError, StrCat(path, ": not a directory"));
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<File>>> SimFileSystem::Open(std::string path,
                                                                OpenOptions options) {
  using Result = absl::StatusOr<std::unique_ptr<File>>;
  co_return co_await Run<Result>(
      Place{disk_, executor_}, {.operation = FileOperation::kOpen, .path = path},
      [place = Place{disk_, executor_}, path, options]() -> Result {
        STELE_TRY(SimDisk::InodeRef inode, place.disk->Open(path, options));
        return std::make_unique<SimFile>(
            std::make_shared<OpenFile>(place, std::move(inode), path, options));
      });
}

Task<absl::StatusOr<FileInfo>> SimFileSystem::Stat(std::string path) {
  using Result = absl::StatusOr<FileInfo>;
  co_return co_await Run<Result>(
      Place{disk_, executor_}, {.operation = FileOperation::kStat, .path = path},
      [disk = disk_, path]() -> Result {
        STELE_TRY(const SimDisk::InodeRef inode, disk->Find(path));
        return FileInfo{.is_directory = inode->is_directory, .size_bytes = inode->content.size()};
      });
}

Task<absl::StatusOr<std::vector<std::string>>> SimFileSystem::List(std::string path) {
  using Result = absl::StatusOr<std::vector<std::string>>;
  co_return co_await Run<Result>(
      Place{disk_, executor_}, {.operation = FileOperation::kList, .path = path},
      [disk = disk_, path]() -> Result {
        STELE_TRY(const SimDisk::InodeRef inode, FindDirectory(disk, path));
        std::vector<std::string> names;
        for (const auto& [name, child] : inode->names) names.push_back(name);
        return names;
      });
}

Task<absl::Status> SimFileSystem::MakeDirectories(std::string path) {
  co_return co_await Run<absl::Status>(
      Place{disk_, executor_}, {.operation = FileOperation::kMakeDirectories, .path = path},
      [disk = disk_, path] { return disk->MakeDirectories(path); });
}

Task<absl::Status> SimFileSystem::Rename(std::string from, std::string to) {
  co_return co_await Run<absl::Status>(
      Place{disk_, executor_}, {.operation = FileOperation::kRename, .path = from, .target = to},
      [disk = disk_, from, to] { return disk->Rename(from, to); });
}

Task<absl::Status> SimFileSystem::Link(std::string from, std::string to) {
  co_return co_await Run<absl::Status>(
      Place{disk_, executor_}, {.operation = FileOperation::kLink, .path = from, .target = to},
      [disk = disk_, from, to] { return disk->Link(from, to); });
}

Task<absl::Status> SimFileSystem::Remove(std::string path) {
  co_return co_await Run<absl::Status>(Place{disk_, executor_},
                                       {.operation = FileOperation::kRemove, .path = path},
                                       [disk = disk_, path] { return disk->Remove(path); });
}

Task<absl::Status> SimFileSystem::SyncDirectory(std::string path) {
  co_return co_await Run<absl::Status>(Place{disk_, executor_},
                                       {.operation = FileOperation::kSyncDirectory, .path = path},
                                       [disk = disk_, path] { return disk->SyncDirectory(path); });
}

Task<absl::StatusOr<DiskSpace>> SimFileSystem::Space(std::string path) {
  using Result = absl::StatusOr<DiskSpace>;
  co_return co_await Run<Result>(
      Place{disk_, executor_}, {.operation = FileOperation::kSpace, .path = path},
      [disk = disk_, path]() -> Result {
        STELE_TRY(const SimDisk::InodeRef inode, disk->Find(path));
        const uint64_t used = std::min(disk->used_bytes(), disk->size_bytes());
        return DiskSpace{.total_bytes = disk->size_bytes(),
                         .free_bytes = disk->size_bytes() - used,
                         .device = disk->device()};
      });
}

Task<absl::StatusOr<std::unique_ptr<DirectoryLock>>> SimFileSystem::LockDirectory(
    std::string path) {
  using Result = absl::StatusOr<std::unique_ptr<DirectoryLock>>;
  co_return co_await Run<Result>(
      Place{disk_, executor_}, {.operation = FileOperation::kLockDirectory, .path = path},
      [disk = disk_, path]() -> Result {
        STELE_TRY(SimDisk::InodeRef inode, FindDirectory(disk, path));
        if (inode->locked) return MakeError(ErrorCode::kOverloaded, StrCat(path, ": is locked"));
        return std::make_unique<SimDirectoryLock>(std::move(inode));
      });
}

}  // namespace stele::simulation
