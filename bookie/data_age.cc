#include "bookie/data_age.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr size_t kAgeSizeMaxBytes = 32;
// A read that fails once is no loss.
constexpr int kReadTriesMax = 5;

}  // namespace

DataAge::DataAge(FileSystem* files, std::vector<std::string> directories,
                 std::vector<std::string> added, metadata::BookieAge in_store)
    : files_(files),
      directories_(std::move(directories)),
      added_(std::move(added)),
      in_store_(std::move(in_store)) {}

Task<int64_t> DataAge::ReadIn(std::string directory) {
  const std::string path = StrCat(directory, "/", kAgeFileName);
  absl::StatusOr<Buffer> text;
  for (int tries = 0; tries < kReadTriesMax; ++tries) {
    text = co_await ReadFile(files_, path, kAgeSizeMaxBytes);
    if (text.ok() || CodeOf(text.status()) == ErrorCode::kNoSuchFile) break;
  }
  if (!text.ok()) co_return 0;
  const char* const end = text->data() + text->size();
  int64_t age = 0;
  const auto [stop, error] = std::from_chars(text->data(), end, age);
  co_return error == std::errc() && stop == end && age > 0 && age < INT64_MAX ? age : 0;
}

Task<absl::StatusOr<bool>> DataAge::IsBehind() {
  STELE_CO_TRY(stored_, co_await in_store_.Read());
  std::optional<int64_t> lowest;
  for (const std::string& directory : directories_) {
    const int64_t age = co_await ReadIn(directory);
    highest_ = std::max(highest_, age);
    const bool is_added = std::find(added_.begin(), added_.end(), directory) != added_.end();
    if (!is_added) lowest = std::min(lowest.value_or(age), age);
  }
  co_return lowest.value_or(0) < stored_;
}

Task<absl::Status> DataAge::Raise() {
  const int64_t next = std::max(stored_, highest_) + 1;
  // In all that can be written: one that was just added must not seem behind because another is full.
  absl::Status first_error = absl::OkStatus();
  for (const std::string& directory : directories_) {
    absl::Status written =
        co_await ReplaceFile(files_, directory, kAgeFileName, Buffer::FromString(StrCat(next)));
    highest_ = next;
    if (first_error.ok()) first_error = std::move(written);
  }
  STELE_CO_TRY_OK(first_error);
  STELE_CO_TRY_OK(co_await in_store_.Raise(next));
  stored_ = next;
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
