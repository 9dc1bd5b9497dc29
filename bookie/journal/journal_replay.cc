#include "bookie/journal/journal_replay.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "bookie/journal/batch_reader.h"
#include "bookie/journal/java_journal_reader.h"
#include "bookie/journal/journal_files.h"
#include "bookie/journal/journal_format.h"
#include "bookie/journal/stream_judge.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr uint64_t kBlock = kJournalBlockSizeBytes;
// Stands for the previous file's id where the header that named it is lost.
constexpr int64_t kUnknownFile = -1;

// One file of the directory, as far as its head tells.
struct Candidate {
  int64_t id = 0;
  std::string path;
  uint64_t size_bytes = 0;
  uint64_t start_offset = 0;  // of the first record or batch to be replayed
  JournalFileHeader header;
  bool is_unreadable = false;  // its head is damaged beyond use, and that was reported
};

class Replay {
 public:
  Replay(Env env, ReplayOptions options, ReplayRecord record)
      : env_(env), options_(std::move(options)), record_(std::move(record)) {}

  Task<absl::StatusOr<ReplayReport>> Run() {
    report_.end = options_.mark;
    STELE_CO_TRY_OK(co_await Collect());
    for (size_t at = 0; at < files_.size();) {
      const size_t first = at++;
      if (files_[first].is_unreadable) continue;
      if (!files_[first].header.stream.has_value()) {
        STELE_CO_TRY_OK(co_await ReplayJavaFile(files_[first]));
        continue;
      }
      while (at < files_.size() && IsOfStream(files_[at], *files_[first].header.stream)) ++at;
      STELE_CO_TRY_OK(co_await ReplayStream(first, at));
    }
    report_.files = static_cast<int64_t>(files_.size());
    co_return std::move(report_);
  }

 private:
  // ---- Which files ------------------------------------------------------------------------------

  // What is read must stay: a process that was killed may have left names and bytes that a power
  // cut could still take back, after the mark has moved behind them. So everything is synced before
  // it is looked at.
  Task<absl::Status> Collect() {
    STELE_CO_TRY_OK(co_await env_.files->SyncDirectory(options_.directory));
    STELE_CO_TRY(std::vector<int64_t> ids,
                 co_await ListJournalFiles(env_.files, options_.directory));
    ids.erase(ids.begin(), std::lower_bound(ids.begin(), ids.end(), options_.mark.file_id));
    if (options_.mark.file_id > 0 && (ids.empty() || ids.front() != options_.mark.file_id)) {
      STELE_CO_TRY_OK(
          Damage(PathOf(options_.mark.file_id), 0, "the file that the mark names is missing"));
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      if (i > 0 && ids[i] != ids[i - 1] + 1) {
        STELE_CO_TRY_OK(Damage(PathOf(ids[i - 1] + 1), 0, "a file is missing in the sequence"));
      }
      STELE_CO_TRY(Candidate file, co_await Examine(ids[i], ids.back()));
      STELE_CO_TRY_OK(CheckChain(files_.empty() ? nullptr : &files_.back(), file));
      files_.push_back(std::move(file));
    }
    co_return absl::OkStatus();
  }

