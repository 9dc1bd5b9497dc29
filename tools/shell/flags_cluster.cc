#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/shell/cluster_commands.h"
#include "tools/shell/flags.h"
#include "tools/shell/try_commands.h"

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

namespace {

using RunCommon = ExitCode (*)(const CommonOptions&);

void AddPlain(CLI::App& parent, Run& run, const char* name, const char* what, const char* footer,
              RunCommon function) {
  CLI::App* command = parent.add_subcommand(name, what);
  auto options = std::make_shared<CommonOptions>();
  AddCommonFlags(*command, *options);
  command->footer(footer);
  command->callback([=, &run] { run = [=] { return function(*options); }; });
}

void AddInit(CLI::App& cluster, Run& run) {
  CLI::App* init = cluster.add_subcommand("init", "Make a new cluster in an empty metadata store");
  auto options = std::make_shared<ClusterInitCommand>();
  AddCommonFlags(*init, options->common);
  init->add_flag("--ok-if-exists", options->ok_if_exists,
                 "Succeed when the cluster is there already");
  init->footer("Example:\n  stele cluster init --metadata sqlite:///var/lib/stele/meta.db");
  init->callback([options, &run] { run = [=] { return RunClusterInit(*options); }; });
}

void AddTryFlags(CLI::App& command, TryCommand& options) {
  AddCommonFlags(command, options.common);
  command.add_option("--entries", options.entries, "Of 100 bytes; default 100")
      ->check(CLI::Range(1, 1'000'000));
  command.add_option("--timeout", options.timeout_seconds, "Seconds, for each; default 5")
      ->check(CLI::Range(1, 3600));
}

void AddClusterTry(CLI::App& cluster, Run& run) {
  CLI::App* command =
      cluster.add_subcommand("try", "Write a ledger, read it back, compare, and delete it");
  auto options = std::make_shared<TryCommand>();
  AddTryFlags(*command, *options);
  command->add_option("-E,--ensemble", options->replication.ensemble_size, "Default 3");
  command->add_option("-W,--write-quorum", options->replication.write_quorum_size, "Default 2");
  command->add_option("-A,--ack-quorum", options->replication.ack_quorum_size, "Default 2");
  command->footer("Example:\n  stele cluster try --ensemble 3 --write-quorum 3");
  command->callback([options, &run] { run = [=] { return RunTry(*options); }; });
}

void AddBookies(CLI::App& app, Run& run) {
  CLI::App* bookies = app.add_subcommand("bookies", "Look at the bookies of a cluster");
  bookies->require_subcommand(1);
  CLI::App* list = bookies->add_subcommand("list", "All bookies with state and address");
  auto listed = std::make_shared<BookiesListCommand>();
  AddCommonFlags(*list, listed->common);
  list->add_option("--state", listed->state, "Only those: writable, read-only, up or down")
      ->check(CLI::IsMember({"writable", "read-only", "up", "down"}));
  list->footer(
      "Example:\n  stele bookies list --metadata zk+hierarchical://localhost:2181/ledgers");
  list->callback([listed, &run] { run = [=] { return RunBookiesList(*listed); }; });

  CLI::App* show = bookies->add_subcommand("show", "What a bookie says about itself: endpoints");
  auto common = std::make_shared<CommonOptions>();
  auto bookie = std::make_shared<std::string>();
  AddCommonFlags(*show, *common);
  show->add_option("BOOKIE", *bookie, "Its id")->required();
  show->footer("Example:\n  stele bookies show bookie-3:3181");
  show->callback([=, &run] { run = [=] { return RunBookiesShow(*common, *bookie); }; });

  AddPlain(*bookies, run, "space", "The disks of all bookies that are up, and their sum",
           "Exit code 4 when one does not answer.\nExample:\n  stele bookies space --json",
           RunBookiesSpace);
}

}  // namespace

void AddClusterCommands(CLI::App& app, Run& run) {
  CLI::App* cluster = app.add_subcommand("cluster", "Make a cluster, or look at one");
  cluster->require_subcommand(1);
  AddInit(*cluster, run);
  AddPlain(*cluster, run, "status", "Layout, bookies and ledgers of a cluster",
           "Example:\n  stele cluster status --metadata sqlite:///var/lib/stele/meta.db",
           RunClusterStatus);
  AddPlain(*cluster, run, "doctor", "What is wrong now, and what to do about it",
           "Asks the store and each bookie, reads the metadata of all ledgers, changes nothing.\n"
           "Exit code 6 when something is critical, 4 when something else was found.\n"
           "Example:\n  stele cluster doctor --json",
           RunClusterDoctor);
  AddFsckCommand(*cluster, run);
  AddClusterTry(*cluster, run);
  AddBookies(app, run);
}

void AddNodeTry(CLI::App& node, Run& run) {
  CLI::App* command =
      node.add_subcommand("try", "Write a ledger on this bookie alone, read it back, delete it");
  auto options = std::make_shared<TryCommand>();
  command->add_option("BOOKIE", options->bookie, "Its id; it has to be writable")->required();
  AddTryFlags(*command, *options);
  command->footer("Example:\n  stele node try bookie-3:3181 --entries 10");
  command->callback([options, &run] { run = [=] { return RunTry(*options); }; });
}

}  // namespace stele::shell
