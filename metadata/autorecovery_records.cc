#include "metadata/autorecovery_records.h"

#include <algorithm>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_id.h"
#include "metadata/decimal.h"
#include "metadata/private_root.h"
#include "metadata/proto_text.h"
#include "proto/autorecovery.pb.h"

namespace stele::metadata {
namespace {

std::string SerializeSince(absl::Time since) {
  stored::SinceFormat format;
  format.set_since(absl::ToUnixMillis(since));
  return PrintProtoText(format);
}

}  // namespace

std::string SerializeQuarantine(const QuarantineRecord& record) {
  stored::QuarantineFormat format;
  format.set_reason(record.reason);
  for (size_t i = 0; i < std::min(record.entries.size(), kQuarantineRangesMax); ++i) {
    auto* const range = format.add_entries();
    range->set_first(record.entries[i].first.value());
    range->set_last(record.entries[i].last.value());
  }
  for (const auto& [bookie, answer] : record.evidence) {
    auto* const evidence = format.add_evidence();
    evidence->set_bookie(bookie.value());
    evidence->set_answer(answer);
  }
  format.set_first_seen(absl::ToUnixMillis(record.first_seen));
  format.set_last_seen(absl::ToUnixMillis(record.last_seen));
  return PrintProtoText(format);
}

absl::StatusOr<QuarantineRecord> ParseQuarantine(std::string_view bytes) {
  stored::QuarantineFormat format;
  STELE_TRY_OK(ParseProtoText(bytes, &format));
  QuarantineRecord record{.reason = format.reason(),
                          .first_seen = absl::FromUnixMillis(format.first_seen()),
                          .last_seen = absl::FromUnixMillis(format.last_seen())};
  for (const auto& range : format.entries()) {
    if (range.first() < 0 || range.last() < range.first()) {
      return MakeError(ErrorCode::kCorruptData, "a quarantine record with an impossible range");
    }
    record.entries.push_back({EntryId(range.first()), EntryId(range.last())});
  }
  for (const auto& evidence : format.evidence()) {
    record.evidence.emplace_back(BookieId(evidence.bookie()), evidence.answer());
  }
  return record;
}

std::string SerializeCheckPosition(const CheckPosition& position) {
  stored::CheckPositionFormat format;
  if (position.since.time.has_value()) {
    format.set_since_date(absl::ToUnixMillis(*position.since.time));
  }
  if (position.since.version.has_value()) format.set_since_version(*position.since.version);
  format.set_next_ledger(position.next.value());
  format.set_ledgers(position.ledgers);
  format.set_noted_at(absl::ToUnixMillis(position.noted_at));
  return PrintProtoText(format);
}

absl::StatusOr<CheckPosition> ParseCheckPosition(std::string_view bytes) {
  stored::CheckPositionFormat format;
  STELE_TRY_OK(ParseProtoText(bytes, &format));
  if (format.next_ledger() < 0 || format.ledgers() < 0) {
    return MakeError(ErrorCode::kCorruptData, "a position below 0");
  }
  CheckPosition position{.next = LedgerId(format.next_ledger()),
                         .ledgers = format.ledgers(),
                         .noted_at = absl::FromUnixMillis(format.noted_at())};
  if (format.has_since_date()) position.since.time = absl::FromUnixMillis(format.since_date());
  if (format.has_since_version()) position.since.version = format.since_version();
  return position;
}

std::string SerializeLimits(const RepairLimits& limits) {
  stored::RepairLimitsFormat format;
  format.set_cluster_bytes_per_second(limits.cluster);
  format.set_source_bytes_per_second(limits.source);
  format.set_target_bytes_per_second(limits.target);
  format.set_check_bytes_per_second(limits.check);
  return PrintProtoText(format);
}

absl::StatusOr<RepairLimits> ParseLimits(std::string_view bytes) {
  stored::RepairLimitsFormat format;
  STELE_TRY_OK(ParseProtoText(bytes, &format));
  const RepairLimits limits{.cluster = format.cluster_bytes_per_second(),
                            .source = format.source_bytes_per_second(),
                            .target = format.target_bytes_per_second(),
                            .check = format.check_bytes_per_second()};
  if (std::min({limits.cluster, limits.source, limits.target, limits.check}) < 0) {
    return MakeError(ErrorCode::kCorruptData, "a limit below 0");
  }
  return limits;
}

AutorecoveryRecords::AutorecoveryRecords(MetadataStore* store, const Cluster& cluster)
    : store_(store), root_(PrivateRoot(cluster.instance_id)) {}

std::string AutorecoveryRecords::QuarantinePath(LedgerId ledger) const {
  return StrCat(root_, "/quarantine/", ledger.value());
}

Task<absl::Status> AutorecoveryRecords::PutOrCreate(std::string path, std::string value) {
  const absl::Status put = (co_await store_->Put(path, value, kAnyVersion)).status();
  if (CodeOf(put) != ErrorCode::kNoSuchKey) co_return put;
  co_return co_await store_->Create(std::move(path), std::move(value), NodeKind::kPersistent);
}

Task<absl::Status> AutorecoveryRecords::DeleteIfThere(std::string path) {
  const absl::Status deleted = co_await store_->Delete(std::move(path), kAnyVersion);
  co_return CodeOf(deleted) == ErrorCode::kNoSuchKey ? absl::OkStatus() : deleted;
}

Task<absl::StatusOr<std::vector<std::string>>> AutorecoveryRecords::ChildrenOrNone(
    std::string path) {
  absl::StatusOr<std::vector<std::string>> names = co_await store_->Children(std::move(path));
  if (CodeOf(names.status()) == ErrorCode::kNoSuchKey) co_return std::vector<std::string>();
  co_return names;
}

Task<absl::StatusOr<std::optional<QuarantineRecord>>> AutorecoveryRecords::Quarantine(
    LedgerId ledger) {
  const absl::StatusOr<Node> node = co_await store_->Get(QuarantinePath(ledger));
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return std::optional<QuarantineRecord>();
  STELE_CO_TRY_OK(node.status());
  absl::StatusOr<QuarantineRecord> record = ParseQuarantine(node->value);
  if (!record.ok()) co_return std::optional<QuarantineRecord>();
  co_return std::optional<QuarantineRecord>(*std::move(record));
}

Task<absl::Status> AutorecoveryRecords::SetQuarantine(LedgerId ledger, QuarantineRecord record) {
  co_return co_await PutOrCreate(QuarantinePath(ledger), SerializeQuarantine(record));
}

Task<absl::Status> AutorecoveryRecords::ClearQuarantine(LedgerId ledger) {
  co_return co_await DeleteIfThere(QuarantinePath(ledger));
}

Task<absl::StatusOr<std::vector<LedgerId>>> AutorecoveryRecords::Quarantined() {
  STELE_CO_TRY(const std::vector<std::string> names,
               co_await ChildrenOrNone(root_ + "/quarantine"));
  std::vector<LedgerId> ledgers;
  for (const std::string& name : names) {
    const std::optional<int64_t> id = ParseDecimal(name);
    if (id.has_value() && *id >= 0) ledgers.emplace_back(*id);
  }
  std::sort(ledgers.begin(), ledgers.end());
  co_return ledgers;
}

Task<absl::StatusOr<std::optional<CheckPosition>>> AutorecoveryRecords::ReadCheckPosition() {
  const absl::StatusOr<Node> node = co_await store_->Get(check_position_path());
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return std::optional<CheckPosition>();
  STELE_CO_TRY_OK(node.status());
  const absl::StatusOr<CheckPosition> position = ParseCheckPosition(node->value);
  co_return position.ok() ? std::optional<CheckPosition>(*position) : std::nullopt;
}

Task<absl::Status> AutorecoveryRecords::SetCheckPosition(CheckPosition position) {
  co_return co_await PutOrCreate(check_position_path(), SerializeCheckPosition(position));
}

Task<absl::Status> AutorecoveryRecords::ClearCheckPosition() {
  co_return co_await DeleteIfThere(check_position_path());
}

Task<absl::StatusOr<RepairLimits>> AutorecoveryRecords::Limits() {
  const absl::StatusOr<Node> node = co_await store_->Get(limits_path());
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return RepairLimits();
  STELE_CO_TRY_OK(node.status());
  co_return ParseLimits(node->value);
}

Task<absl::Status> AutorecoveryRecords::SetLimits(RepairLimits limits) {
  co_return co_await PutOrCreate(limits_path(), SerializeLimits(limits));
}

Task<absl::StatusOr<std::map<BookieId, absl::Time>>> AutorecoveryRecords::Since(
    std::string directory) {
  STELE_CO_TRY(const std::vector<std::string> names, co_await ChildrenOrNone(directory));
  std::map<BookieId, absl::Time> since;
  for (const std::string& name : names) {
    if (!IsValidBookieId(name)) continue;
    const absl::StatusOr<Node> node = co_await store_->Get(StrCat(directory, "/", name));
    if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) continue;
    STELE_CO_TRY_OK(node.status());
    stored::SinceFormat format;
    if (!ParseProtoText(node->value, &format).ok()) continue;
    since[BookieId(name)] = absl::FromUnixMillis(format.since());
  }
  co_return since;
}

