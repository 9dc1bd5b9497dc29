#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/shell/bench_commands.h"
#include "tools/shell/dump_commands.h"
#include "tools/shell/flags.h"
#include "tools/shell/repair_commands.h"
#include "tools/shell/take_over_commands.h"
#include "tools/shell/usage_command.h"
#include "tools/shell/version.h"

namespace stele::shell {
namespace {

void AddJson(CLI::App& command, Format& format) {
  command.add_flag_callback(
      "--json", [&format] { format = Format::kJson; }, "Print JSON, for programs");
}

void AddDump(CLI::App& dump, Run& run, DumpKind kind, const char* name, const char* what,
             const char* example) {
  CLI::App* command = dump.add_subcommand(name, what);
  auto options = std::make_shared<DumpCommand>();
  options->kind = kind;
  command->add_option("file", options->options.path, "The file")->required();
  command->add_option_function<int64_t>(
      "--ledger", [options](int64_t ledger) { options->options.ledger = LedgerId(ledger); },
      "Only records of this ledger");
  command->add_flag("--payload", options->options.payload, "With the first bytes of each entry");
  AddJson(*command, options->format);
  command->footer(example);
  command->callback([options, &run] { run = [options] { return RunDump(*options); }; });
}

void AddTakeOver(CLI::App& app, Run& run) {
  CLI::App* take_over =
      app.add_subcommand("takeover", "Before a bookie changes hands: Apache's to ours, or back");
  take_over->require_subcommand(1);
  CLI::App* command = take_over->add_subcommand(
      "check", "Look at the directories of a stopped bookie, change nothing, and say yes or no");
  auto options = std::make_shared<TakeOverCheckCommand>();
  command
      ->add_option("directories", options->directories,
                   "All its journal, ledger and index directories, as configured")
      ->required();
  command->footer("Example:\n  stele takeover check /data/journal /data/ledgers");
  command->callback([options, &run] { run = [options] { return RunTakeOverCheck(*options); }; });
}

void AddBenchDevice(CLI::App& bench, Run& run) {
  CLI::App* command = bench.add_subcommand(
      "device",
      "The floor: a durable 4 KiB write, a round trip over loopback, and both for three copies");
  auto options = std::make_shared<BenchDeviceCommand>();
  options->options.directory = ".";
  command->add_option("--directory", options->options.directory,
                      "On the disk to measure; default .");
  command->add_option("--writes", options->options.writes, "Default 2000")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--round-trips", options->options.round_trips, "Default 10000")
      ->check(CLI::Range(1, 10'000'000));
  AddJson(*command, options->format);
  command->footer("Example:\n  stele bench device --directory /var/lib/stele");
  command->callback([options, &run] { run = [options] { return RunBenchDevice(*options); }; });
}

void AddBenchFlags(CLI::App& command, BenchOptions& options) {
  AddCommonFlags(command, options.common);
  AddPasswordFlags(command, options.password);
  command
      .add_option("--warmup", options.warmup_seconds, "Seconds before the first window; default 2")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--server-pid", options.server_pids,
                     "Count the CPU time of this process too; repeatable");
  command.add_flag("--peer-protocol", options.peer_protocol,
                   "Print @start and @end around windows, for a runner");
}

void AddBenchLoadFlags(CLI::App& command, BenchLoadOptions& options) {
  AddBenchFlags(command, options);
  command.add_option("--window", options.window_seconds, "Seconds; default 5")
      ->check(CLI::PositiveNumber);
  command.add_option("--windows", options.windows, "Default 3")->check(CLI::NonNegativeNumber);
  command.add_flag("--keep", options.keep, "Keep the ledgers and print their ids on stderr");
}

void AddBenchWrite(CLI::App& bench, Run& run) {
  CLI::App* command = bench.add_subcommand("write", "Append as fast as it goes, or at a rate");
  auto options = std::make_shared<BenchWriteCommand>();
  bench::WriteLoadOptions& load = options->load;
  AddBenchLoadFlags(*command, options->bench);
  AddReplicationFlags(*command, load.replication, load.digest_type);
  command->add_option("--ledgers", load.ledgers, "Default 1")->check(CLI::Range(1, 100'000));
  command
      ->add_option("--outstanding", load.outstanding,
                   "Appends under way, of all ledgers together; default 1000")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--entry-size", load.entry_size_bytes, "Bytes; default 1024")
      ->check(CLI::Range(0, 5'000'000));
  command
      ->add_option("--rate", load.rate_per_second,
                   "Open loop: so many appends a second, latency from the time due")
      ->check(CLI::PositiveNumber);
  command->footer(
      "Examples:\n"
      "  stele bench write --outstanding 1000 --server-pid $(pidof -s stele)\n"
      "  stele bench write --outstanding 1            one append at a time\n"
      "  stele bench write --rate 10000 --ledgers 10  open loop");
  command->callback([options, &run] { run = [options] { return RunBenchWrite(*options); }; });
}

void AddBenchTail(CLI::App& bench, Run& run) {
  CLI::App* command = bench.add_subcommand(
      "tail", "How long it takes from an append until a reader that follows has the entry");
  auto options = std::make_shared<BenchWriteCommand>();
  bench::WriteLoadOptions& load = options->load;
  load.rate_per_second = 1000;
  load.outstanding = 10'000;
  AddBenchLoadFlags(*command, options->bench);
  AddReplicationFlags(*command, load.replication, load.digest_type);
  command->add_option("--rate", load.rate_per_second, "Appends a second; default 1000")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--entry-size", load.entry_size_bytes, "Bytes; default 1024")
      ->check(CLI::Range(0, 5'000'000));
  command->footer(
      "p50_us and the like count from the time at which an append was due, since_call_* from its\n"
      "call. A reader learns that an entry is acknowledged from the next one, or from\n"
      "explicitLacInterval of --client-conf.\n"
      "Example:\n"
      "  stele bench tail --server-pid $(pidof -s stele)");
  command->callback([options, &run] { run = [options] { return RunBenchTail(*options); }; });
}

void AddBenchCreate(CLI::App& bench, Run& run) {
  CLI::App* command = bench.add_subcommand("create", "Create ledgers and close them, empty");
  auto options = std::make_shared<BenchCreateCommand>();
  AddBenchLoadFlags(*command, options->bench);
  AddReplicationFlags(*command, options->load.replication, options->load.digest_type);
  command->add_option("--at-once", options->load.at_once, "So many at a time; default 16")
      ->check(CLI::Range(1, 100'000));
  command->footer(
      "Example:\n"
      "  stele bench create --at-once 1");
  command->callback([options, &run] { run = [options] { return RunBenchCreate(*options); }; });
}

void AddBenchRead(CLI::App& bench, Run& run) {
  CLI::App* command = bench.add_subcommand("read", "Read ledgers from the first to the last entry");
  auto options = std::make_shared<BenchReadCommand>();
  AddBenchFlags(*command, options->bench);
  command->add_option("ledgers", options->ledgers, "Each is read once, in one window")->required();
  command->add_option("--entries", options->load.entries_per_request, "A request; default 100")
      ->check(CLI::Range(1, 100'000));
  command->add_option("--in-flight", options->load.in_flight, "Requests under way; default 8")
      ->check(CLI::Range(1, 10'000));
  command->add_flag("--batch", options->load.batch,
                    "Ask one bookie for many entries at once (ensemble = write quorum only)");
  command->add_option_function<int64_t>(
      "--warmup-ledger", [options](int64_t id) { options->warmup_ledger = id; },
      "Read this one during the warm-up");
  command->add_flag("--cold", options->cold,
                    "Each ledger twice: with an empty page cache (needs a runner), then again");
  command->footer(
      "Example:\n"
      "  stele bench write --keep --windows 1 && stele bench read 1");
  command->callback([options, &run] { run = [options] { return RunBenchRead(*options); }; });
}

void AddDirectories(CLI::App& command, std::vector<std::string>& ledgers,
                    std::vector<std::string>& indexes) {
  command
      .add_option("--ledger-directory", ledgers, "As in ledgerDirectories; repeatable, all of them")
      ->required();
  command.add_option("--index-directory", indexes,
                     "As in indexDirectories, when they lie elsewhere; repeatable");
}

void AddRepairCheck(CLI::App& repair, Run& run) {
  CLI::App* command = repair.add_subcommand(
      "check", "Read everything that a stopped bookie stores, and say what is wrong");
  auto options = std::make_shared<RepairCheckCommand>();
  AddCommonFlags(*command, options->common);
  AddDirectories(*command, options->ledger_directories, options->index_directories);
  command->footer(
      "Changes nothing. With --metadata digests are compared, too. What is in its journals only is "
      "not\nlooked at. Exit code 6 when something is wrong.\n"
      "Example:\n  stele repair check --ledger-directory /var/lib/stele/ledgers");
  command->callback([options, &run] { run = [options] { return RunRepairCheck(*options); }; });
}

void AddRepairIndex(CLI::App& repair, Run& run) {
  CLI::App* command = repair.add_subcommand(
      "index",
      "Bring back what the index files of a stopped bookie have lost, from its entry logs");
  auto options = std::make_shared<RepairIndexCommand>();
  AddDirectories(*command, options->ledger_directories, options->index_directories);
  command->add_option("ledgers", options->ledgers, "Only these; default: all that lost something");
  AddJson(*command, options->format);
  command->footer("Example:\n  stele repair index --ledger-directory /var/lib/stele/ledgers");
  command->callback([options, &run] { run = [options] { return RunRepairIndex(*options); }; });
}

}  // namespace

void AddToolCommands(CLI::App& app, Run& run) {
  CLI::App* bench = app.add_subcommand("bench", "Measure");
  bench->require_subcommand(1);
  AddBenchWrite(*bench, run);
  AddBenchTail(*bench, run);
  AddBenchCreate(*bench, run);
  AddBenchRead(*bench, run);
  AddBenchDevice(*bench, run);

  CLI::App* dump = app.add_subcommand("dump", "Show what is in a file of a bookie");
  dump->require_subcommand(1);
  AddDump(*dump, run, DumpKind::kJournal, "journal", "Records of a journal file (.txn)",
          "Example:\n  stele dump journal /var/lib/stele/journal/current/18c5f1a2b3c.txn");
  AddDump(*dump, run, DumpKind::kEntryLog, "entrylog", "Entries of an entry log (.log)",
          "Example:\n  stele dump entrylog /var/lib/stele/ledgers/current/0.log --ledger 7");
  AddDump(*dump, run, DumpKind::kIndex, "index", "Header and entries of a ledger's index (.idx)",
          "Examples:\n  stele dump index /var/lib/stele/ledgers/current/0/0/7.idx\n"
          "  stele dump index "
          "/var/lib/stele/ledgers/current/extents/0000000000000001-0000000000000009.run");

  CLI::App* usage = dump->add_subcommand("usage", "What each ledger takes of an entry log (.log)");
  auto usage_options = std::make_shared<UsageCommand>();
  AddCommonFlags(*usage, usage_options->common);
  usage->add_option("file", usage_options->path, "The entry log")->required();
  usage->add_flag("--live", usage_options->live, "Ask the cluster whether it still has each");
  usage->footer(
      "Examples:\n  stele dump usage /var/lib/stele/ledgers/current/0.log\n"
      "  stele dump usage /var/lib/stele/ledgers/current/0.log --live --json");
  usage->callback([=, &run] { run = [=] { return RunDumpUsage(*usage_options); }; });

  CLI::App* marks = dump->add_subcommand(
      "marks", "Where the replay of each journal would begin, by a ledger directory");
  auto marks_options = std::make_shared<DumpCommand>();
  marks_options->kind = DumpKind::kMarks;
  marks->add_option("directory", marks_options->options.path, "As in ledgerDirectories")
      ->required();
  AddJson(*marks, marks_options->format);
  marks->footer("Example:\n  stele dump marks /var/lib/stele/ledgers");
  marks->callback([=, &run] { run = [=] { return RunDump(*marks_options); }; });

  AddTakeOver(app, run);
  CLI::App* repair = app.add_subcommand("repair", "Repair the files of a bookie");
  repair->require_subcommand(1);
  AddRepairCheck(*repair, run);
  AddRepairIndex(*repair, run);

  CLI::App* version = app.add_subcommand("version", "Print version and protocol levels");
  auto format = std::make_shared<Format>(Format::kTable);
  AddJson(*version, *format);
  version->callback([format, &run] { run = [format] { return RunVersion(*format); }; });
}

}  // namespace stele::shell
