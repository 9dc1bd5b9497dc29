#include "bookie/space_reserve.h"

#include <algorithm>
#include <memory>

#include "common/base/buffer.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr uint64_t kPieceBytes = 1 << 20;

}  // namespace

Task<absl::Status> SpaceReserve::Fill() {
  absl::Status problem;
  for (const std::string& directory : directories_) {
    const absl::Status filled = co_await FillIn(directory);
    if (!filled.ok() && problem.ok()) problem = WithContext(filled, directory);
  }
  co_return problem;
}

Task<absl::Status> SpaceReserve::FillIn(std::string directory) {
  if (bytes_ == 0) co_return absl::OkStatus();
  const std::string path = StrCat(directory, "/", kReserveFileName);
  const absl::StatusOr<FileInfo> found = co_await files_->Stat(path);
  if (found.ok() && found->size_bytes == bytes_) co_return absl::OkStatus();
  STELE_CO_TRY(const DiskSpace space, co_await files_->Space(directory));
  if (space.free_bytes < 2 * bytes_) co_return absl::OkStatus();
  STELE_CO_TRY(const std::unique_ptr<File> file,
               co_await files_->Open(path, {.access = OpenOptions::Access::kReadWrite,
                                            .create = OpenOptions::Create::kIfMissing}));
  STELE_CO_TRY_OK(co_await file->Truncate(0));
  // Zeroes that are written, so that the file system gives the blocks.
  const Buffer piece = Buffer::FromString(std::string(std::min(kPieceBytes, bytes_), '\0'));
  for (uint64_t offset = 0; offset < bytes_; offset += piece.size()) {
    const uint64_t size = std::min<uint64_t>(piece.size(), bytes_ - offset);
    STELE_CO_TRY_OK(co_await file->WriteAt(offset, piece.Slice(0, size)));
  }
  co_return co_await file->Sync();
}

Task<absl::Status> SpaceReserve::Release() {
  absl::Status problem;
  for (const std::string& directory : directories_) {
    const absl::Status removed = co_await files_->Remove(StrCat(directory, "/", kReserveFileName));
    if (removed.ok() || CodeOf(removed) == ErrorCode::kNoSuchFile) continue;
    if (problem.ok()) problem = WithContext(removed, directory);
  }
  co_return problem;
}

}  // namespace stele::bookie
