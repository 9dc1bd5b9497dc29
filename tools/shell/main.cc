// The stele program: one binary for bookies, operators and scripts. The flags*.cc files hold the
// command line; what the commands do is in the *_commands files.
#include <CLI/CLI.hpp>

#include "tools/shell/flags.h"

namespace stele::shell {
namespace {

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
  AddClusterCommands(app, run);
  AddLedgerCommands(app, run);
  AddToolCommands(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  return static_cast<int>(run());
}

}  // namespace
}  // namespace stele::shell

int main(int argc, char** argv) { return stele::shell::Main(argc, argv); }
