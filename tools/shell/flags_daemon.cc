#include <map>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/shell/daemon_commands.h"
#include "tools/shell/flags.h"

namespace stele::shell {

void AddLogFlag(CLI::App& command, LogFormat& format) {
  const std::map<std::string, LogFormat> formats = {{"text", LogFormat::kText},
                                                    {"json", LogFormat::kJsonLines}};
  command.add_option("--log", format, "text or json, on stderr; default text")
      ->transform(CLI::CheckedTransformer(formats));
}

namespace {

void AddBookie(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand("bookie", "Run a storage node until SIGTERM");
  auto options = std::make_shared<BookieCommand>();
  command->add_option("--conf", options->config_path, "BookKeeper's bk_server.conf")
      ->check(CLI::ExistingFile);
  command->add_flag("--allow-unknown-keys", options->allow_unknown_keys,
                    "Warn about unknown keys in the file instead of refusing it");
  command->add_option("--set", options->settings, "key=value, as a line of the file; repeatable");
  command->add_option("--metadata", options->metadata_uri,
                      "Metadata service URI: sqlite:///path/meta.db or "
                      "zk+hierarchical://host:2181/ledgers; default: metadataServiceUri of the "
                      "file, then STELE_METADATA");
  // The environment comes last: the file of a bookie names its cluster. CLI11 reads it for options
  // only; this one is in no help.
  command->add_option("--default-metadata", options->default_metadata_uri)
      ->envname("STELE_METADATA")
      ->group("");
  command->add_option("--data", options->data_directory,
                      "Keep journal and ledgers below this directory");
  command->add_option("--port", options->port, "Listen here instead of bookiePort; 0: a free port")
      ->check(CLI::Range(0, 65535));
  command->add_flag("--init", options->init_if_missing, "Make the cluster when there is none yet");
  command->add_option("--ready-file", options->ready_file,
                      "Write host:port here once the bookie serves");
  AddLogFlag(*command, options->log_format);
  command->footer(
      "Examples:\n"
      "  stele bookie --conf bk_server.conf\n"
      "  stele bookie --metadata sqlite:///var/lib/stele/meta.db --data /var/lib/stele --init\n"
      "  stele bookie --conf bk_server.conf --set journalMaxSizeMB=512");
  command->callback([options, &run] { run = [options] { return RunBookie(*options); }; });
}

void AddStandalone(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand(
      "standalone",
      "Run several bookies on an embedded metadata store, in one process, to try things");
  auto options = std::make_shared<StandaloneCommand>();
  command->add_option("--data", options->data_directory, "Keep everything below this directory")
      ->required();
  command->add_option("--bookies", options->bookies, "How many; default 3")
      ->check(CLI::Range(1, 64));
  command
      ->add_option("--base-port", options->base_port,
                   "Bookie i listens on this + i; default: free ports")
      ->check(CLI::Range(0, 65000));
  command->add_option("--ready-file", options->ready_file,
                      "Write the metadata URI and a line per bookie here once all serve");
  AddLogFlag(*command, options->log_format);
  command->footer("Example:\n  stele standalone --data /tmp/stele");
  command->callback([options, &run] { run = [options] { return RunStandalone(*options); }; });
}

}  // namespace

void AddDaemonCommands(CLI::App& app, Run& run) {
  AddBookie(app, run);
  AddStandalone(app, run);
}

}  // namespace stele::shell
