#include <algorithm>
#include <utility>

#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/extent_format.h"
#include "bookie/storage/index_format.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "tools/dump/dump.h"

namespace stele::dump {
namespace {

constexpr int64_t kLocationsPerRead = 128 * 1024;

shell::Record HeaderRecord(LedgerId ledger, const bookie::IndexHeader& header, int64_t slots) {
  shell::Record record;
  record.Set("kind", std::string("header"))
      .Set("ledger", ledger.value())
      .Set("master_key", header.master_key.has_value())
      .Set("fenced", (header.state_bits & bookie::kIndexStateFenced) != 0)
      .Set("uncertain", (header.state_bits & bookie::kIndexStateUncertain) != 0)
      .Set("slots", slots);
  if (header.claim.size_bytes > 0) {
    record.Set("claimed_bytes", static_cast<int64_t>(header.claim.size_bytes));
  }
  if (header.explicit_lac.size() >= 16) {
    record.Set("explicit_lac", LoadBigEndian<int64_t>(header.explicit_lac.data() + 8));
  }
  return record;
}

// Sectors that the file claims and that are zeroes; `locations` begin with that of entry `first`.
int64_t EmitLost(const bookie::IndexClaim& claim, int64_t first, std::string_view locations,
                 const Emit& emit) {
  int64_t lost = 0;
  for (int64_t sector = first / bookie::kLocationsPerSector; !locations.empty(); ++sector) {
    const std::string_view content = locations.substr(0, bookie::kIndexSectorSize);
    locations.remove_prefix(content.size());
    if (!claim.IsLost(sector, content)) continue;
    ++lost;
    emit(shell::Record()
             .Set("kind", std::string("lost"))
             .Set("entry", sector * bookie::kLocationsPerSector)
             .Set("note", std::string("here and in the 63 entries behind it: it was not empty")));
  }
  return lost;
}

shell::Record ExtentRecord(const bookie::ExtentBlock& block, size_t row) {
  bookie::ExtentCursor cursor = block.extent(row);
  shell::Record record;
  record.Set("kind", std::string("extent"))
      .Set("ledger", block.key(row).ledger.value())
      .Set("entry", cursor.entry())
      .Set("last_entry", block.last_entry(row))
      .Set("entry_log", bookie::EntryLogFileName(cursor.location().log()))
      .Set("offset", static_cast<int64_t>(cursor.location().record_offset()));
  int64_t entries = 1;
  while (cursor.Next()) ++entries;
  record.Set("entries", entries);
  return record;
}

shell::Record StateRecord(LedgerId ledger, const bookie::LedgerRow& row) {
  shell::Record record;
  record.Set("kind", std::string("state"))
      .Set("ledger", ledger.value())
      .Set("voids_older", (row.flags & bookie::kRowIsFresh) != 0)
      .Set("lost_some", (row.flags & bookie::kRowLostSome) != 0);
  if (!row.header.has_value()) return record;
  record.Set("master_key", row.header->master_key.has_value())
      .Set("fenced", (row.header->state_bits & bookie::kIndexStateFenced) != 0)
      .Set("uncertain", (row.header->state_bits & bookie::kIndexStateUncertain) != 0);
  if (row.header->explicit_lac.size() >= 16) {
    record.Set("explicit_lac", LoadBigEndian<int64_t>(row.header->explicit_lac.data() + 8));
  }
  return record;
}

shell::Record Damaged(uint64_t offset, std::string_view what) {
  return shell::Record()
      .Set("kind", std::string("damaged"))
      .Set("offset", static_cast<int64_t>(offset))
      .Set("note", std::string(what));
}

class ExtentRunDump {
 public:
  ExtentRunDump(File* file, std::optional<LedgerId> ledger, bookie::RunNumbers numbers, Emit emit)
      : file_(file), ledger_(ledger), numbers_(numbers), emit_(std::move(emit)) {}

