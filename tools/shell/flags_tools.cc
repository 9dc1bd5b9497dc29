#include <memory>
#include <optional>

#include <CLI/CLI.hpp>

#include "tools/shell/bench_commands.h"
#include "tools/shell/dump_commands.h"
#include "tools/shell/flags.h"
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

void AddBenchDevice(CLI::App& bench, Run& run) {
  CLI::App* command = bench.add_subcommand(
      "device", "The floor: a durable 4 KiB write, and a round trip over loopback");
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

}  // namespace

void AddToolCommands(CLI::App& app, Run& run) {
  CLI::App* bench = app.add_subcommand("bench", "Measure");
  bench->require_subcommand(1);
  AddBenchDevice(*bench, run);

  CLI::App* dump = app.add_subcommand("dump", "Show what is in a file of a bookie");
  dump->require_subcommand(1);
  AddDump(*dump, run, DumpKind::kJournal, "journal", "Records of a journal file (.txn)",
          "Example:\n  stele dump journal /var/lib/stele/journal/current/18c5f1a2b3c.txn");
  AddDump(*dump, run, DumpKind::kEntryLog, "entrylog", "Entries of an entry log (.log)",
          "Example:\n  stele dump entrylog /var/lib/stele/ledgers/current/0.log --ledger 7");
  AddDump(*dump, run, DumpKind::kIndex, "index", "Header and entries of a ledger's index (.idx)",
          "Example:\n  stele dump index /var/lib/stele/ledgers/current/0/0/7.idx");

  CLI::App* version = app.add_subcommand("version", "Print version and protocol levels");
  auto format = std::make_shared<Format>(Format::kTable);
  AddJson(*version, *format);
  version->callback([format, &run] { run = [format] { return RunVersion(*format); }; });
}

}  // namespace stele::shell
