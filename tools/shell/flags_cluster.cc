#include <memory>

#include <CLI/CLI.hpp>

#include "tools/shell/cluster_commands.h"
#include "tools/shell/flags.h"

namespace stele::shell {

void AddClientConfigFlag(CLI::App& command, std::string& path) {
  command
      .add_option("--client-conf", path,
                  "BookKeeper's configuration file of a client: its keys of TLS are used")
      ->envname("STELE_CLIENT_CONF");
}

void AddCommonFlags(CLI::App& command, CommonOptions& options) {
  command
      .add_option("--metadata", options.metadata_uri,
                  "Metadata service URI: sqlite:///path/meta.db or "
                  "zk+hierarchical://host:2181/ledgers")
      ->envname("STELE_METADATA");
  AddClientConfigFlag(command, options.client_config_path);
  command.add_flag_callback(
      "--json", [&options] { options.format = Format::kJson; }, "Print JSON, for programs");
}

void AddClusterCommands(CLI::App& app, Run& run) {
  CLI::App* cluster = app.add_subcommand("cluster", "Make a cluster, or look at one");
  cluster->require_subcommand(1);
  CLI::App* init = cluster->add_subcommand("init", "Make a new cluster in an empty metadata store");
  auto init_options = std::make_shared<ClusterInitCommand>();
  AddCommonFlags(*init, init_options->common);
  init->add_flag("--ok-if-exists", init_options->ok_if_exists,
                 "Succeed when the cluster is there already");
  init->footer("Example:\n  stele cluster init --metadata sqlite:///var/lib/stele/meta.db");
  init->callback([init_options, &run] { run = [=] { return RunClusterInit(*init_options); }; });

  CLI::App* status = cluster->add_subcommand("status", "Layout, bookies and ledgers of a cluster");
  auto status_options = std::make_shared<CommonOptions>();
  AddCommonFlags(*status, *status_options);
  status->footer("Example:\n  stele cluster status --metadata sqlite:///var/lib/stele/meta.db");
  status->callback(
      [status_options, &run] { run = [=] { return RunClusterStatus(*status_options); }; });

  AddFsckCommand(*cluster, run);

  CLI::App* bookies = app.add_subcommand("bookies", "Look at the bookies of a cluster");
  bookies->require_subcommand(1);
  CLI::App* list = bookies->add_subcommand("list", "All bookies with state and address");
  auto list_options = std::make_shared<CommonOptions>();
  AddCommonFlags(*list, *list_options);
  list->footer(
      "Example:\n  stele bookies list --metadata zk+hierarchical://localhost:2181/ledgers");
  list->callback([list_options, &run] { run = [=] { return RunBookiesList(*list_options); }; });
}

}  // namespace stele::shell
