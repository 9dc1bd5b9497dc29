#include "tools/shell/usage_command.h"

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/async/run_concurrently.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/shard.h"
#include "metadata/ledger_manager.h"
#include "tools/dump/log_usage.h"

namespace stele::shell {
namespace {

// Ledgers that the store is asked about at the same time.
constexpr size_t kAskedMax = 64;

using dump::LogUsage;

Task<absl::Status> AskForOne(metadata::LedgerManager* ledgers, LedgerId ledger,
                             std::set<LedgerId>* live) {
  const absl::Status read = (co_await ledgers->Read(ledger)).status();
  if (CodeOf(read) == ErrorCode::kNoSuchLedgerMetadata) co_return absl::OkStatus();
  // One whose metadata is damaged exists.
  if (!read.ok() && CodeOf(read) != ErrorCode::kCorruptData) co_return read;
  live->insert(ledger);
  co_return absl::OkStatus();
}

absl::StatusOr<std::set<LedgerId>> LiveOnes(Session& session, const LogUsage& usage) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  metadata::LedgerManager ledgers(session.env(), session.store(), cluster.layout);
  std::vector<LedgerId> ids;
  for (const auto& [ledger, share] : usage.ledgers) ids.push_back(ledger);
  std::set<LedgerId> live;
  const auto ask = [&](size_t i) { return AskForOne(&ledgers, ids[i], &live); };
  STELE_TRY_OK(session.shard().RunUntil(
      RunConcurrently(session.env().executor, ids.size(), kAskedMax, ask)));
  return live;
}

void Print(const LogUsage& usage, const std::optional<std::set<LedgerId>>& live, Format format) {
  std::vector<Record> records;
  LogUsage::Share sum;
  int64_t live_bytes = 0;
  for (const auto& [ledger, share] : usage.ledgers) {
    Record& record = records.emplace_back();
    record.Set("ledger", ledger.value()).Set("entries", share.entries).Set("bytes", share.bytes);
    sum.entries += share.entries;
    sum.bytes += share.bytes;
    if (!live.has_value()) continue;
    record.Set("live", live->contains(ledger));
    live_bytes += live->contains(ledger) ? share.bytes : 0;
  }
  const bool is_table = format == Format::kTable;
  if (is_table) PrintRecords(records, format, "no entries");
  Record all;
  all.Set("ledgers", static_cast<int64_t>(usage.ledgers.size()))
      .Set("entries", sum.entries)
      .Set("bytes", sum.bytes);
  if (live.has_value()) all.Set("live_bytes", live_bytes);
  all.Set("damages", usage.damages);
  if (!is_table) all.Set("list", std::move(records));
  PrintRecord(all, format);
}

absl::Status Damage(const UsageCommand& command, const LogUsage& usage) {
  if (usage.damages == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kCorruptData, StrCat(command.path, ": damaged places"));
}

absl::Status WithoutCluster(const UsageCommand& command) {
  real::Shard shard({.name = "stele"});
  STELE_TRY(const LogUsage usage, shard.RunUntil(dump::ReadLogUsage(shard.env(), command.path)));
  Print(usage, std::nullopt, command.common.format);
  return Damage(command, usage);
}

absl::Status WithCluster(Session& session, const UsageCommand& command) {
  STELE_TRY(const LogUsage usage,
            session.shard().RunUntil(dump::ReadLogUsage(session.env(), command.path)));
  STELE_TRY(std::set<LedgerId> live, LiveOnes(session, usage));
  Print(usage, std::move(live), command.common.format);
  return Damage(command, usage);
}

}  // namespace

ExitCode RunDumpUsage(const UsageCommand& command) {
  if (!command.live) return Finish(WithoutCluster(command), command.common.format);
  return RunInSession(command.common,
                      [&](Session& session) { return WithCluster(session, command); });
}

}  // namespace stele::shell
