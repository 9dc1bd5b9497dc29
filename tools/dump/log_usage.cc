#include "tools/dump/log_usage.h"

#include <memory>

#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/entry_log_scanner.h"
#include "common/base/try.h"
#include "tools/dump/entry_log_limits.h"

namespace stele::dump {

Task<absl::StatusOr<LogUsage>> ReadLogUsage(Env env, std::string path) {
  using Step = bookie::EntryLogScanner::Step;
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await env.files->Open(std::move(path), {}));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  STELE_CO_TRY(const Buffer start, co_await file->ReadAt(0, bookie::kEntryLogHeaderSize));
  STELE_CO_TRY_OK(bookie::ParseEntryLogHeader(start.view()).status());
  bookie::EntryLogScanner scanner(size, kRecordSizeMaxBytes);
  LogUsage usage;
  Buffer window;
  uint64_t window_offset = 0;
  for (;;) {
    const Step step = scanner.Next(window_offset, window.view());
    if (step == Step::kEnd) break;
    if (step == Step::kNeedBytes) {
      window_offset = scanner.position();
      STELE_CO_TRY(window, co_await file->ReadAt(window_offset, kWindowBytes));
      continue;
    }
    if (step == Step::kCandidate) continue;
    LogUsage::Share& share = usage.ledgers[scanner.record().ledger];
    ++share.entries;
    share.bytes += scanner.record().size_bytes + int64_t{bookie::kRecordSizeFieldBytes};
  }
  usage.damages = scanner.summary().damages;
  co_return usage;
}

}  // namespace stele::dump