  //   last   id of the last file
  Task<absl::StatusOr<Candidate>> Examine(int64_t id, int64_t last) {
    Candidate result{.id = id, .path = PathOf(id)};
    STELE_CO_TRY(const std::unique_ptr<File> file,
                 co_await env_.files->Open(result.path, OpenOptions{}));
    STELE_CO_TRY_OK(co_await file->Sync());
    STELE_CO_TRY(result.size_bytes, co_await file->Size());
    STELE_CO_TRY(const Buffer head, co_await file->ReadAt(0, kJournalHeaderSizeBytes));
    absl::StatusOr<JournalFileHeader> header = ParseJournalFileHeader(head.view());
    const bool is_foreign =
        header.ok() && header->stream.has_value() && header->stream->file_id != id;
    // A head that was never written, or is lost, looks like version 1, or, in a file that is
    // written again, like that of its former life. Footers tell.
    if (!header.ok() || header->version == 1 || is_foreign) {
      BatchReader reader(file.get(), {.file_id = id});
      STELE_CO_TRY(const std::optional<FoundBatch> found, co_await reader.Next());
      if (is_foreign && !found.has_value() && id == last &&
          header->stream->file_id < options_.mark.file_id && id != options_.mark.file_id) {
        // Prepared, and never written to.
        Note(StrCat(result.path, ": the header belongs to ",
                    JournalFileName(header->stream->file_id), ", and no batch to this file"));
        result.is_unreadable = true;
        co_return result;
      }
      if (!header.ok() || found.has_value() || is_foreign) {
        std::string what = "the header is lost";
        if (!header.ok()) what = ToStd(header.status().message());
        if (is_foreign) {
          what = StrCat("the header belongs to ", JournalFileName(header->stream->file_id));
        }
        STELE_CO_TRY_OK(Damage(result.path, 0, what));
        result.is_unreadable = !found.has_value();
        if (result.is_unreadable) co_return result;
        header =
            JournalFileHeader{.version = kJournalVersion,
                              .first_record_offset = kJournalHeaderSizeBytes,
                              .stream = StreamHeader{.stream_uuid = found->footer.stream_uuid,
                                                     .batch_size_max_bytes = kBatchSizeLimitBytes,
                                                     .file_id = id,
                                                     .previous_file_id = kUnknownFile}};
      }
    }
    result.header = *header;
    const uint64_t marked =
        id == options_.mark.file_id
            ? static_cast<uint64_t>(std::max<int64_t>(options_.mark.offset_bytes, 0))
            : 0;
    result.start_offset = header->stream.has_value()
                              // Java leaves its mark up to four bytes behind the end of a batch.
                              ? std::max(marked / kBlock * kBlock, kBlock)
                              : std::max(marked, header->first_record_offset);
    co_return result;
  }

  // A file continues the stream of the file before it, or begins its own.
  absl::Status CheckChain(const Candidate* previous, const Candidate& file) {
    // Of a missing or unreadable neighbour enough was said already.
    if (previous == nullptr || previous->id != file.id - 1 || previous->is_unreadable ||
        file.is_unreadable || !file.header.stream.has_value()) {
      return absl::OkStatus();
    }
    const int64_t named = file.header.stream->previous_file_id;
    if (named == kUnknownFile) return absl::OkStatus();
    const int64_t right = IsOfStream(*previous, *file.header.stream) ? previous->id : 0;
    if (named == right) return absl::OkStatus();
    return Damage(file.path, 0, "the file does not belong behind the one before it");
  }

  static bool IsOfStream(const Candidate& file, const StreamHeader& stream) {
    return !file.is_unreadable && file.header.stream.has_value() &&
           file.header.stream->stream_uuid == stream.stream_uuid;
  }

  // ---- Java's files -----------------------------------------------------------------------------

  Task<absl::Status> ReplayJavaFile(Candidate candidate) {
    report_.java_files.push_back(candidate.path);
    STELE_CO_TRY(const std::unique_ptr<File> file,
                 co_await env_.files->Open(candidate.path, OpenOptions{}));
    JavaJournalReader reader(file.get(),
                             {.version = candidate.header.version,
                              .size_bytes = candidate.size_bytes,
                              .offset = std::min(candidate.start_offset, candidate.size_bytes),
                              .record_size_max_bytes = options_.record_size_max_bytes});
    for (;;) {
      const absl::StatusOr<std::optional<Buffer>> body = co_await reader.Next();
      if (CodeOf(body.status()) == ErrorCode::kCorruptData) {
        STELE_CO_TRY_OK(Damage(candidate.path, reader.offset(), ToStd(body.status().message())));
        break;
      }
      if (!body.ok()) co_return WithContext(body.status(), candidate.path);
      if (!body->has_value()) {
        STELE_CO_TRY(const std::optional<uint64_t> behind, co_await reader.FindDataBehindEnd());
        if (behind.has_value()) {
          Note(StrCat(candidate.path, ": the records end at offset ", reader.offset(),
                      ", but there is data at offset ", *behind));
        }
        break;
      }
      STELE_CO_TRY_OK(co_await Deliver((*body)->view()));
    }
    SetEnd(candidate.id, reader.offset());
    co_return absl::OkStatus();
  }

