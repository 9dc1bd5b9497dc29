#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/base/strings.h"
#include "tools/shell/flags.h"
#include "tools/shell/ledger_commands.h"

namespace stele::shell {

void AddPasswordFlags(CLI::App& command, PasswordOptions& options) {
  command.add_option("--password", options.password,
                     "Of the ledger; default: empty. Other users of this machine can see it");
  command.add_option("--password-file", options.password_file, "A file that holds the password")
      ->check(CLI::ExistingFile);
}

void AddReplicationFlags(CLI::App& command, quorum::Replication& replication,
                         DigestType& digest_type) {
  const std::map<std::string, DigestType> digests = {{"crc32c", DigestType::kCrc32c},
                                                     {"crc32", DigestType::kCrc32},
                                                     {"mac", DigestType::kMac},
                                                     {"dummy", DigestType::kDummy}};
  command.add_option("-E,--ensemble", replication.ensemble_size,
                     StrCat("Bookies that share a ledger; default ", replication.ensemble_size));
  command.add_option("-W,--write-quorum", replication.write_quorum_size,
                     StrCat("Copies of each entry; default ", replication.write_quorum_size));
  command.add_option(
      "-A,--ack-quorum", replication.ack_quorum_size,
      StrCat("Copies before an entry is acknowledged; default ", replication.ack_quorum_size));
  command.add_option("--digest", digest_type, "crc32c (default), crc32, mac or dummy")
      ->transform(CLI::CheckedTransformer(digests));
}

namespace {

void AddLedger(CLI::App& command, LedgerId& ledger) {
  command
      .add_option_function<int64_t>(
          "ledger", [&ledger](int64_t id) { ledger = LedgerId(id); }, "The ledger's id")
      ->required()
      ->check(CLI::NonNegativeNumber);
}

void AddCreateFlags(CLI::App& command, CreateOptions& options) {
  AddReplicationFlags(command, options.replication, options.digest_type);
  command
      .add_option_function<int64_t>(
          "--id", [&options](int64_t id) { options.id = LedgerId(id); },
          "Use this id, which no ledger ever had, instead of a generated one")
      ->check(CLI::NonNegativeNumber);
  command.add_option_function<std::vector<std::string>>(
      "--custom",
      [&options](const std::vector<std::string>& pairs) {
        for (const std::string& pair : pairs) {
          const size_t equals = pair.find('=');
          if (equals == std::string::npos) {
            throw CLI::ValidationError("--custom", pair + ": expected key=value");
          }
          options.custom[pair.substr(0, equals)] = pair.substr(equals + 1);
        }
      },
      "key=value to store with the ledger; repeatable");
}

void AddCreate(CLI::App& ledger, Run& run) {
  CLI::App* command = ledger.add_subcommand("create", "Make a ledger and print its id");
  auto options = std::make_shared<LedgerCreateCommand>();
  AddCommonFlags(*command, options->common);
  AddPasswordFlags(*command, options->password);
  AddCreateFlags(*command, options->create);
  command->footer(
      "The ledger waits for one stele ledger append.\n"
      "Examples:\n"
      "  id=$(stele ledger create -E 3 -W 3 -A 2)\n"
      "  stele ledger append $id < /var/log/dpkg.log");
  command->callback([options, &run] { run = [=] { return RunLedgerCreate(*options); }; });
}

void AddAppend(CLI::App& ledger, Run& run) {
  CLI::App* command =
      ledger.add_subcommand("append", "Append standard input to a ledger, and close it");
  auto options = std::make_shared<LedgerAppendCommand>();
  auto create = std::make_shared<CreateOptions>();
  auto is_create = std::make_shared<bool>(false);
  AddCommonFlags(*command, options->common);
  AddPasswordFlags(*command, options->password);
  command
      ->add_option_function<int64_t>(
          "ledger", [options](int64_t id) { options->ledger = LedgerId(id); },
          "A ledger made by stele ledger create")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--create", *is_create, "Make a ledger instead, and print its id first");
  AddCreateFlags(*command, *create);
  command
      ->add_option("--size", options->block_size_bytes,
                   "Cut the input into entries of so many bytes (64KB...); default: by lines")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false));
  command
      ->add_option("--outstanding", options->outstanding_max,
                   "Entries that wait for their acknowledgement; default 1000")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--rate", options->rate_per_second, "Entries a second at most")
      ->check(CLI::PositiveNumber);
  command->add_option("--ack-log", options->ack_log,
                      "Write \"<entry> <sha256> <size>\" here for each acknowledged entry");
  command->add_flag("--ack-times", options->ack_times,
                    "A fourth column there: microseconds from append to acknowledgement");
  command->add_option("--id-file", options->id_file, "Write the ledger's id here");
  command->add_flag("--keep-open", options->keep_open, "Do not close the ledger at the end");
  command->footer(
      "Examples:\n"
      "  journalctl -f | stele ledger append --create --keep-open\n"
      "  tar c /etc | stele ledger append --create --size 64KB --id-file /tmp/id");
  command->callback([options, create, is_create, &run] {
    if (*is_create) options->create = *create;
    run = [=] { return RunLedgerAppend(*options); };
  });
}

