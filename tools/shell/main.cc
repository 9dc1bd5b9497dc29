// The stele program: one binary for bookies, operators and scripts. The flags*.cc files hold the
// command line; what the commands do is in the *_commands files.
#include <algorithm>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/shell/flags.h"
#include "tools/shell/java_names.h"
#include "tools/shell/output.h"

namespace stele::shell {
namespace {

// The words behind "stele shell" are Apache's; the rest of the command line is ours.
absl::StatusOr<std::vector<std::string>> OurWords(std::vector<std::string> words) {
  if (words.size() < 2 || words[0] != "shell") return words;
  if (words[1] == "--help" || words[1] == "-h") return words;
  return TranslateJavaCommand({words.begin() + 1, words.end()});
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Stele: a replicated, distributed log service, compatible with Apache BookKeeper 4.17");
  app.require_subcommand(1);
  app.footer(
      "stele COMMAND --help shows examples.\n"
      "Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 not found, 4 unavailable, 5 fenced "
      "or\nclosed, 6 damaged data, 7 unauthorized, 8 exists already");
  Run run;
  AddDaemonCommands(app, run);
  AddAutorecoveryCommands(app, run);
  AddCookieCommands(app, run);
  AddClusterCommands(app, run);
  AddLedgerCommands(app, run);
  AddToolCommands(app, run);
  app.add_subcommand("shell", "The commands of Apache BookKeeper's shell, by their names")
      ->footer(JavaCommandList());
  absl::StatusOr<std::vector<std::string>> words = OurWords({argv + 1, argv + argc});
  if (!words.ok()) {
    PrintError(words.status(), Format::kTable);
    return static_cast<int>(ExitCode::kUsage);
  }
  std::reverse(words->begin(), words->end());  // as the library takes them
  try {
    app.parse(*std::move(words));
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  if (run == nullptr) return app.exit(CLI::CallForHelp());  // shell, and nothing behind it
  return static_cast<int>(run());
}

}  // namespace
}  // namespace stele::shell

int main(int argc, char** argv) { return stele::shell::Main(argc, argv); }
