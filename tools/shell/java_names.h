// Apache BookKeeper's names of what our commands do, for people and scripts that know its shell:
// `stele shell listledgers -meta` is `stele ledger list --details`. One table; the commands are
// ours, with our output and our exit codes. Pure. docs/JAVA_COMMANDS.md shows the table.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace stele::shell {

// Our words for what follows "stele shell". Options are taken with one dash or two, by their long
// and short names, and "-conf FILE" before the command, as Apache's are.
//   errors   kInvalidArgument   no such command or option
//            kUnsupported       there is none of ours; the message says what to do instead
absl::StatusOr<std::vector<std::string>> TranslateJavaCommand(
    const std::vector<std::string>& words);

// Each command of Apache's with ours, a line each, for --help.
std::string JavaCommandList();

}  // namespace stele::shell
