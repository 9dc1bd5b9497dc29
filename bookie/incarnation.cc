#include "bookie/incarnation.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr size_t kBootFileMaxBytes = 64;

int64_t Highest(const BootNumbers& numbers) {
  int64_t highest = 0;
  for (const std::optional<int64_t>& number : numbers.directories) {
    highest = std::max(highest, number.value_or(0));
  }
  return highest;
}

}  // namespace

MemoryLoss JudgeBootNumbers(const BootNumbers& numbers, bool may_be_new) {
  const int64_t stored = numbers.stored.value_or(0);
  // A first start that was interrupted leaves 1 in directories and nothing in the store.
  if (Highest(numbers) > stored + 1) return MemoryLoss::kStore;
  if (stored == 0) return MemoryLoss::kNone;
  for (const std::optional<int64_t>& number : numbers.directories) {
    if (!number.has_value() && may_be_new) continue;
    if (number.value_or(0) < stored) return MemoryLoss::kDirectories;
  }
  return MemoryLoss::kNone;
}

int64_t NextBootNumber(const BootNumbers& numbers) {
  return std::max(numbers.stored.value_or(0), Highest(numbers)) + 1;
}

std::string MakeBootFile(int64_t number) { return StrCat(number, "\n"); }

std::optional<int64_t> ParseBootNumber(std::string_view text) {
  int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number <= 0 || text != MakeBootFile(number)) return std::nullopt;
  return number;
}

Incarnation::Incarnation(FileSystem* files, metadata::MetadataStore* store, std::string instance_id,
                         BookieId bookie, std::vector<std::string> directories)
    : files_(files),
      store_(store),
      path_(StrCat("/stele/", instance_id, "/boots/", bookie.value())),
      directories_(std::move(directories)) {}

Task<absl::StatusOr<MemoryLoss>> Incarnation::Check(bool may_be_new) {
  STELE_CO_TRY_OK(co_await Read());
  number_ = NextBootNumber(found_);
  co_return JudgeBootNumbers(found_, may_be_new);
}

Task<absl::Status> Incarnation::Read() {
  found_ = {};
  const absl::StatusOr<metadata::Node> node = co_await store_->Get(path_);
  if (node.ok()) {
    found_.stored = ParseBootNumber(node->value);
    version_ = node->version;
    if (!found_.stored.has_value()) {
      co_return MakeError(ErrorCode::kCorruptData, StrCat(path_, " is no boot number"));
    }
  } else if (CodeOf(node.status()) != ErrorCode::kNoSuchKey) {
    co_return node.status();
  }
  for (const std::string& directory : directories_) {
    const absl::StatusOr<Buffer> text =
        co_await ReadFile(files_, StrCat(directory, "/", kBootFileName), kBootFileMaxBytes);
    const ErrorCode code = CodeOf(text.status());
    if (!text.ok() && code != ErrorCode::kNoSuchFile && code != ErrorCode::kCorruptData) {
      co_return text.status();
    }
    found_.directories.push_back(text.ok() ? ParseBootNumber(text->view()) : std::nullopt);
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Incarnation::Commit() {
  const std::string text = MakeBootFile(number_);
  for (const std::string& directory : directories_) {
    STELE_CO_TRY_OK(
        co_await ReplaceFile(files_, directory, kBootFileName, Buffer::FromString(text)));
  }
  absl::Status stored = found_.stored.has_value()
                            ? (co_await store_->Put(path_, text, version_)).status()
                            : co_await store_->Create(path_, text, metadata::NodeKind::kPersistent);
  const ErrorCode code = CodeOf(stored);
  if (stored.ok()) co_return stored;
  // Perhaps the answer to our own write was lost.
  const absl::StatusOr<metadata::Node> now = co_await store_->Get(path_);
  if (now.ok() && now->value == text) co_return absl::OkStatus();
  if (code != ErrorCode::kMetadataConflict && code != ErrorCode::kKeyExists) co_return stored;
  co_return MakeError(ErrorCode::kOverloaded,
                      StrCat(path_, " changed: another process starts with this bookie's id"));
}

}  // namespace stele::bookie
