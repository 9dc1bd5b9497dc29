#include <map>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/shell/autorecovery_commands.h"
#include "tools/shell/autorecovery_daemon.h"
#include "tools/shell/flags.h"
#include "tools/shell/format_command.h"
#include "tools/shell/operations_commands.h"
#include "tools/shell/quiesce_command.h"

namespace stele::shell {
namespace {

void AddDaemon(CLI::App& command, Run& run) {
  auto options = std::make_shared<AutorecoveryCommand>();
  command
      .add_option("--metadata", options->metadata_uri,
                  "Metadata service URI: sqlite:///path/meta.db or "
                  "zk+hierarchical://host:2181/ledgers")
      ->envname("STELE_METADATA");
  AddClientConfigFlag(command, options->client_config_path);
  command.add_option("--name", options->name, "What locks and votes say; default: the host's name");
  command.add_flag_callback(
      "--no-auditor", [options] { options->runs_auditor = false; }, "Run a worker only");
  command.add_flag_callback(
      "--no-worker", [options] { options->runs_worker = false; }, "Run an auditor only");
  command
      .add_option("--ledgers-in-flight", options->ledgers_in_flight,
                  "Ledgers repaired at the same time; default 64")
      ->check(CLI::Range(1, 4096));
  command
      .add_option("--racks", options->racks_path,
                  "A file with a line \"BOOKIE-OR-HOST /RACK\" for each, for --placement-check")
      ->check(CLI::ExistingFile);
  command
      .add_option("--placement-check", options->placement_check_seconds,
                  "Seconds between counts of closed ledgers in fewer than two racks; default 0: "
                  "never")
      ->check(CLI::NonNegativeNumber);
  command.add_option(
      "--http", options->http_address,
      "HOST:PORT of the admin port (a page for people, probes, /metrics); default: none");
  command.add_option("--http-token-file", options->http_token_path,
                     "The token that changes over HTTP need; default: no changes");
  command.add_option("--grpc", options->grpc_address,
                     "HOST:PORT of gRPC (health, state, drains); default: none");
  command.add_option("--grpc-token-file", options->grpc_token_path,
                     "The token that changes over gRPC need; default: no changes");
  command.add_option("--ready-file", options->ready_file, "Written once it runs");
  AddLogFlag(command, options->log_format);
  command.callback([options, &command, &run] {
    if (command.get_subcommands().empty()) run = [options] { return RunAutorecovery(*options); };
  });
}

std::shared_ptr<CommonOptions> Common(CLI::App& command) {
  auto options = std::make_shared<CommonOptions>();
  AddCommonFlags(command, *options);
  return options;
}

void AddLimit(CLI::App& autorecovery, Run& run) {
  CLI::App* command = autorecovery.add_subcommand(
      "limit", "Bytes per second that repair may move; 0: no limit. Holds at once, everywhere");
  auto options = std::make_shared<LimitCommand>();
  AddCommonFlags(*command, options->common);
  const auto add = [&](const char* flag, std::optional<int64_t>& value, const char* help) {
    command->add_option(flag, value, help)->check(CLI::NonNegativeNumber);
  };
  add("--cluster", options->cluster, "Written by all workers together");
  add("--source", options->source, "Read from one bookie by one worker");
  add("--target", options->target, "Written to one bookie by one worker");
  add("--check", options->check, "Read by the auditor's checks");
  command->footer(
      "Examples:\n"
      "  stele autorecovery limit\n"
      "  stele autorecovery limit --cluster 50000000 --target 10000000");
  command->callback([=, &run] { run = [=] { return RunAutorecoveryLimit(*options); }; });
}

void AddSwitches(CLI::App& autorecovery, Run& run) {
  for (const bool enabled : {true, false}) {
    CLI::App* command = autorecovery.add_subcommand(
        enabled ? "enable" : "disable",
        enabled ? "Let auditors publish and workers repair" : "Stop all repair in the cluster");
    const auto common = Common(*command);
    command->footer(enabled ? "Example:\n  stele autorecovery enable"
                            : "Example:\n  stele autorecovery disable; it stays so until enabled");
    command->callback([=, &run] { run = [=] { return RunAutorecoverySwitch(*common, enabled); }; });
  }
}

void AddList(CLI::App& autorecovery, Run& run) {
  CLI::App* list = autorecovery.add_subcommand("list", "The ledgers that are marked for repair");
  auto options = std::make_shared<AutorecoveryListCommand>();
  AddCommonFlags(*list, options->common);
  list->add_option("--missing", options->missing, "Only those that lack this bookie's copy");
  list->add_option("--not-missing", options->not_missing, "None of those");
  list->add_flag("--locked", options->locked, "Only those that a worker works on now");
  list->footer("Examples:\n  stele autorecovery list\n  stele autorecovery list --locked");
  list->callback([=, &run] { run = [=] { return RunAutorecoveryList(*options); }; });
}

void AddRecheck(CLI::App& autorecovery, Run& run) {
  CLI::App* command = autorecovery.add_subcommand(
      "recheck", "Let the auditor make these checks now, if it makes them at all");
  auto options = std::make_shared<RecheckCommand>();
  AddCommonFlags(*command, options->common);
  command->add_flag("--ledgers", options->ledgers, "Of all copies of all ledgers");
  command->add_flag("--placement", options->placement, "Of racks");
  command->add_flag("--replicas", options->replicas, "One that only Apache's auditors have");
  command->footer(
      "Apache's auditors look when they are elected next: restart them. To check all copies "
      "yourself: stele cluster fsck.\n"
      "Example:\n  stele autorecovery recheck --ledgers");
  command->callback([=, &run] { run = [=] { return RunAutorecoveryRecheck(*options); }; });
}

void AddAutorecovery(CLI::App& app, Run& run) {
  CLI::App* autorecovery = app.add_subcommand(
      "autorecovery", "Run auditor and replication worker until SIGTERM, or steer them");
  autorecovery->require_subcommand(0, 1);
  autorecovery->footer(
      "Examples:\n"
      "  stele autorecovery --metadata zk+hierarchical://localhost:2181/ledgers\n"
      "  stele autorecovery --no-auditor\n"
      "  stele autorecovery status");
  AddDaemon(*autorecovery, run);

  CLI::App* status = autorecovery->add_subcommand("status", "Who runs, and what is left to do");
  const auto status_common = Common(*status);
  status->footer("Example:\n  stele autorecovery status --json");
  status->callback([=, &run] { run = [=] { return RunAutorecoveryStatus(*status_common); }; });

  AddList(*autorecovery, run);
  AddRecheck(*autorecovery, run);

  AddSwitches(*autorecovery, run);
  AddLimit(*autorecovery, run);

  CLI::App* delay = autorecovery->add_subcommand(
      "delay", "How long a lost bookie may stay away before its ledgers are repaired");
  const auto delay_common = Common(*delay);
  auto seconds = std::make_shared<std::optional<int64_t>>();
  delay->add_option("SECONDS", *seconds, "The new value; without: print it")
      ->check(CLI::NonNegativeNumber);
  delay->footer("Examples:\n  stele autorecovery delay\n  stele autorecovery delay 600");
  delay->callback(
      [=, &run] { run = [=] { return RunAutorecoveryDelay(*delay_common, *seconds); }; });

  CLI::App* audit = autorecovery->add_subcommand(
      "audit", "Let the auditor look at once, and wait for no lost bookie any longer");
  const auto audit_common = Common(*audit);
  audit->footer("Example:\n  stele autorecovery audit");
  audit->callback([=, &run] { run = [=] { return RunAutorecoveryAudit(*audit_common); }; });

  CLI::App* forget = autorecovery->add_subcommand(
      "forget", "Take a ledger out of quarantine, so that it is tried again");
  const auto forget_common = Common(*forget);
  auto ledger = std::make_shared<int64_t>(0);
  forget->add_option("LEDGER", *ledger, "Its id")->required()->check(CLI::NonNegativeNumber);
  forget->footer("Example:\n  stele autorecovery forget 42");
  forget->callback(
      [=, &run] { run = [=] { return RunAutorecoveryForget(*forget_common, *ledger); }; });
}

void AddQuiesce(CLI::App& node, Run& run) {
  CLI::App* command = node.add_subcommand(
      "quiesce", "Make a bookie read-only, and wait until it has nothing to acknowledge any more");
  auto options = std::make_shared<QuiesceCommand>();
  AddCommonFlags(*command, options->common);
  command->add_option("BOOKIE", options->bookie, "Its id")->required();
  command
      ->add_option("--token-file", options->token_path,
                   "Of its admin port; stele.httpTokenFile of its configuration")
      ->required();
  command->add_option("--timeout", options->timeout_seconds, "Seconds; default 120")
      ->check(CLI::Range(1, 86'400));
  command->footer(
      "Before it is stopped: its writers go on with others, without waiting for timeouts. It is "
      "writable again when it is restarted. Exit code 4 after the timeout.\n"
      "Example:\n  stele node quiesce bookie-3:3181 --token-file /etc/stele/token");
  command->callback([=, &run] { run = [=] { return RunNodeQuiesce(*options); }; });
}

void AddWaitFlags(CLI::App& command, WaitLimits& limits) {
  command
      .add_option("--timeout", limits.timeout_seconds,
                  "Seconds; default: as long as there is progress")
      ->check(CLI::PositiveNumber);
  command.add_flag("--skip-quarantined", limits.skip_quarantined,
                   "Do not wait for ledgers with entries that no bookie gives");
}

void AddNode(CLI::App& app, Run& run) {
  CLI::App* node = app.add_subcommand("node", "Take a bookie out of the cluster, or look at it");
  node->require_subcommand(1);

  CLI::App* drain = node->add_subcommand(
      "drain", "Move all copies of a living bookie to others, and wait until it is done");
  auto options = std::make_shared<DrainCommand>();
  AddCommonFlags(*drain, options->common);
  drain->add_option("BOOKIE", options->bookie, "Its id")->required();
  drain->add_flag("--dry-run", options->dry_run, "Say what would be moved, and do nothing");
  drain->add_flag_callback(
      "--no-wait", [options] { options->wait = false; }, "Order it and come back at once");
  drain->add_option("--token-file", options->token_path,
                    "Of its admin port: it is made read-only first, until it is restarted");
  AddWaitFlags(*drain, options->limits);
  drain->footer(
      "The replication workers do it, behind all repair. Exit code 4 when something is left that "
      "waiting does not move, or did not in time; what is in the way is named.\n"
      "Examples:\n"
      "  stele node drain bookie-3:3181 --dry-run\n"
      "  stele node drain bookie-3:3181 --token-file /etc/stele/token");
  drain->callback([=, &run] { run = [=] { return RunNodeDrain(*options); }; });

  AddQuiesce(*node, run);
  AddNodeTry(*node, run);

  CLI::App* format = node->add_subcommand(
      "format", "Empty the directories of a stopped bookie that nothing names any more");
  auto format_options = std::make_shared<FormatCommand>();
  AddCommonFlags(*format, format_options->common);
  format->add_option("BOOKIE", format_options->bookie, "Its id, as its directories have it")
      ->required();
  format
      ->add_option("--directory", format_options->directories,
                   "Of journals, ledgers and indexes, as configured; repeatable, all of them")
      ->required();
  format->add_flag("--delete-cookie", format_options->deletes_cookie,
                   "And its cookie: it may come back as a new one");
  format->add_flag(
      "--force", format_options->force,
      "Although ledgers have copies there, or a directory does not say that it is of this "
      "cluster");
  format->add_flag("--apply", format_options->applies, "Do it; without this it is only shown");
  format->footer(
      "Examples:\n  stele node format bookie-3:3181 --directory /data/journal --directory "
      "/data/ledgers\n"
      "  stele node format bookie-3:3181 --directory /data/journal --directory /data/ledgers "
      "--delete-cookie --apply");
  format->callback([=, &run] { run = [=] { return RunNodeFormat(*format_options); }; });

  CLI::App* undrain = node->add_subcommand("undrain", "Stop a drain; what was moved stays moved");
  const auto undrain_common = Common(*undrain);
  auto undrained = std::make_shared<std::string>();
  undrain->add_option("BOOKIE", *undrained, "Its id")->required();
  undrain->footer("Example:\n  stele node undrain bookie-3:3181");
  undrain->callback(
      [=, &run] { run = [=] { return RunNodeUndrain(*undrain_common, *undrained); }; });

  CLI::App* status =
      node->add_subcommand("status", "Its disks, and what metadata still gives to it");
  const auto status_common = Common(*status);
  auto shown = std::make_shared<std::string>();
  status->add_option("BOOKIE", *shown, "Its id")->required();
  status->footer("Example:\n  stele node status bookie-3:3181 --json");
  status->callback([=, &run] { run = [=] { return RunNodeStatus(*status_common, *shown); }; });
}

void AddRecover(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand(
      "recover", "Repair all ledgers of a bookie that is down, now, and wait until it is done");
  auto options = std::make_shared<RecoverCommand>();
  AddCommonFlags(*command, options->common);
  command->add_option("BOOKIE", options->bookie, "Its id")->required();
  command->add_flag("--dry-run", options->dry_run, "Say how many ledgers, and do nothing");
  command->add_flag_callback(
      "--no-wait", [options] { options->wait = false; }, "Mark them and come back at once");
  command->add_flag("--delete-cookie", options->delete_cookie,
                    "When no ledger names it any more: it is out of the cluster");
  AddWaitFlags(*command, options->limits);
  command->footer(
      "The replication workers do it. Exit code 5 when the bookie is up, 4 when ledgers are left.\n"
      "Examples:\n"
      "  stele recover bookie-3:3181 --dry-run\n"
      "  stele recover bookie-3:3181 --delete-cookie");
  command->callback([=, &run] { run = [=] { return RunRecover(*options); }; });
}

void AddGate(CLI::App& app, Run& run) {
  CLI::App* gate = app.add_subcommand("gate", "Ask before you do it");
  gate->require_subcommand(1);
  CLI::App* restart =
      gate->add_subcommand("restart", "May these bookies be stopped now, for a restart?");
  auto options = std::make_shared<GateCommand>();
  AddCommonFlags(*restart, options->common);
  restart->add_option("BOOKIES", options->bookies, "Their ids")->required();
  restart->add_option("--min-copies", options->copies_min, "That must stay readable; default 2")
      ->check(CLI::Range(1, 64));
  restart->footer(
      "Reads the metadata of all ledgers. Exit code 4: not now; G1 to G5 say why.\n"
      "Example:\n  stele gate restart bookie-3:3181");
  restart->callback([=, &run] { run = [=] { return RunGateRestart(*options); }; });
}

}  // namespace

void AddAutorecoveryCommands(CLI::App& app, Run& run) {
  AddAutorecovery(app, run);
  AddNode(app, run);
  AddRecover(app, run);
  AddGate(app, run);
}

void AddFsckCommand(CLI::App& cluster, Run& run) {
  CLI::App* command = cluster.add_subcommand(
      "fsck", "Prove that every entry has its copies, or show where it has not; changes nothing");
  auto options = std::make_shared<FsckCommand>();
  AddCommonFlags(*command, options->common);
  using autorecovery::CheckDepth;
  const std::map<std::string, CheckDepth> depths = {{"metadata", CheckDepth::kMetadata},
                                                    {"availability", CheckDepth::kAvailability},
                                                    {"sample", CheckDepth::kSample},
                                                    {"full", CheckDepth::kFull}};
  command
      ->add_option(
          "--mode", options->depth,
          "metadata: what the store says. availability (default): what each bookie says it "
          "has.\nsample: first and last entries are read. full: every copy is read")
      ->transform(CLI::CheckedTransformer(depths));
  command->add_option("--ledger", options->ledger, "Only this one")->check(CLI::NonNegativeNumber);
  command->add_option("--in-flight", options->ledgers_in_flight, "Ledgers at a time; default 16")
      ->check(CLI::Range(1, 4096));
  command->footer(
      "Exit code 6 when anything is found.\n"
      "Examples:\n"
      "  stele cluster fsck\n"
      "  stele cluster fsck --mode full --ledger 42 --json");
  command->callback([=, &run] { run = [=] { return RunClusterFsck(*options); }; });
}

void AddExplainCommand(CLI::App& ledger, Run& run) {
  CLI::App* command = ledger.add_subcommand(
      "explain", "Where each copy of a ledger is, and what its bookies say they have");
  const auto common = Common(*command);
  auto id = std::make_shared<int64_t>(0);
  command->add_option("LEDGER", *id, "Its id")->required()->check(CLI::NonNegativeNumber);
  command->footer("Exit code 6 when a copy is missing.\nExample:\n  stele ledger explain 42");
  command->callback([=, &run] { run = [=] { return RunLedgerExplain(*common, *id); }; });
}

}  // namespace stele::shell
