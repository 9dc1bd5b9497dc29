#include "tools/shell/dump_commands.h"

#include <cstdio>
#include <string>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/shard.h"
#include "tools/shell/session.h"

namespace stele::shell {
namespace {

void PrintLine(const Record& record, Format format) {
  if (format == Format::kJson) {
    std::printf("%s\n", ToJson(record).c_str());
  } else {
    std::printf("%s\n", ToLine(record).c_str());
  }
}

Task<absl::StatusOr<int64_t>> StartDump(Env env, const DumpCommand& command) {
  const Format format = command.format;
  const dump::Emit emit = [format](const Record& record) { PrintLine(record, format); };
  switch (command.kind) {
    case DumpKind::kJournal: return dump::DumpJournal(env, command.options, emit);
    case DumpKind::kEntryLog: return dump::DumpEntryLog(env, command.options, emit);
    case DumpKind::kMarks: return dump::DumpMarks(env, command.options, emit);
    case DumpKind::kIndex: break;
  }
  return dump::DumpIndex(env, command.options, emit);
}

}  // namespace

ExitCode RunDump(const DumpCommand& command) {
  real::Shard shard({.name = "stele"});
  const absl::StatusOr<int64_t> damaged = shard.RunUntil(StartDump(shard.env(), command));
  if (!damaged.ok()) return Finish(damaged.status(), command.format);
  if (*damaged == 0) return ExitCode::kOk;
  return Finish(MakeError(ErrorCode::kCorruptData,
                          StrCat(command.options.path, ": ", *damaged,
                                 *damaged == 1 ? " damaged place" : " damaged places")),
                command.format);
}

}  // namespace stele::shell