  // Gives the number of damaged places.
  Task<absl::StatusOr<int64_t>> Run();

 private:
  // nullopt: the disk does not give them, and that is shown.
  Task<absl::StatusOr<std::optional<Buffer>>> Read(uint64_t offset, size_t size);
  Task<absl::Status> ReadFooter(uint64_t offset);
  Task<absl::Status> DumpTail(uint64_t size);
  Task<absl::Status> DumpBlock(uint32_t number);
  void OnDamage(uint64_t offset, const absl::Status& status) {
    ++damages_;
    emit_(Damaged(offset, ToStd(status.message())));
  }

  File* file_;
  const std::optional<LedgerId> ledger_;  // only of this one
  const bookie::RunNumbers numbers_;
  const Emit emit_;
  std::optional<bookie::ExtentRunFooter> footer_;
  int64_t damages_ = 0;
};

Task<absl::StatusOr<int64_t>> ExtentRunDump::Run() {
  STELE_CO_TRY(const uint64_t size, co_await file_->Size());
  STELE_CO_TRY_OK(co_await ReadFooter(0));
  STELE_CO_TRY_OK(co_await ReadFooter(size - std::min<uint64_t>(size, bookie::kExtentFooterBytes)));
  // Without a footer: whatever looks like a block.
  uint64_t blocks = size / bookie::kExtentBlockBytes;
  if (footer_.has_value()) blocks = std::min<uint64_t>(blocks, footer_->blocks);
  for (uint32_t number = 0; number < blocks; ++number) {
    STELE_CO_TRY_OK(co_await DumpBlock(number));
  }
  if (footer_.has_value()) STELE_CO_TRY_OK(co_await DumpTail(size));
  co_return damages_;
}

Task<absl::StatusOr<std::optional<Buffer>>> ExtentRunDump::Read(uint64_t offset, size_t size) {
  absl::StatusOr<Buffer> bytes = co_await file_->ReadAt(offset, size);
  if (CodeOf(bytes.status()) == ErrorCode::kIoError) {
    OnDamage(offset, bytes.status());
    co_return std::nullopt;
  }
  STELE_CO_TRY_OK(bytes.status());
  co_return *std::move(bytes);
}

Task<absl::Status> ExtentRunDump::ReadFooter(uint64_t offset) {
  STELE_CO_TRY(const std::optional<Buffer> bytes,
               co_await Read(offset, bookie::kExtentFooterBytes));
  if (!bytes.has_value()) co_return absl::OkStatus();
  const auto footer = bookie::ParseExtentFooter(bytes->view());
  if (CodeOf(footer.status()) == ErrorCode::kUnsupported) co_return footer.status();
  if (!footer.ok()) {
    OnDamage(offset, footer.status());
    co_return absl::OkStatus();
  }
  footer_ = *footer;
  emit_(shell::Record()
            .Set("kind", std::string("footer"))
            .Set("offset", static_cast<int64_t>(offset))
            .Set("first", static_cast<int64_t>(footer->numbers.first))
            .Set("last", static_cast<int64_t>(footer->numbers.last))
            .Set("blocks", static_cast<int64_t>(footer->blocks)));
  co_return absl::OkStatus();
}

// It says again what the blocks say: only whether it is good.
Task<absl::Status> ExtentRunDump::DumpTail(uint64_t size) {
  const uint64_t at = bookie::ExtentBlockOffset(footer_->blocks);
  if (bookie::ExtentRunBytes(*footer_) > size) {
    OnDamage(at, MakeError(ErrorCode::kCorruptData, "the file ends before its tail does"));
    co_return absl::OkStatus();
  }
  STELE_CO_TRY(const std::optional<Buffer> bytes, co_await Read(at, footer_->tail_bytes));
  if (!bytes.has_value()) co_return absl::OkStatus();
  const auto tail = bookie::ParseExtentTail(bytes->view(), *footer_);
  if (!tail.ok()) OnDamage(at, tail.status());
  co_return absl::OkStatus();
}

Task<absl::Status> ExtentRunDump::DumpBlock(uint32_t number) {
  const uint64_t at = bookie::ExtentBlockOffset(number);
  STELE_CO_TRY(std::optional<Buffer> bytes, co_await Read(at, bookie::kExtentBlockBytes));
  if (!bytes.has_value()) co_return absl::OkStatus();
  const auto block = bookie::ExtentBlock::Parse(*std::move(bytes), numbers_, number);
  if (!block.ok()) {
    OnDamage(at, block.status());
    co_return absl::OkStatus();
  }
  for (size_t row = 0; row < block->row_count(); ++row) {
    const LedgerId ledger = block->key(row).ledger;
    if (ledger_.has_value() && ledger != *ledger_) continue;
    emit_(block->IsState(row) ? StateRecord(ledger, block->state(row)) : ExtentRecord(*block, row));
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<int64_t>> DumpExtentRun(Env env, DumpOptions options,
                                            bookie::RunNumbers numbers, Emit emit) {
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await env.files->Open(options.path, {}));
  ExtentRunDump dump(file.get(), options.ledger, numbers, std::move(emit));
  co_return co_await dump.Run();
}

}  // namespace

Task<absl::StatusOr<int64_t>> DumpIndex(Env env, DumpOptions options, Emit emit) {
  const size_t slash = options.path.rfind('/');
  const std::string name = options.path.substr(slash == std::string::npos ? 0 : slash + 1);
  if (const auto run = bookie::ParseExtentRunName(name); run.has_value()) {
    co_return co_await DumpExtentRun(env, std::move(options), *run, std::move(emit));
  }
  const std::optional<LedgerId> ledger = bookie::ParseIndexFileName(name, bookie::kIndexSuffix);
  if (!ledger.has_value()) {
    co_return MakeError(ErrorCode::kInvalidArgument,
                        StrCat(name,
                               " is not the name of an index file, such as 109.idx, or of an "
                               "extent run"));
  }
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await env.files->Open(options.path, {}));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  STELE_CO_TRY(const Buffer head, co_await file->ReadAt(0, bookie::kIndexHeaderSize));
  STELE_CO_TRY(const std::optional<bookie::IndexHeader> header,
               bookie::ParseIndexHeader(head.view(), *ledger));
  const int64_t slots = bookie::LocationCount(size);
  int64_t damages = 0;
  if (header.has_value()) {
    emit(HeaderRecord(*ledger, *header, slots));
  } else {
    ++damages;
    emit(shell::Record()
             .Set("kind", std::string("header"))
             .Set("ledger", ledger->value())
             .Set("note", std::string("empty or cut off: it never became durable")));
  }
  for (int64_t first = 0; first < slots; first += kLocationsPerRead) {
    STELE_CO_TRY(const Buffer locations,
                 co_await file->ReadAt(bookie::LocationOffset(first),
                                       kLocationsPerRead * bookie::kLocationSize));
    const auto count = static_cast<int64_t>(locations.size() / bookie::kLocationSize);
    if (header.has_value()) damages += EmitLost(header->claim, first, locations.view(), emit);
    for (int64_t i = 0; i < count; ++i) {
      const auto location = bookie::EntryLocation::FromPacked(
          LoadBigEndian<int64_t>(locations.data() + i * bookie::kLocationSize));
      if (location.IsAbsent()) continue;
      const bool good = location.IsPlausible();
      damages += good ? 0 : 1;
      shell::Record record;
      record.Set("kind", std::string(good ? "location" : "damaged")).Set("entry", first + i);
      if (good) {
        record.Set("entry_log", bookie::EntryLogFileName(location.log()))
            .Set("offset", static_cast<int64_t>(location.record_offset()));
      } else {
        record.Set("value", location.packed());
      }
      emit(record);
    }
    if (count < kLocationsPerRead) break;
  }
  co_return damages;
}

}  // namespace stele::dump
