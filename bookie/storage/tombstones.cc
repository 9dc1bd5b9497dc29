#include "bookie/storage/tombstones.h"

#include <utility>

#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kMagic = "STLD";
constexpr int32_t kVersion = 1;
constexpr size_t kHeaderBytes = 16;
constexpr size_t kChecksumBytes = 4;
constexpr size_t kFileMaxBytes = kHeaderBytes + 8 * kTombstonesMax + kChecksumBytes;

}  // namespace

std::string MakeTombstones(const std::deque<LedgerId>& ledgers) {
  std::string bytes(kMagic);
  bytes.reserve(kHeaderBytes + 8 * ledgers.size() + kChecksumBytes);
  AppendBigEndian(bytes, kVersion);
  AppendBigEndian(bytes, static_cast<int64_t>(ledgers.size()));
  for (const LedgerId ledger : ledgers) AppendBigEndian(bytes, ledger.value());
  AppendBigEndian(bytes, Crc32c(bytes));
  return bytes;
}

absl::StatusOr<std::vector<LedgerId>> ParseTombstones(std::string_view bytes) {
  const absl::Status corrupt = MakeError(ErrorCode::kCorruptData, "not a file of tombstones");
  if (bytes.size() < kHeaderBytes + kChecksumBytes || !bytes.starts_with(kMagic) ||
      LoadBigEndian<int32_t>(bytes.data() + kMagic.size()) != kVersion) {
    return corrupt;
  }
  const std::string_view covered = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (LoadBigEndian<uint32_t>(covered.data() + covered.size()) != Crc32c(covered)) return corrupt;
  const auto count = LoadBigEndian<int64_t>(bytes.data() + 8);
  if (count < 0 || static_cast<uint64_t>(count) > kTombstonesMax ||
      covered.size() != kHeaderBytes + 8 * static_cast<size_t>(count)) {
    return corrupt;
  }
  std::vector<LedgerId> ledgers;
  ledgers.reserve(static_cast<size_t>(count));
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    ledgers.emplace_back(LoadBigEndian<int64_t>(bytes.data() + kHeaderBytes + 8 * i));
    if (!ledgers.back().IsValid()) return corrupt;
  }
  return ledgers;
}

Task<std::unique_ptr<Tombstones>> Tombstones::Open(FileSystem* files,
                                                   std::vector<std::string> directories) {
  std::unique_ptr<Tombstones> tombstones(new Tombstones(files, std::move(directories)));
  for (const std::string& directory : tombstones->directories_) {
    tombstones->unread_.push_back(StrCat(directory, "/", kTombstonesFileName));
  }
  co_await tombstones->ReadFiles();
  co_return tombstones;
}

Task<void> Tombstones::ReadFiles() {
  for (const std::string& path : std::exchange(unread_, {})) {
    absl::StatusOr<Buffer> bytes;
    for (int tries = 0; tries < kReadTriesMax; ++tries) {
      bytes = co_await ReadFile(files_, path, kFileMaxBytes);
      if (bytes.ok() || CodeOf(bytes.status()) == ErrorCode::kNoSuchFile) break;
    }
    if (CodeOf(bytes.status()) == ErrorCode::kNoSuchFile) continue;
    if (!bytes.ok()) unread_.push_back(path);
    const absl::Status parsed = bytes.ok() ? AddAll(bytes->view()) : bytes.status();
    if (!parsed.ok() && damage_.ok()) damage_ = WithContext(parsed, path);
  }
}

absl::Status Tombstones::AddAll(std::string_view bytes) {
  STELE_TRY(const std::vector<LedgerId> ledgers, ParseTombstones(bytes));
  for (const LedgerId ledger : ledgers) Insert(ledger);
  return absl::OkStatus();
}

void Tombstones::Insert(LedgerId ledger) {
  if (!ledgers_.insert(ledger).second) return;
  by_age_.push_back(ledger);
  if (by_age_.size() <= kTombstonesMax) return;
  ledgers_.erase(by_age_.front());
  by_age_.pop_front();
}

Task<absl::Status> Tombstones::Add(std::vector<LedgerId> ledgers) {
  co_await ReadFiles();
  std::deque<LedgerId> all = by_age_;
  for (const LedgerId ledger : ledgers) {
    if (!ledgers_.contains(ledger)) all.push_back(ledger);
  }
  if (all.size() == by_age_.size()) co_return absl::OkStatus();
  while (all.size() > kTombstonesMax) all.pop_front();
  STELE_CO_TRY_OK(co_await Store(MakeTombstones(all)));
  for (const LedgerId ledger : ledgers) Insert(ledger);
  co_return absl::OkStatus();
}

// One copy is enough: a start unites what it finds, and a directory that failed may be lost anyway.
Task<absl::Status> Tombstones::Store(std::string content) {
  const Buffer bytes = Buffer::FromString(std::move(content));
  absl::Status problem;
  bool stored = false;
  for (const std::string& directory : directories_) {
    const absl::Status status = co_await ReplaceFile(files_, directory, kTombstonesFileName, bytes);
    stored = stored || status.ok();
    if (!status.ok() && problem.ok()) problem = status;
  }
  co_return stored ? absl::OkStatus() : problem;
}

}  // namespace stele::bookie