  // ---- Stele's streams --------------------------------------------------------------------------

  struct Position {
    size_t file = 0;  // in files_
    uint64_t offset = 0;
  };

  // How far a pass through a stream came.
  struct Pass {
    Position good;                      // the end of what was replayed
    bool has_hole = false;              // something lies behind that is not a good batch
    std::optional<Position> proof;      // the batch that says that it was acknowledged
    std::optional<Position> resume;     // the first intact batch behind the hole
    std::optional<uint64_t> resume_at;  // its sequence
  };

  // Replays files [first, last), which are of one stream.
  Task<absl::Status> ReplayStream(size_t first, size_t last) {
    Position from{first, files_[first].start_offset};
    STELE_CO_TRY(std::optional<uint64_t> expected, co_await FirstSequence(files_[first]));
    for (;;) {
      STELE_CO_TRY(const Pass pass, co_await ReplayFrom(from, last, expected));
      const Candidate& file = files_[pass.good.file];
      SetEnd(file.id, pass.good.offset);
      if (!pass.proof.has_value()) {
        if (pass.has_hole) {
          STELE_SOMETIMES(kReplayTornTail, true);
          ++report_.torn_tails;
          Note(StrCat(file.path, ": a torn tail at offset ", pass.good.offset,
                      "; it was never acknowledged"));
        }
        co_return absl::OkStatus();
      }
      STELE_CO_TRY_OK(
          Damage(file.path, pass.good.offset,
                 StrCat("what follows is damaged or missing, and it was acknowledged, "
                        "as the batch at offset ",
                        pass.proof->offset, " of ", files_[pass.proof->file].path, " proves")));
      if (!pass.resume.has_value()) co_return absl::OkStatus();
      from = *pass.resume;
      expected = pass.resume_at;
    }
  }

  // The sequence of the first batch, by the file's place in the stream or by the batch before it.
  Task<absl::StatusOr<std::optional<uint64_t>>> FirstSequence(Candidate candidate) {
    const StreamHeader& stream = *candidate.header.stream;
    if (candidate.start_offset == kBlock) {
      if (stream.previous_file_id == 0) co_return 1;
      co_return std::nullopt;
    }
    STELE_CO_TRY(const std::unique_ptr<File> file,
                 co_await env_.files->Open(candidate.path, OpenOptions{}));
    STELE_CO_TRY(const Buffer before,
                 co_await file->ReadAt(candidate.start_offset - kBlock, kBlock));
    const std::optional<BatchFooter> footer =
        ParseBatchFooter(before.view(), candidate.start_offset);
    if (!footer.has_value() || footer->stream_uuid != stream.stream_uuid ||
        footer->file_id != candidate.id) {
      co_return std::nullopt;
    }
    co_return footer->sequence + 1;
  }