Task<absl::StatusOr<std::map<BookieId, absl::Time>>> AutorecoveryRecords::Lost() {
  co_return co_await Since(lost_path());
}

Task<absl::Status> AutorecoveryRecords::SetLost(BookieId bookie, absl::Time since) {
  co_return co_await PutOrCreate(StrCat(lost_path(), "/", bookie.value()), SerializeSince(since));
}

Task<absl::Status> AutorecoveryRecords::ClearLost(BookieId bookie) {
  co_return co_await DeleteIfThere(StrCat(lost_path(), "/", bookie.value()));
}

Task<absl::StatusOr<std::map<BookieId, absl::Time>>> AutorecoveryRecords::Draining() {
  co_return co_await Since(draining_path());
}

Task<absl::StatusOr<bool>> AutorecoveryRecords::SetDraining(BookieId bookie, absl::Time since) {
  const absl::Status made = co_await store_->Create(StrCat(draining_path(), "/", bookie.value()),
                                                    SerializeSince(since), NodeKind::kPersistent);
  if (CodeOf(made) == ErrorCode::kKeyExists) co_return false;
  STELE_CO_TRY_OK(made);
  co_return true;
}

Task<absl::StatusOr<bool>> AutorecoveryRecords::ClearDraining(BookieId bookie) {
  const absl::Status deleted =
      co_await store_->Delete(StrCat(draining_path(), "/", bookie.value()), kAnyVersion);
  if (CodeOf(deleted) == ErrorCode::kNoSuchKey) co_return false;
  STELE_CO_TRY_OK(deleted);
  co_return true;
}

Task<absl::StatusOr<std::map<BookieId, absl::Time>>> AutorecoveryRecords::InLimbo() {
  co_return co_await Since(limbo_path());
}

Task<absl::Status> AutorecoveryRecords::SetInLimbo(BookieId bookie, absl::Time since) {
  co_return co_await PutOrCreate(StrCat(limbo_path(), "/", bookie.value()), SerializeSince(since));
}

Task<absl::Status> AutorecoveryRecords::ClearInLimbo(BookieId bookie) {
  co_return co_await DeleteIfThere(StrCat(limbo_path(), "/", bookie.value()));
}

Task<absl::Status> AutorecoveryRecords::RegisterWorker(std::string name) {
  const absl::Status made =
      co_await store_->Create(StrCat(workers_path(), "/", name), "", NodeKind::kEphemeral);
  co_return CodeOf(made) == ErrorCode::kKeyExists ? absl::OkStatus() : made;
}

Task<absl::StatusOr<std::vector<std::string>>> AutorecoveryRecords::Workers() {
  co_return co_await ChildrenOrNone(workers_path());
}

}  // namespace stele::metadata
