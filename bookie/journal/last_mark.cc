#include "bookie/journal/last_mark.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

constexpr size_t kMarkSizeBytes = 16;

}  // namespace

std::string LastMarkFileName(int journal_index, int journal_count) {
  return journal_count == 1 ? std::string(kLastMarkFileName)
                            : StrCat(kLastMarkFileName, ".", journal_index);
}

std::string EncodeMark(JournalMark mark) {
  std::string bytes;
  AppendBigEndian<int64_t>(bytes, mark.file_id);
  AppendBigEndian<int64_t>(bytes, mark.offset_bytes);
  return bytes;
}

std::optional<JournalMark> ParseMark(std::string_view bytes) {
  if (bytes.size() != kMarkSizeBytes) return std::nullopt;
  const JournalMark mark{.file_id = LoadBigEndian<int64_t>(bytes.data()),
                         .offset_bytes = LoadBigEndian<int64_t>(bytes.data() + 8)};
  if (mark.file_id < 0 || mark.offset_bytes < 0) return std::nullopt;
  return mark;
}

LastMark::LastMark(FileSystem* files, std::vector<std::string> directories,
                   std::vector<std::string> names)
    : files_(files), directories_(std::move(directories)), names_(std::move(names)) {
  STELE_CHECK(!directories_.empty() && !names_.empty());
}

Task<JournalMark> LastMark::Read() {
  for (const std::string& directory : directories_) {
    for (const std::string& name : names_) {
      const absl::StatusOr<Buffer> bytes =
          co_await ReadFile(files_, StrCat(directory, "/", name), kMarkSizeBytes);
      if (!bytes.ok()) continue;
      if (const auto mark = ParseMark(bytes->view())) last_ = std::max(last_, *mark);
    }
  }
  co_return last_;
}

Task<absl::Status> LastMark::Write(JournalMark mark) {
  STELE_CHECK(!is_writing_);
  if (mark <= last_) co_return absl::OkStatus();
  is_writing_ = true;
  bool is_durable = false;
  absl::Status failed;
  for (const std::string& directory : directories_) {
    absl::Status written = co_await ReplaceFile(files_, directory, names_.front(),
                                                Buffer::FromString(EncodeMark(mark)));
    if (written.ok()) {
      is_durable = true;
    } else {
      failed = WithContext(written, StrCat("writing the journal mark to ", directory));
    }
  }
  is_writing_ = false;
  if (!is_durable) co_return failed;
  last_ = mark;
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
