#include "tools/shell/repair_commands.h"

#include <utility>

#include "bookie/index_repair.h"
#include "bookie/storage_check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/shard.h"
#include "metadata/ledger_manager.h"
#include "tools/shell/session.h"

namespace stele::shell {
namespace {

std::vector<std::string> CurrentOf(const std::vector<std::string>& roots) {
  std::vector<std::string> currents;
  for (const std::string& root : roots) currents.push_back(root + "/current");
  return currents;
}

// What each needs to know of a bookie that runs.
absl::Status Explained(const absl::Status& status) {
  return CodeOf(status) == ErrorCode::kOverloaded ? WithContext(status, "stop the bookie first")
                                                  : status;
}

absl::Status PrintReport(const absl::StatusOr<bookie::StorageCheckReport>& report, Format format) {
  if (!report.ok()) return Explained(report.status());
  std::vector<Record> findings;
  for (const bookie::StorageFinding& finding : report->findings) {
    findings.emplace_back();
    findings.back()
        .Set("ledger", finding.ledger.value())
        .Set("entry", finding.entry.value())
        .Set("finding", finding.what);
  }
  const bool is_table = format == Format::kTable;
  if (is_table && !findings.empty()) PrintRecords(findings, Format::kTable, "");
  Record record;
  record.Set("ledgers", report->ledgers)
      .Set("ledgers_unknown", report->ledgers_unknown)
      .Set("entries", report->entries)
      .Set("entries_proven", report->entries_proven)
      .Set("bytes_read", report->bytes)
      .Set("findings", report->finding_count);
  if (!is_table) record.Set("list", std::move(findings));
  PrintRecord(record, format);
  if (report->finding_count == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kCorruptData,
                   "the bookie mends it from other copies when it runs with localScrubInterval");
}

absl::Status CheckInSession(Session& session, bookie::StorageCheckOptions options) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  metadata::LedgerManager ledgers(session.env(), session.store(), cluster.layout);
  options.ledgers = &ledgers;
  return PrintReport(
      session.shard().RunUntil(bookie::CheckStorage(session.env(), std::move(options))),
      session.options().format);
}

}  // namespace

ExitCode RunRepairCheck(const RepairCheckCommand& command) {
  bookie::StorageCheckOptions options{.ledger_directories = CurrentOf(command.ledger_directories),
                                      .index_directories = CurrentOf(command.index_directories)};
  if (!command.common.metadata_uri.empty()) {
    return RunInSession(command.common,
                        [&](Session& session) { return CheckInSession(session, options); });
  }
  real::Shard shard({.name = "stele"});
  return Finish(PrintReport(shard.RunUntil(bookie::CheckStorage(shard.env(), std::move(options))),
                            command.common.format),
                command.common.format);
}

ExitCode RunRepairIndex(const RepairIndexCommand& command) {
  bookie::IndexRepairOptions options{.ledger_directories = CurrentOf(command.ledger_directories),
                                     .index_directories = CurrentOf(command.index_directories)};
  for (const int64_t ledger : command.ledgers) options.ledgers.emplace_back(ledger);
  real::Shard shard({.name = "stele"});
  const absl::StatusOr<bookie::IndexRepairReport> report =
      shard.RunUntil(bookie::RepairIndexes(shard.env(), std::move(options)));
  if (!report.ok()) return Finish(Explained(report.status()), command.format);
  PrintRecord(Record()
                  .Set("ledgers_without_index", static_cast<int64_t>(report->without_index.size()))
                  .Set("uncertain_ledgers", static_cast<int64_t>(report->uncertain.size()))
                  .Set("locations_found", report->locations_found),
              command.format);
  return ExitCode::kOk;
}

}  // namespace stele::shell
