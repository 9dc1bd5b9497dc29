#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/shell/cluster_commands.h"
#include "tools/shell/flags.h"
#include "tools/shell/removal_command.h"
#include "tools/shell/rename_command.h"
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

void AddRemoval(CLI::App& cluster, Run& run, bool begins_anew) {
  CLI::App* command = cluster.add_subcommand(
      begins_anew ? "format" : "nuke",
      begins_anew ? "Remove all ledgers, cookies and repair, and begin with an empty cluster"
                  : "Remove everything that the metadata store knows of the cluster");
  auto options = std::make_shared<RemovalCommand>();
  options->begins_anew = begins_anew;
  AddCommonFlags(*command, options->common);
  command->add_option("--instance", options->instance,
                      "The cluster's instance id (stele cluster status): you mean this one");
  command->add_option("--root", options->root, "Must be the ledgers root of the metadata URI");
  command->add_flag("--dry-run", options->dry_run, "Show what there is, and remove nothing");
  command->footer(
      std::string("Refused while a bookie, an auditor or a worker runs. What bookies have on their "
                  "disks stays:\nempty their directories before they start again. One that was "
                  "interrupted goes on when it is\ncalled again.\nExamples:\n  stele cluster ") +
      (begins_anew ? "format" : "nuke") + " --dry-run\n  stele cluster " +
      (begins_anew ? "format" : "nuke") + " --instance 0f4b1d9e-...");
  command->callback([=, &run] { run = [=] { return RunClusterRemoval(*options); }; });
}

void AddRename(CLI::App& bookies, Run& run) {
  CLI::App* command = bookies.add_subcommand(
      "rename", "Another name for a bookie in the metadata of ledgers; no data moves");
  auto options = std::make_shared<RenameCommand>();
  AddCommonFlags(*command, options->common);
  command->add_option("--from", options->from, "The id that it had; it must not be up")->required();
  command->add_option("--to", options->to, "The id that it has now; it must be up")->required();
  command->add_flag("--apply", options->applies, "Do it; without this it is only shown");
  command->add_option("--rate", options->rate, "Ledgers a second; default 5, 0: no limit")
      ->check(CLI::Range(0, 1'000'000));
  command->add_option("--limit", options->limit, "Change no more ledgers than that; default: all")
      ->check(CLI::Range(0, 1'000'000'000));
  command
      ->add_option("--proofs", options->proofs,
                   "Ask first for an entry of so many of the ledgers; default 100")
      ->check(CLI::Range(1, 1'000'000'000));
  command->add_flag("--force", options->force,
                    "Although none of them had an entry with which the new name could show that it "
                    "is the same bookie");
  command->add_flag("--verbose", options->verbose, "A line on stderr for each ledger");
  command->footer(
      "Ledgers that a writer has open keep the old name until they are closed (exit code 4).\n"
      "One that was interrupted goes on when it is called again: what is done is passed over.\n"
      "Examples:\n  stele bookies rename --from 10.0.0.7:3181 --to bookie-7:3181\n"
      "  stele bookies rename --from 10.0.0.7:3181 --to bookie-7:3181 --apply --rate 100");
  command->callback([=, &run] { run = [=] { return RunBookiesRename(*options); }; });
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
  CLI::App* bookies = app.add_subcommand("bookies", "The bookies of a cluster");
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
  AddRename(*bookies, run);
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
  AddRemoval(*cluster, run, /*begins_anew=*/true);
  AddRemoval(*cluster, run, /*begins_anew=*/false);
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
