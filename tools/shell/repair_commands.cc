#include "tools/shell/repair_commands.h"

#include <utility>

#include "bookie/index_repair.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/shard.h"

namespace stele::shell {
namespace {

std::vector<std::string> CurrentOf(const std::vector<std::string>& roots) {
  std::vector<std::string> currents;
  for (const std::string& root : roots) currents.push_back(root + "/current");
  return currents;
}

}  // namespace

ExitCode RunRepairIndex(const RepairIndexCommand& command) {
  bookie::IndexRepairOptions options{.ledger_directories = CurrentOf(command.ledger_directories),
                                     .index_directories = CurrentOf(command.index_directories)};
  for (const int64_t ledger : command.ledgers) options.ledgers.emplace_back(ledger);
  real::Shard shard({.name = "stele"});
  const absl::StatusOr<bookie::IndexRepairReport> report =
      shard.RunUntil(bookie::RepairIndexes(shard.env(), std::move(options)));
  if (CodeOf(report.status()) == ErrorCode::kOverloaded) {
    PrintError(WithContext(report.status(), "stop the bookie first"), command.format);
    return ExitCodeOf(report.status());
  }
  if (!report.ok()) {
    PrintError(report.status(), command.format);
    return ExitCodeOf(report.status());
  }
  PrintRecord(Record()
                  .Set("ledgers_without_index", static_cast<int64_t>(report->without_index.size()))
                  .Set("uncertain_ledgers", static_cast<int64_t>(report->uncertain.size()))
                  .Set("locations_found", report->locations_found),
              command.format);
  return ExitCode::kOk;
}

}  // namespace stele::shell
