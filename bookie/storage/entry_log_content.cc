#include "bookie/storage/entry_log_content.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/entry_log_scanner.h"
#include "common/base/buffer.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

using Verdict = LogContent::Verdict;

constexpr size_t kScanWindowBytes = 1 << 20;

// nullopt: the log has no map that can be believed.
Task<absl::StatusOr<std::optional<LogContent>>> AskMap(File* file, uint64_t size,
                                                       absl::FunctionRef<bool(LedgerId)> is_known) {
  STELE_CO_TRY(const Buffer start, co_await file->ReadAt(0, kEntryLogHeaderSize));
  const absl::StatusOr<EntryLogHeader> header = ParseEntryLogHeader(start.view());
  if (!header.ok() || header->version < 1 || header->ledgers_count <= 0 ||
      header->ledgers_count > kLedgersInMapMax ||
      header->ledgers_map_offset < static_cast<int64_t>(kEntryLogHeaderSize) ||
      header->ledgers_map_offset >= static_cast<int64_t>(size)) {
    co_return std::nullopt;
  }
  absl::btree_set<LedgerId> ledgers;
  uint64_t offset = static_cast<uint64_t>(header->ledgers_map_offset);
  while (ledgers.size() < static_cast<size_t>(header->ledgers_count)) {
    STELE_CO_TRY(const Buffer head, co_await file->ReadAt(offset, kMapRecordHeadBytes));
    if (head.size() < kMapRecordHeadBytes) co_return std::nullopt;
    const absl::StatusOr<size_t> record_size = ParseMapRecordSize(head.view());
    if (!record_size.ok()) co_return std::nullopt;
    STELE_CO_TRY(const Buffer record, co_await file->ReadAt(offset, *record_size));
    const absl::StatusOr<std::vector<LedgerBytes>> entries = ParseMapRecord(record.view());
    if (!entries.ok()) co_return std::nullopt;
    for (const LedgerBytes& entry : *entries) {
      // A ledger that comes twice makes the map worthless, unless it lives.
      if (is_known(entry.ledger)) {
        co_return LogContent{.verdict = Verdict::kLive, .known_ledger = entry.ledger};
      }
      if (!ledgers.insert(entry.ledger).second) co_return std::nullopt;
    }
    offset += *record_size;
  }
  if (ledgers.size() != static_cast<size_t>(header->ledgers_count)) co_return std::nullopt;
  // More of the map behind the counted part: the count is wrong.
  STELE_CO_TRY(const Buffer behind, co_await file->ReadAt(offset, kMapRecordHeadBytes));
  if (behind.size() == kMapRecordHeadBytes && ParseMapRecordSize(behind.view()).ok()) {
    co_return std::nullopt;
  }
  co_return LogContent{.verdict = Verdict::kStray, .ledgers = std::move(ledgers)};
}

}  // namespace

Task<absl::StatusOr<LogContent>> ReadLogContent(File* file, uint32_t entry_size_max_bytes,
                                                absl::FunctionRef<bool(LedgerId)> is_known) {
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  STELE_CO_TRY(const std::optional<LogContent> by_map, co_await AskMap(file, size, is_known));
  if (by_map.has_value()) co_return *by_map;
  EntryLogScanner scanner(size, entry_size_max_bytes);
  absl::btree_set<LedgerId> ledgers;
  Buffer window;
  uint64_t window_offset = 0;
  for (;;) {
    switch (scanner.Next(window_offset, window.view())) {
      case EntryLogScanner::Step::kNeedBytes: {
        window_offset = scanner.position();
        STELE_CO_TRY(window, co_await file->ReadAt(window_offset, kScanWindowBytes));
        if (window.size() < kRecordHeadBytes && window_offset + window.size() < size) {
          co_return LogContent{};  // it was cut while we read
        }
        break;
      }
      // Behind damage anything that looks like a record of a ledger that exists counts.
      case EntryLogScanner::Step::kCandidate:
      case EntryLogScanner::Step::kRecord:
        if (is_known(scanner.record().ledger)) {
          co_return LogContent{.verdict = Verdict::kLive, .known_ledger = scanner.record().ledger};
        }
        ledgers.insert(scanner.record().ledger);
        if (ledgers.size() > static_cast<size_t>(kLedgersInMapMax)) co_return LogContent{};
        break;
      case EntryLogScanner::Step::kEnd: {
        // A file without a whole header was cut by something that may have cut records too.
        const bool is_whole = size == 0 || size >= kEntryLogHeaderSize;
        const bool is_clear = is_whole && scanner.summary().damages == 0;
        if (!is_clear) co_return LogContent{};
        co_return LogContent{.verdict = Verdict::kStray, .ledgers = std::move(ledgers)};
      }
    }
  }
}

}  // namespace stele::bookie
