#include "bookie/data_age.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cookie_check.h"

namespace stele::bookie {
namespace {

constexpr size_t kAgeSizeMaxBytes = 32;
// A read that fails once is no loss.
constexpr int kReadTriesMax = 5;

// 0: there is none that can be read.
Task<int64_t> ReadAge(FileSystem* files, std::string directory) {
  const std::string path = StrCat(directory, "/", metadata::kAgeFileName);
  absl::StatusOr<Buffer> text;
  for (int tries = 0; tries < kReadTriesMax; ++tries) {
    text = co_await ReadFile(files, path, kAgeSizeMaxBytes);
    if (text.ok() || CodeOf(text.status()) == ErrorCode::kNoSuchFile) break;
  }
  if (!text.ok()) co_return 0;
  const char* const end = text->data() + text->size();
  int64_t age = 0;
  const auto [stop, error] = std::from_chars(text->data(), end, age);
  const bool is_one = error == std::errc() && age > 0 && age < INT64_MAX && stop == end;
  co_return is_one ? age : 0;
}

}  // namespace

Task<int64_t> HighestAge(FileSystem* files, std::vector<std::string> directories) {
  int64_t highest = 0;
  for (const std::string& directory : directories) {
    highest = std::max(highest, co_await ReadAge(files, directory));
  }
  co_return highest;
}

Task<absl::Status> ForgetAge(FileSystem* files, std::vector<std::string> directories) {
  for (const std::string& directory : directories) {
    const absl::Status removed =
        co_await files->Remove(StrCat(directory, "/", metadata::kAgeFileName));
    if (CodeOf(removed) != ErrorCode::kNoSuchFile) STELE_CO_TRY_OK(removed);
    STELE_CO_TRY_OK(co_await files->SyncDirectory(directory));
  }
  co_return absl::OkStatus();
}

DataAge::DataAge(FileSystem* files, std::vector<std::string> directories,
                 metadata::BookieAge in_store)
    : files_(files), directories_(std::move(directories)), in_store_(std::move(in_store)) {}

Task<absl::StatusOr<bool>> DataAge::IsBehind() {
  STELE_CO_TRY(stored_, co_await in_store_.Read());
  int64_t lowest = INT64_MAX;
  for (const std::string& directory : directories_) {
    const int64_t age = co_await ReadAge(files_, directory);
    highest_ = std::max(highest_, age);
    lowest = std::min(lowest, age);
  }
  co_return lowest < stored_;
}

Task<absl::Status> DataAge::Raise() {
  const int64_t next = std::max(stored_, highest_) + 1;
  highest_ = next;
  absl::Status first_error = absl::OkStatus();
  for (const std::string& directory : directories_) {
    absl::Status written = co_await ReplaceFile(files_, directory, metadata::kAgeFileName,
                                                Buffer::FromString(StrCat(next)));
    if (first_error.ok()) first_error = std::move(written);
  }
  STELE_CO_TRY_OK(first_error);
  STELE_CO_TRY_OK(co_await in_store_.Raise(next));
  stored_ = next;
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