  // One pass: to the end of the stream, or until a hole is known to be damage and a batch to go on
  // with is known too.
  Task<absl::StatusOr<Pass>> ReplayFrom(Position from, size_t last,
                                        std::optional<uint64_t> expected) {
    StreamJudge judge(expected);
    Pass pass{.good = from};
    for (size_t at = from.file; at < last; ++at) {
      STELE_CO_TRY(const std::unique_ptr<File> file,
                   co_await env_.files->Open(files_[at].path, OpenOptions{}));
      const StreamHeader& stream = *files_[at].header.stream;
      uint64_t place = at == from.file ? from.offset : kBlock;
      BatchReader reader(file.get(), {.stream_uuid = stream.stream_uuid,
                                      .file_id = files_[at].id,
                                      .batch_size_max_bytes = stream.batch_size_max_bytes,
                                      .start_offset = place});
      for (;;) {
        STELE_CO_TRY(const std::optional<FoundBatch> found, co_await reader.Next());
        if (!found.has_value()) break;
        // In a later file it is contiguous only with a batch that is known.
        const bool is_contiguous = found->footer.start_offset == place &&
                                   (at == from.file || judge.expected().has_value());
        switch (judge.Judge(found->footer, found->is_intact, is_contiguous)) {
          case StreamJudge::Verdict::kGood:
            STELE_CO_TRY_OK(co_await DeliverBatch(*found, at));
            place = found->end_offset;
            pass.good = {at, place};
            pass.has_hole = false;
            break;
          case StreamJudge::Verdict::kStale: pass.has_hole = true; break;
          case StreamJudge::Verdict::kProof:
            if (!pass.proof.has_value()) pass.proof = Position{at, found->footer.start_offset};
            [[fallthrough]];
          case StreamJudge::Verdict::kBehindHole:
            pass.has_hole = true;
            if (found->is_intact && !pass.resume.has_value()) {
              pass.resume = Position{at, found->footer.start_offset};
              pass.resume_at = found->footer.sequence;
            }
            if (pass.proof.has_value() && pass.resume.has_value()) co_return pass;
            break;
        }
      }
      // In a reused file that is what it held before.
      pass.has_hole = pass.has_hole || (reader.saw_garbage() && !stream.is_reused);
    }
    co_return pass;
  }

  Task<absl::Status> DeliverBatch(FoundBatch batch, size_t file) {
    std::string_view rest = batch.records.view();
    uint32_t count = 0;
    while (!rest.empty()) {
      const RecordScan scan = ScanRecord(rest, kJournalVersion, rest.size());
      if (scan.kind != RecordScan::Kind::kRecord) break;
      STELE_CO_TRY_OK(co_await Deliver(scan.body));
      rest.remove_prefix(scan.size_bytes);
      ++count;
    }
    if (rest.empty() && count == batch.footer.record_count) co_return absl::OkStatus();
    co_return MakeError(ErrorCode::kCorruptData,
                        StrCat(files_[file].path, " at offset ", batch.footer.start_offset,
                               ": the batch is intact but its records are not"));
  }

  // ---- The report -------------------------------------------------------------------------------

  Task<absl::Status> Deliver(std::string_view body) {
    ++report_.records;
    report_.bytes += static_cast<int64_t>(kRecordLengthSizeBytes + body.size());
    co_return co_await record_(Buffer::CopyOf(body));
  }

  absl::Status Damage(std::string_view path, uint64_t offset, std::string_view what) {
    if (options_.on_damage == ReplayOptions::OnDamage::kStop) {
      return MakeError(ErrorCode::kCorruptData, StrCat(path, " at offset ", offset, ": ", what));
    }
    report_.damage.push_back({std::string(path), static_cast<int64_t>(offset), std::string(what)});
    return absl::OkStatus();
  }

  void Note(std::string text) { report_.notes.push_back(std::move(text)); }

  // The mark that replay started from is never taken back.
  void SetEnd(int64_t file_id, uint64_t offset) {
    report_.end = std::max(report_.end, JournalMark{file_id, static_cast<int64_t>(offset)});
  }

  std::string PathOf(int64_t id) const {
    return StrCat(options_.directory, "/", JournalFileName(id));
  }

  const Env env_;
  const ReplayOptions options_;
  ReplayRecord record_;
  ReplayReport report_;
  std::vector<Candidate> files_;
};

}  // namespace

Task<absl::StatusOr<ReplayReport>> ReplayJournal(Env env, ReplayOptions options,
                                                 ReplayRecord record) {
  Replay replay(env, std::move(options), std::move(record));
  co_return co_await replay.Run();
}

}  // namespace stele::bookie
