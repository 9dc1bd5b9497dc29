#include "bookie/storage/extent_format.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/entry_packet.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kBlockMagic = "StXb";
constexpr std::string_view kFooterMagic = "StXf";
constexpr uint32_t kVersion = 2;
constexpr size_t kBlockHeadBytes = 32;
constexpr size_t kRowsMaxBytes = kExtentBlockBytes - kBlockHeadBytes;
constexpr char kKindExtent = 0;
constexpr char kKindState = 1;
// An extent is ended when its groups have so many bytes: several fit into a block.
constexpr size_t kGroupsMaxBytes = 1000;
constexpr int kVarintBytesMax = 10;
// Behind it no location can be.
constexpr uint64_t kRecordOffsetMax = kEntryLogSizeLimitBytes - kRecordSizeFieldBytes;

void AppendVarint(std::string& to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>((value & 0x7f) | 0x80);
  to += static_cast<char>(value);
}

// Takes values off the front; the first that is not there whole, or too large, makes it fail.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  uint64_t Varint(uint64_t max) {
    uint64_t value = 0;
    for (int i = 0; i < kVarintBytesMax && static_cast<size_t>(i) < bytes_.size(); ++i) {
      const auto byte = static_cast<uint8_t>(bytes_[static_cast<size_t>(i)]);
      if (i == kVarintBytesMax - 1 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte >= 0x80) continue;
      bytes_.remove_prefix(static_cast<size_t>(i) + 1);
      if (value > max) break;
      return value;
    }
    return Fail();
  }
  int64_t Id(int64_t max) { return static_cast<int64_t>(Varint(static_cast<uint64_t>(max))); }
  std::string_view Take(size_t size) {
    if (size > bytes_.size()) {
      Fail();
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  uint8_t Byte() {
    const std::string_view byte = Take(1);
    return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
  }
  void Refuse() { Fail(); }
  bool failed() const { return failed_; }
  std::string_view rest() const { return bytes_; }

 private:
  uint64_t Fail() {
    failed_ = true;
    bytes_ = {};
    return 0;
  }
  std::string_view bytes_;
  bool failed_ = false;
};

absl::Status Corrupt(std::string_view what) {
  return MakeError(ErrorCode::kCorruptData, StrCat("extent run: ", what));
}

struct ExtentHead {
  int64_t first = 0;
  EntryLogId log;
  uint64_t offset = 0;
  uint64_t groups = 0;
};

ExtentHead ReadExtentHead(Reader* reader) {
  ExtentHead head;
  head.first = reader->Id(kEntryIdMax);
  head.log = EntryLogId(static_cast<int32_t>(reader->Varint(INT32_MAX)));
  head.offset = reader->Varint(kRecordOffsetMax);
  head.groups = reader->Varint(kRowsMaxBytes);
  return head;
}

// Reads past the groups; nullopt: these are none. Gives the last entry.
std::optional<int64_t> ReadGroups(Reader* reader, const ExtentHead& head) {
  int64_t entry = head.first;
  uint64_t offset = head.offset;
  for (uint64_t i = 0; i < head.groups; ++i) {
    const uint64_t count = reader->Varint(kEntryLogSizeLimitBytes);
    const int64_t ids_apart = reader->Id(kEntryIdMax);
    const uint64_t bytes_apart = reader->Varint(kEntryLogSizeLimitBytes);
    if (reader->failed() || count == 0 || ids_apart == 0 || bytes_apart == 0) return std::nullopt;
    if (count > static_cast<uint64_t>(kEntryIdMax - entry) / static_cast<uint64_t>(ids_apart) ||
        count > (kRecordOffsetMax - offset) / bytes_apart) {
      return std::nullopt;
    }
    entry += static_cast<int64_t>(count) * ids_apart;
    offset += count * bytes_apart;
  }
  return entry;
}

LedgerRow ReadState(Reader* reader) {
  LedgerRow row{.flags = reader->Byte()};
  if ((row.flags & kRowHasHeader) == 0) return row;
  IndexHeader header{.state_bits = static_cast<int32_t>(reader->Varint(UINT32_MAX))};
  const uint64_t key_size = reader->Varint(wire::kMasterKeySize);
  if (key_size != 0) {
    const std::string_view key = reader->Take(wire::kMasterKeySize);
    if (key_size != wire::kMasterKeySize) reader->Refuse();
    header.master_key.emplace();
    std::copy(key.begin(), key.end(), header.master_key->begin());
  }
  // What an index file cannot have no bookie has written.
  header.explicit_lac =
      reader->Take(reader->Varint(kIndexHeaderSize - kIndexFieldsSize - key_size));
  const size_t lac_size = header.explicit_lac.size();
  if (lac_size != 0 && lac_size < wire::kExplicitLacFieldsSize) reader->Refuse();
  row.header = std::move(header);
  return row;
}

std::string EncodeState(const LedgerRow& row) {
  STELE_CHECK((row.flags & kRowHasHeader) != 0 == row.header.has_value());
  std::string bytes(1, kKindState);
  bytes += static_cast<char>(row.flags);
  if (!row.header.has_value()) return bytes;
  AppendVarint(bytes, static_cast<uint32_t>(row.header->state_bits));
  if (row.header->master_key.has_value()) {
    AppendVarint(bytes, wire::kMasterKeySize);
    bytes.append(row.header->master_key->data(), wire::kMasterKeySize);
  } else {
    AppendVarint(bytes, 0);
  }
  AppendVarint(bytes, row.header->explicit_lac.size());
  bytes += row.header->explicit_lac;
  return bytes;
}

std::optional<uint64_t> ParseHex(std::string_view digits) {
  uint64_t value = 0;
  const auto [stop, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string ExtentRunName(const RunNumbers& numbers) {
  return absl::StrFormat("%016x-%016x.run", numbers.first, numbers.last);
}

std::optional<RunNumbers> ParseExtentRunName(std::string_view name) {
  constexpr size_t kDigits = 16;
  if (name.size() != 2 * kDigits + 1 + kExtentRunSuffix.size()) return std::nullopt;
  const auto first = ParseHex(name.substr(0, kDigits));
  const auto last = ParseHex(name.substr(kDigits + 1, kDigits));
  if (!first.has_value() || !last.has_value()) return std::nullopt;
  const RunNumbers numbers{.first = *first, .last = *last};
  if (*first == 0 || *first > *last || ExtentRunName(numbers) != name) return std::nullopt;
  return numbers;
}

std::string MakeExtentLast(uint64_t number) {
  std::string bytes;
  AppendBigEndian(bytes, number);
  AppendBigEndian(bytes, Crc32c(bytes));
  return bytes;
}

uint64_t ParseExtentLast(std::string_view bytes) {
  constexpr size_t kNumberBytes = 8;
  if (bytes.size() != kNumberBytes + 4) return 0;
  const auto crc = LoadBigEndian<uint32_t>(bytes.data() + kNumberBytes);
  return crc == Crc32c(bytes.substr(0, kNumberBytes)) ? LoadBigEndian<uint64_t>(bytes.data()) : 0;
}

// ---- Reading

bool ExtentCursor::NextGroup() {
  if (groups_.empty()) return false;
  Reader reader(groups_);
  left_ = reader.Varint(kEntryLogSizeLimitBytes);
  ids_apart_ = reader.Id(kEntryIdMax);
  bytes_apart_ = reader.Varint(kEntryLogSizeLimitBytes);
  groups_ = reader.rest();
  return !reader.failed();
}

bool ExtentCursor::Next() {
  if (left_ == 0 && !NextGroup()) return false;
  --left_;
  entry_ += ids_apart_;
  offset_ += bytes_apart_;
  return true;
}

bool ExtentCursor::SeekTo(int64_t entry) {
  while (entry_ < entry) {
    if (left_ == 0 && !NextGroup()) return false;
    const uint64_t steps = std::min(left_, static_cast<uint64_t>((entry - entry_) / ids_apart_));
    entry_ += static_cast<int64_t>(steps) * ids_apart_;
    offset_ += steps * bytes_apart_;
    left_ -= steps;
    if (entry_ < entry && left_ > 0) return false;  // it lies between two
  }
  return entry_ == entry;
}

absl::StatusOr<ExtentBlock> ExtentBlock::Parse(Buffer bytes, const RunNumbers& run,
                                               uint32_t number) {
  const std::string_view all = bytes.view();
  if (all.size() != kExtentBlockBytes || all.substr(0, kBlockMagic.size()) != kBlockMagic) {
    return Corrupt(StrCat("block ", number, " is missing"));
  }
  if (LoadBigEndian<uint32_t>(all.data() + 4) != Crc32c(all.substr(8))) {
    return Corrupt(StrCat("block ", number, " is damaged"));
  }
  const auto rows_size = LoadBigEndian<uint32_t>(all.data() + 28);
  if (LoadBigEndian<uint64_t>(all.data() + 8) != run.first ||
      LoadBigEndian<uint64_t>(all.data() + 16) != run.last ||
      LoadBigEndian<uint32_t>(all.data() + 24) != number || rows_size > kRowsMaxBytes) {
    return Corrupt(StrCat("another block lies in the place of ", number));
  }
  ExtentBlock block;
  block.bytes_ = bytes;
  if (!block.ParseRows(all.substr(kBlockHeadBytes, rows_size))) {
    return Corrupt(StrCat("block ", number, " has no rows of ours"));
  }
  return block;
}

bool ExtentBlock::ParseRows(std::string_view rows) {
  Reader reader(rows);
  int64_t ledger = 0;
  while (!reader.rest().empty()) {
    ledger += reader.Id(INT64_MAX - ledger);
    const auto kind = static_cast<char>(reader.Byte());
    Row row{.at = static_cast<uint16_t>(reader.rest().data() - bytes_.data())};
    row.key.ledger = LedgerId(ledger);
    if (kind == kKindExtent) {
      const ExtentHead head = ReadExtentHead(&reader);
      const std::optional<int64_t> last = ReadGroups(&reader, head);
      if (!last.has_value() || !EntryLocation(head.log, head.offset).IsPlausible()) return false;
      row.key.entry = head.first;
      row.last_entry = *last;
    } else if (kind == kKindState) {
      ReadState(&reader);
      row.key.entry = kStateEntry;
    } else {
      return false;
    }
    if (reader.failed()) return false;
    if (!rows_.empty()) {
      const Row& before = rows_.back();
      if (before.key >= row.key) return false;
      if (before.key.ledger == row.key.ledger && before.last_entry >= row.key.entry) return false;
    }
    rows_.push_back(row);
  }
  return !reader.failed() && !rows_.empty();
}

std::optional<size_t> ExtentBlock::Floor(const ExtentKey& key) const {
  const auto behind =
      std::upper_bound(rows_.begin(), rows_.end(), key,
                       [](const ExtentKey& wanted, const Row& row) { return wanted < row.key; });
  if (behind == rows_.begin()) return std::nullopt;
  return static_cast<size_t>(behind - rows_.begin()) - 1;
}

ExtentCursor ExtentBlock::extent(size_t row) const {
  Reader reader(bytes_.view().substr(rows_[row].at));
  const ExtentHead head = ReadExtentHead(&reader);
  const std::string_view groups = reader.rest();
  ReadGroups(&reader, head);
  ExtentCursor cursor;
  cursor.groups_ = groups.substr(0, groups.size() - reader.rest().size());
  cursor.log_ = head.log;
  cursor.entry_ = head.first;
  cursor.offset_ = head.offset;
  return cursor;
}

LedgerRow ExtentBlock::state(size_t row) const {
  Reader reader(bytes_.view().substr(rows_[row].at));
  return ReadState(&reader);
}

absl::StatusOr<ExtentRunFooter> ParseExtentFooter(std::string_view bytes) {
  if (bytes.size() != kExtentFooterBytes || !bytes.starts_with(kFooterMagic)) {
    return Corrupt("no footer");
  }
  if (LoadBigEndian<uint32_t>(bytes.data() + 36) != Crc32c(bytes.substr(0, 36))) {
    return Corrupt("its footer is damaged");
  }
  const auto version = LoadBigEndian<uint32_t>(bytes.data() + 4);
  if (version != kVersion) {
    return MakeError(ErrorCode::kUnsupported, StrCat("an extent run of version ", version));
  }
  return ExtentRunFooter{
      .numbers = {.first = LoadBigEndian<uint64_t>(bytes.data() + 8),
                  .last = LoadBigEndian<uint64_t>(bytes.data() + 16)},
      .blocks = LoadBigEndian<uint32_t>(bytes.data() + 24),
      .tail_bytes = LoadBigEndian<uint32_t>(bytes.data() + 28),
      .tail_crc = LoadBigEndian<uint32_t>(bytes.data() + 32),
  };
}

absl::StatusOr<ExtentRunTail> ParseExtentTail(std::string_view bytes,
                                              const ExtentRunFooter& footer) {
  if (Crc32c(bytes) != footer.tail_crc) return Corrupt("its tail is damaged");
  Reader reader(bytes);
  ExtentRunTail tail;
  // Each takes two bytes at least, so no count is believed that the bytes do not bear out.
  const uint64_t blocks = reader.Varint(bytes.size() / 2);
  tail.blocks.reserve(blocks);
  int64_t ledger = 0;
  for (uint64_t i = 0; i < blocks && !reader.failed(); ++i) {
    ledger += reader.Id(INT64_MAX - ledger);
    tail.blocks.push_back({.ledger = LedgerId(ledger), .entry = reader.Id(kStateEntry)});
  }
  const uint64_t ledgers = reader.Varint(reader.rest().size() / 2);
  tail.ledgers.reserve(ledgers);
  tail.flags.reserve(ledgers);
  ledger = 0;
  for (uint64_t i = 0; i < ledgers && !reader.failed(); ++i) {
    const int64_t step = reader.Id(INT64_MAX - ledger);
    if (step == 0 && i > 0) reader.Refuse();  // the same ledger twice
    ledger += step;
    tail.ledgers.emplace_back(ledger);
    tail.flags.push_back(reader.Byte());
  }
  if (reader.failed() || !reader.rest().empty() || blocks != footer.blocks ||
      !std::is_sorted(tail.blocks.begin(), tail.blocks.end())) {
    return Corrupt("its tail is not ours");
  }
  return tail;
}

// ---- Building

bool ExtentRunBuilder::Extend(int64_t entry, EntryLocation location) {
  Extent& extent = *extent_;
  if (location.log() != extent.at.log() || location.record_offset() <= extent.last_offset) {
    return false;
  }
  const Group next{.count = 1,
                   .ids_apart = entry - extent.last,
                   .bytes_apart = location.record_offset() - extent.last_offset};
  Group& group = extent.group;
  if (group.count > 0 && group.ids_apart == next.ids_apart &&
      group.bytes_apart == next.bytes_apart) {
    ++group.count;
  } else {
    if (extent.groups.size() >= kGroupsMaxBytes) return false;
    EndGroup();
    group = next;
  }
  extent.last = entry;
  extent.last_offset = location.record_offset();
  return true;
}

void ExtentRunBuilder::EndGroup() {
  const Group group = std::exchange(extent_->group, {});
  if (group.count == 0) return;
  ++extent_->group_count;
  AppendVarint(extent_->groups, group.count);
  AppendVarint(extent_->groups, static_cast<uint64_t>(group.ids_apart));
  AppendVarint(extent_->groups, group.bytes_apart);
}

void ExtentRunBuilder::AddEntry(LedgerId ledger, int64_t entry, EntryLocation location) {
  STELE_CHECK(location.IsPlausible() && entry >= 0 && entry <= kEntryIdMax);
  if (extent_.has_value()) {
    STELE_CHECK(ledger == ledger_ && entry > extent_->last);
    if (Extend(entry, location)) return;
    EndExtent();
  }
  ledger_ = ledger;
  extent_ = Extent{
      .first = entry, .at = location, .last = entry, .last_offset = location.record_offset()};
}

void ExtentRunBuilder::EndExtent() {
  EndGroup();
  const Extent extent = *std::exchange(extent_, std::nullopt);
  std::string row(1, kKindExtent);
  AppendVarint(row, static_cast<uint64_t>(extent.first));
  AppendVarint(row, static_cast<uint64_t>(extent.at.log().value()));
  AppendVarint(row, extent.at.record_offset());
  AppendVarint(row, extent.group_count);
  row += extent.groups;
  AddRow({.ledger = ledger_, .entry = extent.first}, row);
}

void ExtentRunBuilder::EndLedger(LedgerId ledger, const LedgerRow& row) {
  STELE_CHECK(tail_.ledgers.empty() || tail_.ledgers.back() < ledger);
  const bool has_entries = extent_.has_value();
  if (has_entries) EndExtent();
  STELE_CHECK(has_entries ? ledger_ == ledger : row.flags != 0);
  if (row.flags != 0) AddRow({.ledger = ledger, .entry = kStateEntry}, EncodeState(row));
  tail_.ledgers.push_back(ledger);
  tail_.flags.push_back(row.flags);
}

void ExtentRunBuilder::AddRow(const ExtentKey& key, std::string_view row) {
  std::string step;
  AppendVarint(step, static_cast<uint64_t>(key.ledger.value() - row_ledger_.value()));
  if (rows_.size() + step.size() + row.size() > kRowsMaxBytes) {
    EndBlock();
    step.clear();
    AppendVarint(step, static_cast<uint64_t>(key.ledger.value()));
  }
  if (rows_.empty()) tail_.blocks.push_back(key);
  rows_ += step;
  rows_ += row;
  STELE_CHECK_OP(rows_.size(), <=, kRowsMaxBytes);
  row_ledger_ = key.ledger;
}

void ExtentRunBuilder::EndBlock() {
  std::string block;
  block.reserve(kExtentBlockBytes);
  AppendBigEndian(block, numbers_.first);
  AppendBigEndian(block, numbers_.last);
  AppendBigEndian(block, static_cast<uint32_t>(tail_.blocks.size() - 1));
  AppendBigEndian(block, static_cast<uint32_t>(rows_.size()));
  block += rows_;
  block.resize(kExtentBlockBytes - 8, '\0');
  ready_ += kBlockMagic;
  AppendBigEndian(ready_, Crc32c(block));
  ready_ += block;
  rows_.clear();
  row_ledger_ = LedgerId(0);
}

std::string ExtentRunBuilder::TakeReady() { return std::exchange(ready_, {}); }

std::string ExtentRunBuilder::Finish() {
  STELE_CHECK(!extent_.has_value());
  if (!rows_.empty()) EndBlock();
  std::string bytes = TakeReady();
  std::string tail;
  AppendVarint(tail, tail_.blocks.size());
  int64_t before = 0;
  for (const ExtentKey& key : tail_.blocks) {
    AppendVarint(tail, static_cast<uint64_t>(key.ledger.value() - before));
    AppendVarint(tail, static_cast<uint64_t>(key.entry));
    before = key.ledger.value();
  }
  AppendVarint(tail, tail_.ledgers.size());
  before = 0;
  for (size_t i = 0; i < tail_.ledgers.size(); ++i) {
    AppendVarint(tail, static_cast<uint64_t>(tail_.ledgers[i].value() - before));
    tail += static_cast<char>(tail_.flags[i]);
    before = tail_.ledgers[i].value();
  }
  bytes += tail;
  footer_ = kFooterMagic;
  AppendBigEndian(footer_, kVersion);
  AppendBigEndian(footer_, numbers_.first);
  AppendBigEndian(footer_, numbers_.last);
  AppendBigEndian(footer_, static_cast<uint32_t>(tail_.blocks.size()));
  AppendBigEndian(footer_, static_cast<uint32_t>(tail.size()));
  AppendBigEndian(footer_, Crc32c(tail));
  AppendBigEndian(footer_, Crc32c(footer_));
  return bytes + footer_;
}

std::string ExtentRunBuilder::FirstPage() const {
  std::string page = footer_;
  page.resize(kExtentBlockBytes, '\0');
  return page;
}

}  // namespace stele::bookie
