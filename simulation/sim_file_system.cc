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

// What is decided when an operation begins.
struct Announced {
  absl::Status error;
  std::optional<DiskFault> fault;
  bool dies_after = false;  // when the operation has taken effect
};

bool ChangesNames(FileOperation operation) {
  return operation == FileOperation::kMakeDirectories || operation == FileOperation::kRename ||
         operation == FileOperation::kLink || operation == FileOperation::kRemove;
}

// Puts the operation into the trace and gives what strikes it, if anything. A process that is being
// crashed asks for nothing any more.
Announced Announce(Place place, FileRequest request) {
  Announced result;
  if (!place.executor->alive()) return result;
  Scheduler* scheduler = place.disk->scheduler();
  scheduler->trace().Record(TraceKind::kFile,
                            place.executor->id() * 32 + static_cast<uint64_t>(request.operation),
                            DigestOf(request.path) ^ DigestOf(request.target) * 31 ^
                                (request.offset * 31 + request.size));
  request.process = place.executor->process();
  switch (scheduler->AskSeamHook({SeamKind::kFile, request.process, request.path})) {
    case SeamVerdict::kFail:
      result.error = MakeError(ErrorCode::kIoError, StrCat(request.path, ": the seam fails"));
      return result;
    case SeamVerdict::kCrashBefore: request.process->Crash(); return result;
    case SeamVerdict::kCrashAfter: result.dies_after = true; break;
    case SeamVerdict::kProceed:
    case SeamVerdict::kLoseAnswer: break;
  }
  if (place.disk->is_read_only() && ChangesNames(request.operation)) {
    result.error = MakeError(ErrorCode::kIoError, StrCat(request.path, ": read-only file system"));
    return result;
  }
  SimDisk::Trouble trouble = place.disk->AskFaults(request);
  result.error = std::move(trouble.error);
  result.fault = trouble.fault;
  return result;
}

// How often a hung or stalled disk is looked at.
constexpr absl::Duration kHungPoll = absl::Seconds(1);

template <typename T, typename Outcome>
void FinishAfter(Place place, absl::Duration delay, Completer<T> completer, Outcome outcome,
                 bool dies_after) {
  place.disk->scheduler()->CallAfter(place.executor, delay,
                                     [place, completer = std::move(completer),
                                      outcome = std::move(outcome), dies_after]() mutable {
                                       absl::Duration wait = place.disk->stall_left();
                                       if (place.disk->is_hung()) wait = kHungPoll;
                                       if (wait > absl::ZeroDuration()) {
                                         FinishAfter<T>(place, std::min(wait, kHungPoll),
                                                        std::move(completer), std::move(outcome),
                                                        dies_after);
                                         return;
                                       }
                                       T result = outcome();
                                       if (dies_after) {
                                         place.executor->process()->Crash();
                                       } else {
                                         completer.Set(std::move(result));
                                       }
                                     });
}

// Completes on the shard with the outcome, some time from now. `outcome` runs then.
template <typename T, typename Outcome>
Completion<T> CompleteLater(Place place, size_t transfer_bytes, bool dies_after, Outcome outcome) {
  Completion<T> done(place.executor);
  FinishAfter<T>(place, place.disk->DrawLatency(transfer_bytes), done.GetCompleter(),
                 std::move(outcome), dies_after);
  return done;
}