void AddEntryFormat(CLI::App& command, EntryFormat& format) {
  const auto add = [&](const char* flag, EntryFormat value, const char* what) {
    return command.add_flag_callback(flag, [&format, value] { format = value; }, what);
  };
  CLI::Option* raw = add("--raw", EntryFormat::kRaw, "Payloads only, one behind the other");
  CLI::Option* lines = add("--lines", EntryFormat::kRawLines, "Payloads only, one a line");
  CLI::Option* hex = add("--hex", EntryFormat::kHex, "Payloads as hexadecimal digits");
  CLI::Option* hashes = add("--hashes", EntryFormat::kHashes, "\"<entry> <sha256> <size>\"");
  raw->excludes(lines, hex, hashes);
  lines->excludes(hex, hashes);
  hex->excludes(hashes);
}

void AddRead(CLI::App& ledger, Run& run) {
  CLI::App* command = ledger.add_subcommand("read", "Print entries of a ledger");
  auto options = std::make_shared<LedgerReadCommand>();
  AddCommonFlags(*command, options->common);
  AddPasswordFlags(*command, options->password);
  AddLedger(*command, options->ledger);
  command->add_option_function<int64_t>(
      "--first", [options](int64_t entry) { options->first = EntryId(entry); }, "Default 0");
  command->add_option_function<int64_t>(
      "--last", [options](int64_t entry) { options->last = EntryId(entry); },
      "Default: the last acknowledged entry");
  command->add_flag("--unconfirmed", options->unconfirmed,
                    "Also what may not be acknowledged, up to --last");
  command->add_flag("--recover", options->recover,
                    "Take an open ledger over first: its writer is fenced, the ledger closed");
  command->add_option("--bookie", options->bookie,
                      "Only the copies of this bookie; each is verified");
  AddEntryFormat(*command, options->format);
  command->footer(
      "Examples:\n"
      "  stele ledger read 7 --first 10 --last 19\n"
      "  stele ledger read 8 --raw | tar t");
  command->callback([options, &run] { run = [=] { return RunLedgerRead(*options); }; });
}

void AddTail(CLI::App& ledger, Run& run) {
  CLI::App* command =
      ledger.add_subcommand("tail", "Print entries as they come, until the ledger is closed");
  auto options = std::make_shared<LedgerReadCommand>();
  AddCommonFlags(*command, options->common);
  AddPasswordFlags(*command, options->password);
  AddLedger(*command, options->ledger);
  command->add_option_function<int64_t>(
      "--first", [options](int64_t entry) { options->first = EntryId(entry); }, "Default 0");
  AddEntryFormat(*command, options->format);
  command->footer("Example:\n  stele ledger tail 7 --lines");
  command->callback([options, &run] { run = [=] { return RunLedgerTail(*options); }; });
}

