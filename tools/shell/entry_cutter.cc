#include "tools/shell/entry_cutter.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::shell {

void EntryCutter::Feed(Buffer chunk) {
  STELE_CHECK(chunk_.empty());
  chunk_ = std::move(chunk);
}

absl::StatusOr<std::optional<Buffer>> EntryCutter::Next() {
  if (block_size_ > 0) {
    const size_t wanted = block_size_ - begun_.size();
    if (chunk_.size() >= wanted) return Take(wanted, 0);
  } else if (const size_t end = chunk_.view().find('\n'); end != std::string_view::npos) {
    if (begun_.size() + end <= entry_size_max_) return Take(end, 1);
  }
  if (begun_.size() + chunk_.size() > entry_size_max_) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("a line of the input is longer than an entry may be (", entry_size_max_,
                            " bytes); cut it into blocks with --size"));
  }
  begun_ += chunk_.view();
  chunk_ = Buffer();
  return std::nullopt;
}

std::optional<Buffer> EntryCutter::Take(size_t size, size_t skip) {
  Buffer entry = chunk_.Slice(0, size);
  chunk_ = chunk_.Slice(size + skip);
  if (begun_.empty()) return entry;
  begun_ += entry.view();
  return Buffer::FromString(std::exchange(begun_, {}));
}

std::optional<Buffer> EntryCutter::Finish() {
  if (begun_.empty()) return std::nullopt;
  return Buffer::FromString(std::exchange(begun_, {}));
}

}  // namespace stele::shell