// An operation that takes effect at one point in time: when it begins or when it completes.
//   effect   a function object without arguments that gives a T
template <typename T, typename Effect>
Task<T> Run(Place place, FileRequest request, Effect effect) {
  std::optional<T> early;
  Announced announced = Announce(place, std::move(request));
  if (!announced.error.ok()) {
    early.emplace(std::move(announced.error));
  } else if (place.executor->alive() && place.disk->random().Chance(1, 2)) {
    early.emplace(effect());
  }
  co_return co_await CompleteLater<T>(
      place, 0, announced.dies_after,
      [early = std::move(early), effect = std::move(effect)]() mutable -> T {
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
  Announced announced = Announce(
      file->place,
      {.operation = FileOperation::kRead, .path = file->path, .offset = offset, .size = size});
  co_return co_await CompleteLater<absl::StatusOr<Buffer>>(
      file->place, size, announced.dies_after,
      [file, offset, size, error = std::move(announced.error),
       fault = announced.fault]() -> absl::StatusOr<Buffer> {
        if (!error.ok()) return error;
        Inode* inode = file->inode.get();
        const uint64_t left = offset < inode->content.size() ? inode->content.size() - offset : 0;
        MutableBuffer result(std::min<uint64_t>(size, left));
        if (fault == DiskFault::kBadSector && result.size() > 0) SimDisk::MakeBad(inode, offset);
        STELE_TRY_OK(SimDisk::CheckSectors(*inode, offset, result.size()));
        inode->content.Read(offset, result.data(), result.size());
        if (fault == DiskFault::kMisdirectedRead) {
          file->place.disk->MisdirectPage(*inode, offset, {result.data(), result.size()});
        }
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

// What a write does to the disk when it completes.
absl::Status Land(const OpenFile& file, const SimDisk::WriteInFlight& write,
                  std::optional<DiskFault> fault) {
  SimDisk* disk = file.place.disk;
  Inode* inode = file.inode.get();
  const std::string_view bytes = write.bytes.view();
  const OpenOptions::Sync sync = file.options.sync;
  if (!fault.has_value()) return disk->Write(inode, write.offset, bytes, sync);
  switch (*fault) {
    case DiskFault::kTornWrite: {
      const size_t landed = disk->random().Below(bytes.size() + 1);
      STELE_TRY_OK(disk->Write(inode, write.offset, bytes.substr(0, landed), sync));
      return MakeError(ErrorCode::kDiskFull, StrCat(file.path, ": no space left"));
    }
    case DiskFault::kLostWrite: disk->WriteLost(inode, write.offset, bytes, sync); break;
    case DiskFault::kMisdirectedWrite: {
      const uint64_t other = disk->DrawOtherOffset(*inode, write.offset, bytes.size());
      return disk->Write(inode, other, bytes, sync);
    }
    case DiskFault::kWriteToOtherFile: disk->WriteToOtherFile(inode, bytes); break;
    default: break;
  }
  return absl::OkStatus();
}

Task<absl::Status> Write(OpenFileRef file, uint64_t offset, Buffer from) {
  STELE_CO_TRY_OK(CheckWritable(*file, offset, from));
  if (file->poisoned) co_return file->PoisonError();
  SimDisk* disk = file->place.disk;
  SimExecutor* executor = file->place.executor;
  const size_t size = from.size();
  Announced announced = Announce(
      file->place,
      {.operation = FileOperation::kWrite, .path = file->path, .offset = offset, .size = size});
  std::optional<SimDisk::WriteTicket> ticket;
  if (announced.error.ok() && executor->alive()) {
    // Journals fill their files with zeroes first: most bytes of a run.
    const uint64_t digest = IsZero(from.view()) ? size : DigestOf(from.view());
    disk->scheduler()->trace().Record(TraceKind::kFile, offset, digest);
    ticket = disk->BeginWrite({executor->process(), file->inode, offset, std::move(from)});
  }
  co_return co_await CompleteLater<absl::Status>(
      file->place, size, announced.dies_after,
      [file, error = std::move(announced.error), fault = announced.fault, ticket]() mutable {
        absl::Status result = std::move(error);
        if (ticket.has_value()) {
          result = Land(*file, **ticket, fault);
          file->place.disk->EndWrite(*ticket);
        }
        if (!result.ok()) file->poisoned = true;
        return result;
      });
}

Task<absl::Status> Sync(OpenFileRef file) {
  if (file->poisoned) co_return file->PoisonError();
  Announced announced =
      Announce(file->place, {.operation = FileOperation::kSync, .path = file->path});
  SimDisk* disk = file->place.disk;
  const bool failed = !announced.error.ok();
  if (failed) {
    disk->LoseUnsynced(file->inode.get(), announced.fault == DiskFault::kSyncFailsShows);
    file->poisoned = true;
  }
  const bool early = file->place.executor->alive() && disk->random().Chance(1, 2);
  if (!failed && early) disk->SyncFile(file->inode.get());
  co_return co_await CompleteLater<absl::Status>(
      file->place, 0, announced.dies_after,
      [file, early, error = std::move(announced.error)]() -> absl::Status {
        if (!error.ok()) return error;
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
        if (place.disk->is_read_only() && options.access == OpenOptions::Access::kReadWrite) {
          return MakeError(ErrorCode::kIoError, StrCat(path, ": read-only file system"));
        }
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