void AddRecover(CLI::App& ledger, Run& run) {
  CLI::App* command =
      ledger.add_subcommand("recover", "Fence a ledger's writer, find its end and close it");
  auto options = std::make_shared<LedgerCommand>();
  AddCommonFlags(*command, options->common);
  AddPasswordFlags(*command, options->password);
  AddLedger(*command, options->ledger);
  command->footer("Example:\n  stele ledger recover 7");
  command->callback([options, &run] { run = [=] { return RunLedgerRecover(*options); }; });
}

void AddInfo(CLI::App& ledger, Run& run) {
  CLI::App* command = ledger.add_subcommand("info", "State, replication and fragments of a ledger");
  auto options = std::make_shared<LedgerInfoCommand>();
  AddCommonFlags(*command, options->ledger.common);
  AddLedger(*command, options->ledger.ledger);
  command->add_option("--dump-file", options->dump_path,
                      "Also write here what is stored, byte for byte");
  command->footer("Example:\n  stele ledger info 7");
  command->callback([options, &run] { run = [=] { return RunLedgerInfo(*options); }; });
}

void AddRestore(CLI::App& ledger, Run& run) {
  CLI::App* command = ledger.add_subcommand(
      "restore", "Store the metadata of a ledger as info --dump-file wrote it");
  auto options = std::make_shared<LedgerRestoreCommand>();
  AddCommonFlags(*command, options->common);
  AddLedger(*command, options->ledger);
  command->add_option("--file", options->path, "What to store")->required();
  command->add_flag("--replace", options->replace, "Although there is metadata");
  command->add_flag("--dry-run", options->dry_run, "Show it, and store nothing");
  command->footer(
      "What the cluster has decided since then is forgotten: a closed ledger may be open again.\n"
      "Example:\n  stele ledger restore 7 --file ledger-7 --dry-run");
  command->callback([options, &run] { run = [=] { return RunLedgerRestore(*options); }; });
}

void AddList(CLI::App& ledger, Run& run) {
  CLI::App* command = ledger.add_subcommand("list", "All ledgers of the cluster");
  auto options = std::make_shared<LedgerListCommand>();
  AddCommonFlags(*command, options->common);
  command->add_flag("--details", options->details, "With state, last entry and bytes");
  command->add_option("--bookie", options->bookie, "Only those whose metadata names it");
  command->footer("Example:\n  stele ledger list --details");
  command->callback([options, &run] { run = [=] { return RunLedgerList(*options); }; });
}

void AddDelete(CLI::App& ledger, Run& run) {
  CLI::App* command = ledger.add_subcommand("delete", "Delete ledgers for ever");
  auto options = std::make_shared<LedgerDeleteCommand>();
  AddCommonFlags(*command, options->common);
  command->add_option("ledgers", options->ledgers, "Their ids")
      ->required()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--force", options->force, "Also ledgers that are not closed");
  command->footer("Example:\n  stele ledger delete 7 8");
  command->callback([options, &run] { run = [=] { return RunLedgerDelete(*options); }; });
}

}  // namespace

void AddLedgerCommands(CLI::App& app, Run& run) {
  CLI::App* ledger = app.add_subcommand("ledger", "Make, write, read and remove ledgers");
  ledger->require_subcommand(1);
  AddCreate(*ledger, run);
  AddAppend(*ledger, run);
  AddRead(*ledger, run);
  AddTail(*ledger, run);
  AddInfo(*ledger, run);
  AddRestore(*ledger, run);
  AddRecover(*ledger, run);
  AddExplainCommand(*ledger, run);
  AddList(*ledger, run);
  AddDelete(*ledger, run);
}

}  // namespace stele::shell
