#include "bookie/storage/log_ledgers.h"

#include <utility>

#include "absl/container/btree_map.h"
#include "bookie/storage/entry_log_reader.h"
#include "common/base/buffer.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

using LedgerSizes = absl::btree_map<LedgerId, int64_t>;

std::vector<LedgerBytes> ToVector(const LedgerSizes& sizes) {
  std::vector<LedgerBytes> ledgers;
  ledgers.reserve(sizes.size());
  for (const auto& [ledger, bytes] : sizes) ledgers.push_back({ledger, bytes});
  return ledgers;
}

// nullopt: the log has no map that can be believed.
Task<absl::StatusOr<std::optional<LedgerSizes>>> ReadMap(File* file, uint64_t size) {
  STELE_CO_TRY(const Buffer start, co_await file->ReadAt(0, kEntryLogHeaderSize));
  const absl::StatusOr<EntryLogHeader> header = ParseEntryLogHeader(start.view());
  if (!header.ok() || header->version < 1 || header->ledgers_count <= 0 ||
      header->ledgers_count > kLedgersInLogMax ||
      header->ledgers_map_offset < static_cast<int64_t>(kEntryLogHeaderSize) ||
      header->ledgers_map_offset >= static_cast<int64_t>(size)) {
    co_return std::nullopt;
  }
  LedgerSizes sizes;
  uint64_t offset = static_cast<uint64_t>(header->ledgers_map_offset);
  while (sizes.size() < static_cast<size_t>(header->ledgers_count)) {
    STELE_CO_TRY(const Buffer head, co_await file->ReadAt(offset, kMapRecordHeadBytes));
    if (head.size() < kMapRecordHeadBytes) co_return std::nullopt;
    const absl::StatusOr<size_t> record_size = ParseMapRecordSize(head.view());
    if (!record_size.ok()) co_return std::nullopt;
    STELE_CO_TRY(const Buffer record, co_await file->ReadAt(offset, *record_size));
    const absl::StatusOr<std::vector<LedgerBytes>> entries = ParseMapRecord(record.view());
    if (!entries.ok()) co_return std::nullopt;
    for (const LedgerBytes& entry : *entries) {
      if (!sizes.try_emplace(entry.ledger, entry.bytes).second) co_return std::nullopt;
    }
    offset += *record_size;
  }
  if (sizes.size() != static_cast<size_t>(header->ledgers_count)) co_return std::nullopt;
  // More of the map behind the counted part: the count is wrong.
  STELE_CO_TRY(const Buffer behind, co_await file->ReadAt(offset, kMapRecordHeadBytes));
  if (behind.size() == kMapRecordHeadBytes && ParseMapRecordSize(behind.view()).ok()) {
    co_return std::nullopt;
  }
  co_return sizes;
}

}  // namespace

Task<absl::StatusOr<LogLedgers>> ReadLogLedgers(File* file, uint32_t entry_size_max_bytes,
                                                absl::FunctionRef<bool(LedgerId)> may_hide) {
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  STELE_CO_TRY(const std::optional<LedgerSizes> map, co_await ReadMap(file, size));
  if (map.has_value()) co_return LogLedgers{.ledgers = ToVector(*map), .complete = true};
  EntryLogReader reader(file, size, entry_size_max_bytes);
  LedgerSizes sizes;
  // A file without a whole header was cut by something that may have cut records too.
  bool complete = size == 0 || size >= kEntryLogHeaderSize;
  for (;;) {
    switch (reader.Next()) {
      case EntryLogScanner::Step::kNeedBytes: STELE_CO_TRY_OK(co_await reader.Fill()); break;
      case EntryLogScanner::Step::kCandidate:
        complete = complete && !may_hide(reader.record().ledger);
        break;
      case EntryLogScanner::Step::kRecord:
        sizes[reader.record().ledger] +=
            int64_t{reader.record().size_bytes} + static_cast<int64_t>(kRecordSizeFieldBytes);
        if (sizes.size() > static_cast<size_t>(kLedgersInLogMax)) co_return LogLedgers{};
        break;
      case EntryLogScanner::Step::kEnd:
        complete = complete && reader.summary().damages == 0;
        co_return LogLedgers{.ledgers = ToVector(sizes), .complete = complete};
    }
  }
}

}  // namespace stele::bookie
