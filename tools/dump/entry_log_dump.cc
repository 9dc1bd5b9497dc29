#include <utility>

#include "absl/strings/escaping.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/entry_log_scanner.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "tools/dump/dump.h"
#include "tools/dump/entry_log_limits.h"

namespace stele::dump {
namespace {

constexpr size_t kPacketShownBytes = 32;

}  // namespace

Task<absl::StatusOr<int64_t>> DumpEntryLog(Env env, DumpOptions options, Emit emit) {
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await env.files->Open(options.path, {}));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  STELE_CO_TRY(const Buffer start, co_await file->ReadAt(0, bookie::kEntryLogHeaderSize));
  STELE_CO_TRY(const bookie::EntryLogHeader header, bookie::ParseEntryLogHeader(start.view()));
  emit(shell::Record()
           .Set("offset", int64_t{0})
           .Set("kind", std::string("header"))
           .Set("version", int64_t{header.version})
           .Set("sealed", header.ledgers_map_offset > 0)
           .Set("ledgers_map_offset", header.ledgers_map_offset)
           .Set("ledgers", int64_t{header.ledgers_count}));
  bookie::EntryLogScanner scanner(size, kRecordSizeMaxBytes);
  Buffer window;
  uint64_t window_offset = 0;
  for (;;) {
    const auto step = scanner.Next(window_offset, window.view());
    if (step == bookie::EntryLogScanner::Step::kEnd) break;
    if (step == bookie::EntryLogScanner::Step::kNeedBytes) {
      window_offset = scanner.position();
      STELE_CO_TRY(window, co_await file->ReadAt(window_offset, kWindowBytes));
      continue;
    }
    const bookie::ScannedRecord& found = scanner.record();
    if (options.ledger.has_value() && found.ledger != *options.ledger) continue;
    const bool candidate = step == bookie::EntryLogScanner::Step::kCandidate;
    shell::Record record;
    record.Set("offset", static_cast<int64_t>(found.offset))
        .Set("kind", std::string(candidate ? "candidate" : "entry"))
        .Set("ledger", found.ledger.value())
        .Set("entry", found.entry.value())
        .Set("size_bytes", int64_t{found.size_bytes});
    if (options.payload) {
      STELE_CO_TRY(
          const Buffer packet,
          co_await file->ReadAt(found.offset + bookie::kRecordSizeFieldBytes, kPacketShownBytes));
      record.Set("packet", absl::BytesToHexString(ToAbsl(packet.view())));
    }
    emit(record);
  }
  const bookie::ScanSummary& summary = scanner.summary();
  emit(shell::Record()
           .Set("offset", static_cast<int64_t>(size))
           .Set("kind", std::string("end"))
           .Set("records", summary.records)
           .Set("damages", summary.damages)
           .Set("torn_tail_bytes", static_cast<int64_t>(summary.torn_tail_bytes)));
  co_return summary.damages;
}

}  // namespace stele::dump
