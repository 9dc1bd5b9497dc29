// stele dump journal|entrylog|index|marks: prints the records of a bookie's files.
#pragma once

#include "tools/dump/dump.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/output.h"

namespace stele::shell {

enum class DumpKind { kJournal, kEntryLog, kIndex, kMarks };

struct DumpCommand {
  DumpKind kind = DumpKind::kJournal;
  dump::DumpOptions options;
  Format format = Format::kTable;  // JSON: one object a line, so that huge files can be piped
};
// kDamaged when a place in the file is damaged.
ExitCode RunDump(const DumpCommand& command);

}  // namespace stele::shell
