#include "tools/shell/take_over_commands.h"

#include <cstdio>

#include "bookie/take_over.h"
#include "common/real/shard.h"
#include "tools/shell/session.h"

namespace stele::shell {
namespace {

void PrintAll(const char* heading, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::printf("%s %s\n", heading, line.c_str());
}

}  // namespace

ExitCode RunTakeOverCheck(const TakeOverCheckCommand& command) {
  real::Shard shard({.name = "stele"});
  const absl::StatusOr<bookie::TakeOverReport> report =
      shard.RunUntil(bookie::CheckTakeOver(shard.env(), command.directories));
  if (!report.ok()) return Finish(report.status(), Format::kTable);
  PrintAll("found:    ", report->found);
  PrintAll("will do:  ", report->will_do);
  PrintAll("obstacle: ", report->obstacles);
  if (report->obstacles.empty()) {
    std::printf("yes: 'stele bookie' may start over these directories\n");
    return ExitCode::kOk;
  }
  std::printf("no: 'stele bookie' must not start over these directories\n");
  return ExitCode::kDamaged;
}

}  // namespace stele::shell
