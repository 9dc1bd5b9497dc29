#include "bookie/storage/directory_choice.h"

#include <algorithm>
#include <optional>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

bool IsFull(const DiskSpace& space, uint32_t usage_max_ppm) {
  const uint64_t used = space.total_bytes - std::min(space.free_bytes, space.total_bytes);
  return static_cast<unsigned __int128>(used) * 1'000'000 >=
         static_cast<unsigned __int128>(space.total_bytes) * usage_max_ppm;
}

}  // namespace

Task<absl::StatusOr<size_t>> ChooseDirectory(FileSystem* files, DirectoryChoice choice) {
  std::optional<size_t> roomiest;
  uint64_t roomiest_bytes = 0;
  absl::Status problem = MakeError(ErrorCode::kDiskFull, "every directory was tried");
  const size_t count = choice.directories.size();
  for (size_t i = 0; i < count; ++i) {
    const size_t index = (choice.first + i) % count;
    if (!choice.excluded.empty() && choice.excluded[index]) continue;
    const absl::StatusOr<DiskSpace> space = co_await files->Space(choice.directories[index]);
    if (!space.ok()) {
      problem = space.status();
      continue;
    }
    if (space->free_bytes < choice.free_min_bytes) {
      problem = MakeError(ErrorCode::kDiskFull, StrCat(choice.directories[index], " has ",
                                                       space->free_bytes, " bytes left"));
      continue;
    }
    if (!IsFull(*space, choice.usage_max_ppm)) co_return index;
    if (!roomiest.has_value() || space->free_bytes > roomiest_bytes) {
      roomiest = index;
      roomiest_bytes = space->free_bytes;
    }
  }
  if (!roomiest.has_value()) co_return problem;
  co_return *roomiest;
}

}  // namespace stele::bookie
