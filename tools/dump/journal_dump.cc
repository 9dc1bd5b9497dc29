#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "bookie/journal/batch_reader.h"
#include "bookie/journal/journal_format.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "tools/dump/dump.h"

namespace stele::dump {
namespace {

using bookie::JournalRecord;
using bookie::RecordScan;

constexpr size_t kWindowBytes = 4 << 20;
constexpr uint64_t kRecordSizeMaxBytes = 64 << 20;  // also of bookies with a raised frame limit
constexpr size_t kPayloadShownBytes = 32;

std::string_view NameOf(JournalRecord::Kind kind) {
  switch (kind) {
    case JournalRecord::Kind::kEntry: return "entry";
    case JournalRecord::Kind::kMasterKey: return "master-key";
    case JournalRecord::Kind::kFence: return "fence";
    case JournalRecord::Kind::kExplicitLac: return "explicit-lac";
    case JournalRecord::Kind::kUnknown: return "unknown";
  }
  return "unknown";
}

class JournalDump {
 public:
  JournalDump(File* file, uint64_t size, DumpOptions options, Emit emit)
      : file_(file), size_(size), options_(std::move(options)), emit_(std::move(emit)) {}

  Task<absl::StatusOr<int64_t>> Run() {
    STELE_CO_TRY(const Buffer head, co_await file_->ReadAt(0, bookie::kJournalHeaderSizeBytes));
    STELE_CO_TRY(const bookie::JournalFileHeader header,
                 bookie::ParseJournalFileHeader(head.view()));
    EmitHeader(header);
    if (header.stream.has_value() && header.stream->is_reused) {
      co_return co_await RunBatches(*header.stream);
    }
    position_ = header.first_record_offset;
    for (;;) {
      STELE_CO_TRY(const Buffer window, co_await file_->ReadAt(position_, window_bytes_));
      Walk(window, header.version);
      if (done_) co_return damages_;
    }
  }

 private:
  // Of a file that was written again: what lies behind its own batches is older.
  Task<absl::StatusOr<int64_t>> RunBatches(bookie::StreamHeader stream) {
    bookie::BatchReader reader(file_, {.stream_uuid = stream.stream_uuid,
                                       .file_id = stream.file_id,
                                       .batch_size_max_bytes = stream.batch_size_max_bytes});
    position_ = bookie::kJournalBlockSizeBytes;
    for (;;) {
      STELE_CO_TRY(const std::optional<bookie::FoundBatch> found, co_await reader.Next());
      if (!found.has_value()) break;
      position_ = found->footer.start_offset;
      if (found->is_intact) {
        WalkBatch(found->records.view());
      } else {
        EmitDamage("the batch is damaged");
      }
      position_ = found->end_offset;
    }
    Finish("end of the last batch: what follows is what the file held before");
    co_return damages_;
  }

  void WalkBatch(std::string_view rest) {
    while (!rest.empty()) {
      const RecordScan scan =
          bookie::ScanRecord(rest, bookie::kReusedJournalVersion, kRecordSizeMaxBytes);
      if (scan.kind != RecordScan::Kind::kRecord) return EmitDamage("the records are damaged");
      EmitRecord(scan.body);
      position_ += scan.size_bytes;
      rest.remove_prefix(scan.size_bytes);
    }
  }

  // Walks the records that lie wholly in the window.
  void Walk(const Buffer& window, int version) {
    std::string_view bytes = window.view();
    while (true) {
      const RecordScan scan = bookie::ScanRecord(bytes, version, kRecordSizeMaxBytes);
      const bool whole = scan.size_bytes <= bytes.size();
      switch (scan.kind) {
        case RecordScan::Kind::kRecord: EmitRecord(scan.body); break;
        case RecordScan::Kind::kPadding: break;
        case RecordScan::Kind::kEnd: return Finish("end of records: the rest is not written");
        case RecordScan::Kind::kNeedMore: return NeedMore(scan, bytes.size());
        case RecordScan::Kind::kBad: ++damages_; return Finish(scan.why);
      }
      const uint64_t step = scan.size_bytes;
      position_ += step;
      if (!whole || position_ >= size_) {
        if (position_ >= size_) Finish("end of file");
        return;
      }
      bytes.remove_prefix(step);
    }
  }

  void NeedMore(const RecordScan& scan, size_t have) {
    if (position_ + have >= size_)
      return Finish(have == 0 ? "end of file" : "a record is cut off by the end");
    window_bytes_ = std::max<size_t>(kWindowBytes, scan.size_bytes);
  }

  void Finish(std::string_view why) {
    done_ = true;
    emit_(shell::Record()
              .Set("offset", static_cast<int64_t>(position_))
              .Set("kind", std::string("end"))
              .Set("note", std::string(why)));
  }

  void EmitHeader(const bookie::JournalFileHeader& header) {
    shell::Record record;
    record.Set("offset", int64_t{0})
        .Set("kind", std::string("header"))
        .Set("version", int64_t{header.version})
        .Set("written_by", std::string(header.stream.has_value() ? "stele" : "java"));
    if (header.stream.has_value()) {
      record.Set("file_id", header.stream->file_id)
          .Set("previous_file_id", header.stream->previous_file_id);
    }
    emit_(record);
  }

  void EmitDamage(std::string_view note) {
    ++damages_;
    emit_(shell::Record()
              .Set("offset", static_cast<int64_t>(position_))
              .Set("kind", std::string("damaged"))
              .Set("note", std::string(note)));
  }

  void EmitRecord(std::string_view body) {
    const auto parsed = bookie::ParseJournalRecord(body);
    shell::Record record;
    record.Set("offset", static_cast<int64_t>(position_));
    if (!parsed.ok()) return EmitDamage(ToStd(parsed.status().message()));
    if (options_.ledger.has_value() && parsed->ledger != *options_.ledger) return;
    record.Set("kind", std::string(NameOf(parsed->kind))).Set("ledger", parsed->ledger.value());
    if (parsed->kind == JournalRecord::Kind::kEntry) {
      record.Set("entry", parsed->entry.value())
          .Set("size_bytes", static_cast<int64_t>(body.size()));
      if (body.size() >= 24) record.Set("lac", LoadBigEndian<int64_t>(body.data() + 16));
      if (options_.payload) {
        record.Set("packet", absl::BytesToHexString(ToAbsl(body.substr(0, kPayloadShownBytes))));
      }
    }
    emit_(record);
  }

  File* file_;
  uint64_t size_;
  DumpOptions options_;
  Emit emit_;
  uint64_t position_ = 0;
  size_t window_bytes_ = kWindowBytes;
  int64_t damages_ = 0;
  bool done_ = false;
};

}  // namespace

Task<absl::StatusOr<int64_t>> DumpJournal(Env env, DumpOptions options, Emit emit) {
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await env.files->Open(options.path, {}));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  JournalDump dump(file.get(), size, std::move(options), std::move(emit));
  co_return co_await dump.Run();
}

}  // namespace stele::dump
