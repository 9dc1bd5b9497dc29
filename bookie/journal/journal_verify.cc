#include "bookie/journal/journal_verify.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "bookie/journal/batch_reader.h"
#include "bookie/journal/journal_format.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr uint64_t kBlock = kJournalBlockSizeBytes;

class Verification {
 public:
  Verification(FileSystem* files, JournalRange range, SpendBytes spend)
      : files_(files), range_(std::move(range)), spend_(std::move(spend)) {}

  Task<absl::StatusOr<std::optional<JournalDamage>>> Run() {
    JournalMark at = std::max(range_.from, range_.stream.begin);
    if (at == range_.stream.begin) expected_ = 1;
    for (; at < range_.to && !damage_.has_value(); at = {at.file_id + 1, kBlock}) {
      path_ = StrCat(range_.directory, "/", JournalFileName(at.file_id));
      const absl::Status verified = co_await VerifyFile(at);
      if (CodeOf(verified) == ErrorCode::kStopped) co_return verified;
      // Whatever else hinders reading hinders a replay too.
      if (!verified.ok()) Damage(0, std::string(ToStd(verified.message())));
    }
    co_return std::move(damage_);
  }

 private:
  Task<absl::Status> VerifyFile(JournalMark from) {
    STELE_CO_TRY_OK(co_await spend_(kBlock));
    STELE_CO_TRY(const std::unique_ptr<File> file,
                 co_await files_->Open(path_, {.sync = OpenOptions::Sync::kEachWrite}));
    STELE_CO_TRY(const Buffer head, co_await file->ReadAt(0, kJournalHeaderSizeBytes));
    const absl::StatusOr<JournalFileHeader> header = ParseJournalFileHeader(head.view());
    if (!header.ok() || !header->stream.has_value() ||
        header->stream->stream_uuid != range_.stream.uuid ||
        header->stream->file_id != from.file_id) {
      Damage(0, "the header is lost");
      co_return absl::OkStatus();
    }
    auto place = static_cast<uint64_t>(from.offset_bytes);
    if (place > kBlock && !expected_.has_value()) {
      STELE_CO_TRY(const Buffer before, co_await file->ReadAt(place - kBlock, kBlock));
      const std::optional<BatchFooter> footer = ParseBatchFooter(before.view(), place);
      if (footer.has_value()) expected_ = footer->sequence + 1;
    }
    co_return co_await VerifyBatches(file.get(), *header->stream, place);
  }

  // To the end of the range, or of what the file has: the next file's first batch tells whether
  // something was missing there. Behind the end are zeroes, or what a reused file held before.
  Task<absl::Status> VerifyBatches(File* file, StreamHeader header, uint64_t place) {
    BatchReader reader(
        file,
        {.stream_uuid = range_.stream.uuid, .file_id = header.file_id, .start_offset = place});
    const bool is_last = header.file_id == range_.to.file_id;
    const auto end = static_cast<uint64_t>(range_.to.offset_bytes);
    while (!is_last || place < end) {
      STELE_CO_TRY(const std::optional<FoundBatch> found, co_await reader.Next());
      const bool ends_here = !reader.saw_garbage() || header.is_reused;
      if (!found.has_value() && !is_last && ends_here) co_return absl::OkStatus();
      if (!found.has_value() || !found->is_intact || found->footer.start_offset != place ||
          found->footer.sequence != expected_.value_or(found->footer.sequence)) {
        Damage(place, "a batch that was acknowledged is damaged or missing");
        co_return absl::OkStatus();
      }
      expected_ = found->footer.sequence + 1;
      STELE_CO_TRY_OK(co_await spend_(found->end_offset - place));
      place = found->end_offset;
    }
    co_return absl::OkStatus();
  }

  void Damage(uint64_t offset, std::string what) {
    damage_ = {path_, static_cast<int64_t>(offset), std::move(what)};
  }

  FileSystem* const files_;
  const JournalRange range_;
  SpendBytes spend_;
  std::string path_;                  // of the file that is read
  std::optional<uint64_t> expected_;  // the sequence of the next batch
  std::optional<JournalDamage> damage_;
};

}  // namespace

Task<absl::StatusOr<std::optional<JournalDamage>>> VerifyJournal(FileSystem* files,
                                                                 JournalRange range,
                                                                 SpendBytes spend) {
  Verification verification(files, std::move(range), std::move(spend));
  co_return co_await verification.Run();
}

}  // namespace stele::bookie
