#include "tools/shell/java_names.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "absl/strings/str_split.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::shell {
namespace {

// What an option of Apache's becomes.
enum class As {
  kFlag,          // `ours`
  kValue,         // `ours` and its value
  kArgument,      // its value alone
  kCommand,       // another command of ours: `ours` instead of the command's words
  kCommandValue,  // the same, and its value
  kNothing,       // ours does it anyway, or never
  kIgnoredValue,  // the same, of one that takes a value
  kRefused,       // `ours` says why there is none
};

struct JavaOption {
  std::string_view names;  // separated by '|'
  As as;
  std::string_view ours = "";

  bool TakesValue() const {
    return as == As::kValue || as == As::kArgument || as == As::kCommandValue ||
           as == As::kIgnoredValue;
  }
};

struct JavaCommand {
  std::string_view name;
  std::string_view ours;  // words; empty: there is none, and `instead` says what to do
  std::span<const JavaOption> options = {};
  size_t arguments_max = 0;  // beside options
  std::string_view instead = "";
};

constexpr JavaOption kBookieId[] = {{"b|bookieid", As::kArgument}};
constexpr JavaOption kAutorecovery[] = {{"e|enable", As::kCommand, "autorecovery enable"},
                                        {"d|disable", As::kCommand, "autorecovery disable"}};
constexpr JavaOption kListUnderreplicated[] = {
    {"mr|missingreplica", As::kValue, "--missing"},
    {"emr|excludingmissingreplica", As::kValue, "--not-missing"},
    {"pmr|printmissingreplica", As::kNothing},
    {"prw|printreplicationworkerid", As::kNothing},
    {"c|onlydisplayledgercount", As::kRefused, "stele autorecovery status has the count"}};
constexpr JavaOption kForceAuditChecks[] = {{"calc|checkallledgerscheck", As::kFlag, "--ledgers"},
                                            {"ppc|placementpolicycheck", As::kFlag, "--placement"},
                                            {"rc|replicascheck", As::kFlag, "--replicas"}};
constexpr JavaOption kDelay[] = {{"g|get", As::kNothing}, {"s|set", As::kArgument}};
constexpr JavaOption kRecover[] = {
    {"q|query", As::kFlag, "--dry-run"},
    {"dr|dryrun", As::kFlag, "--dry-run"},
    {"f|force", As::kNothing},
    {"d|deletecookie", As::kFlag, "--delete-cookie"},
    {"sku|skipunrecoverableledgers", As::kFlag, "--skip-quarantined"},
    {"l|ledger", As::kRefused,
     "all ledgers of the bookie are repaired, those with least copies "
     "first: leave -ledger out"},
    {"sk|skipopenledgers", As::kRefused,
     "an open ledger is repaired without its writer noticing, "
     "or after a time of grace: leave -skipOpenLedgers out"},
    {"rate|replicationrate", As::kRefused,
     "stele autorecovery limit sets bytes per second, "
     "everywhere and at once"}};
constexpr JavaOption kDecommission[] = {{"b|bookieid", As::kArgument}};
constexpr JavaOption kListBookies[] = {{"rw|readwrite", As::kFlag, "--state writable"},
                                       {"ro|readonly", As::kFlag, "--state read-only"},
                                       {"a|all", As::kNothing},
                                       {"h|help", As::kFlag, "--help"}};
constexpr JavaOption kSimpleTest[] = {{"e|ensemble", As::kValue, "--ensemble"},
                                      {"w|writequorum", As::kValue, "--write-quorum"},
                                      {"a|ackquorum", As::kValue, "--ack-quorum"},
                                      {"n|numentries", As::kValue, "--entries"}};
constexpr JavaOption kSanity[] = {{"e|entries", As::kValue, "--entries"},
                                  {"t|timeout", As::kValue, "--timeout"},
                                  {"b|bookieid", As::kArgument}};
constexpr JavaOption kListLedgers[] = {{"m|meta", As::kFlag, "--details"},
                                       {"b|bookieid", As::kValue, "--bookie"}};
constexpr JavaOption kLedgerMetadata[] = {
    {"l|ledgerid", As::kArgument},
    {"dumptofile", As::kValue, "--dump-file"},
    {"restorefromfile", As::kCommandValue, "ledger restore --file"},
    {"update", As::kFlag, "--replace"}};
constexpr JavaOption kReadLedger[] = {{"l|ledgerid", As::kArgument},
                                      {"fe|firstentryid", As::kValue, "--first"},
                                      {"le|lastentryid", As::kValue, "--last"},
                                      {"m|msg", As::kNothing},
                                      {"r|force-recovery", As::kFlag, "--recover"},
                                      {"b|bookie", As::kValue, "--bookie"}};
constexpr JavaOption kDeleteLedger[] = {{"l|ledgerid", As::kArgument},
                                        {"f|force", As::kFlag, "--force"}};
constexpr JavaOption kReadJournal[] = {
    {"m|msg", As::kFlag, "--payload"},
    {"dir", As::kRefused, "name the file: stele dump journal DIR/current/ID.txn"}};
constexpr JavaOption kReadLog[] = {
    {"m|msg", As::kFlag, "--payload"},
    {"l|ledgerid", As::kValue, "--ledger"},
    {"e|entryid", As::kRefused, "stele dump entrylog prints one entry a line: grep it"},
    {"sp|startpos", As::kRefused, "stele dump entrylog prints one entry a line: grep it"},
    {"ep|endpos", As::kRefused, "stele dump entrylog prints one entry a line: grep it"}};
constexpr JavaOption kActiveLedgers[] = {
    {"l|logid", As::kRefused, "name the file: stele dump usage DIR/current/ID.log --live"},
    {"t|timeout", As::kIgnoredValue}};
constexpr JavaOption kLedger[] = {{"m|meta", As::kNothing}};
constexpr JavaOption kDirectories[] = {{"v|verbose", As::kNothing},
                                       {"ledger-directory", As::kValue, "--ledger-directory"},
                                       {"index-directory", As::kValue, "--index-directory"}};
constexpr JavaOption kCookieFile[] = {{"cf|cookie-file", As::kValue, "--file"}};
constexpr JavaOption kCookieGenerate[] = {
    {"j|journal-dirs", As::kValue, "--journal-directory"},
    {"l|ledger-dirs", As::kValue, "--ledger-directory"},
    {"ix|index-dirs", As::kValue, "--index-directory"},
    {"o|output-file", As::kValue, "--output"},
    {"i|instance-id", As::kRefused, "it is the cluster's: leave it out"}};
constexpr JavaOption kUpdateCookie[] = {
    {"l|list", As::kNothing},
    {"d|delete", As::kRefused, "stele cookie delete BOOKIE checks that nothing names it"},
    {"e|expandstorage", As::kRefused, "start the bookie with allowStorageExpansion=true"},
    {"b|bookieid", As::kRefused, "set bookieId to the name that it has: ledgers are found by it"}};

constexpr JavaOption kUpdateBookie[] = {{"sb|srcbookie", As::kValue, "--from"},
                                        {"db|destbookie", As::kValue, "--to"},
                                        {"s|updatespersec", As::kValue, "--rate"},
                                        {"l|limit", As::kValue, "--limit"},
                                        {"v|verbose", As::kIgnoredValue},
                                        {"p|printprogress", As::kIgnoredValue},
                                        {"r|maxoutstandingreads", As::kIgnoredValue}};
constexpr JavaOption kFormat[] = {
    {"n|noninteractive", As::kNothing},
    {"f|force", As::kRefused,
     "--instance ID, which stele cluster status shows, says that you mean it"},
    {"instance", As::kValue, "--instance"}};
constexpr JavaOption kNuke[] = {
    {"p|zkledgersrootpath", As::kValue, "--root"},
    {"i|instanceid", As::kValue, "--instance"},
    {"f|force", As::kRefused,
     "-instanceid ID, which stele cluster status shows, says that you mean it"}};

// Sorted as in docs/JAVA_COMMANDS.md: repair, cluster, ledgers, files, identity.
constexpr JavaCommand kCommands[] = {
    {"autorecovery", "autorecovery status", kAutorecovery},
    {"queryautorecoverystatus", "autorecovery list --locked"},
    {"listunderreplicated", "autorecovery list", kListUnderreplicated},
    {"whoisauditor", "autorecovery status"},
    {"triggeraudit", "autorecovery audit"},
    {"forceauditchecks", "autorecovery recheck", kForceAuditChecks},
    {"lostbookierecoverydelay", "autorecovery delay", kDelay},
    {"recover", "recover", kRecover, 1},
    {"decommissionbookie", "recover --delete-cookie", kDecommission},
    {"listbookies", "bookies list", kListBookies},
    {"bookieinfo", "bookies space"},
    {"clusterinfo", "cluster status"},
    {"endpointinfo", "bookies show", kBookieId},
    {"whatisinstanceid", "cluster status"},
    {"simpletest", "cluster try", kSimpleTest},
    {"bookiesanity", "node try", kSanity, 1},
    {"listledgers", "ledger list", kListLedgers},
    {"ledgermetadata", "ledger info", kLedgerMetadata},
    {"readledger", "ledger read", kReadLedger},
    {"deleteledger", "ledger delete", kDeleteLedger},
    {"updateledgers",
     "",
     {},
     0,
     "a bookie keeps its name: set bookieId to the one it has; stele bookies rename where it "
     "cannot"},
    {"updateBookieInLedger", "bookies rename --apply", kUpdateBookie},
    {"lastmark", "dump marks", {}, 1},
    {"readjournal", "dump journal", kReadJournal, 1},
    {"readlog", "dump entrylog", kReadLog, 1},
    {"readlogmetadata", "dump usage", {}, 1},
    {"activeledgers", "dump usage --live", kActiveLedgers, 1},
    {"listfilesondisc", "", {}, 0, "GET /api/v1/bookie/list_disk_file on the bookie's admin port"},
    {"ledger", "dump index", kLedger, 1},
    {"localconsistencycheck", "repair check", kDirectories},
    {"check-db-ledgers-index", "repair check", kDirectories},
    {"rebuild-db-ledgers-index", "repair index", kDirectories},
    {"rebuild-db-ledger-locations-index", "repair index", kDirectories},
    {"convert-to-db-storage", "", {}, 0, "there is no DbLedgerStorage"},
    {"convert-to-interleaved-storage",
     "",
     {},
     0,
     "there is no DbLedgerStorage: Apache's own command before the bookie changes hands"},
    {"regenerate-interleaved-storage-index-file", "", {}, 0, "stele repair index"},
    {"cookie_create", "cookie create", kCookieFile, 1},
    {"cookie_update", "cookie update", kCookieFile, 1},
    {"cookie_get", "cookie show", {}, 1},
    {"cookie_delete", "cookie delete", {}, 1},
    {"cookie_generate", "cookie generate", kCookieGenerate, 1},
    {"updatecookie", "cookie list", kUpdateCookie},
    {"initnewcluster", "cluster init"},
    {"initbookie",
     "",
     {},
     0,
     "a bookie makes these checks itself, whenever it starts: stele cookie show BOOKIE and stele "
     "takeover check DIR... beforehand"},
    {"bookieformat",
     "",
     {},
     0,
     "stele node format BOOKIE --directory DIR... --apply, with all its directories"},
    {"metaformat", "cluster format", kFormat},
    {"nukeexistingcluster", "cluster nuke", kNuke},
    {"help", "shell --help"},
};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

void AddWords(std::string_view words, std::vector<std::string>& to) {
  for (absl::string_view word : absl::StrSplit(ToAbsl(words), ' ', absl::SkipEmpty())) {
    to.emplace_back(word);
  }
}

const JavaCommand* FindCommand(std::string_view name) {
  for (const JavaCommand& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

const JavaOption* FindOption(const JavaCommand& command, std::string_view name) {
  for (const JavaOption& option : command.options) {
    for (absl::string_view known : absl::StrSplit(ToAbsl(option.names), '|')) {
      if (ToStd(known) == Lower(name)) return &option;
    }
  }
  return nullptr;
}

// Ours that Apache's have no name for, or another.
bool IsOurs(std::string_view word) {
  return word == "--json" || word == "--dry-run" || word == "--help" ||
         word.starts_with("--timeout") || word.starts_with("--metadata") ||
         word.starts_with("--client-conf");
}

// Takes the words behind a command's name, one after the other.
class Translation {
 public:
  explicit Translation(const JavaCommand& command) : command_(command), words_(command.ours) {}

  // Gives how many of `words` it has used.
  absl::StatusOr<size_t> Take(std::span<const std::string> words) {
    const std::string& word = words.front();
    if (word.size() < 2 || word.front() != '-') {
      if (++arguments_ > command_.arguments_max) {
        return MakeError(ErrorCode::kInvalidArgument,
                         StrCat(command_.name, ": '", word, "' is one argument too many"));
      }
      if (word.find(',') != std::string::npos && command_.name == "recover") {
        return MakeError(ErrorCode::kUnsupported, "recover: one bookie at a time");
      }
      rest_.push_back(word);
      return 1;
    }
    const JavaOption* const option = FindOption(command_, word.substr(word[1] == '-' ? 2 : 1));
    if (option == nullptr && IsOurs(word)) return TakeOurs(words);
    if (option == nullptr) {
      return MakeError(ErrorCode::kInvalidArgument, StrCat(command_.name, " has no option ", word));
    }
    if (option->as == As::kRefused) {
      return MakeError(ErrorCode::kUnsupported,
                       StrCat(command_.name, " ", word, ": ", option->ours));
    }
    const bool takes_value = option->TakesValue();
    if (takes_value && words.size() < 2) {
      return MakeError(ErrorCode::kInvalidArgument, StrCat(word, " needs a value"));
    }
    Apply(*option, takes_value ? words[1] : "");
    return takes_value ? 2 : 1;
  }

  std::vector<std::string> Words() const {
    std::vector<std::string> words;
    AddWords(words_, words);
    words.insert(words.end(), rest_.begin(), rest_.end());
    return words;
  }

 private:
  absl::StatusOr<size_t> TakeOurs(std::span<const std::string> words) {
    rest_.push_back(words.front());
    const std::string& word = words.front();
    const bool has_value = word == "--metadata" || word == "--client-conf" || word == "--timeout";
    if (!has_value || words.size() < 2) return 1;
    rest_.push_back(words[1]);
    return 2;
  }

  void Apply(const JavaOption& option, std::string_view value) {
    switch (option.as) {
      case As::kCommand: words_ = option.ours; return;
      case As::kCommandValue:
        words_ = option.ours;
        rest_.emplace(rest_.begin(), value);  // it belongs to the last of these words
        return;
      case As::kFlag: return AddWords(option.ours, rest_);
      case As::kValue: AddWords(option.ours, rest_); [[fallthrough]];
      case As::kArgument: rest_.emplace_back(value); return;
      case As::kNothing:
      case As::kIgnoredValue:
      case As::kRefused: return;
    }
  }

  const JavaCommand& command_;
  std::string_view words_;
  std::vector<std::string> rest_;
  size_t arguments_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> TranslateJavaCommand(
    const std::vector<std::string>& words) {
  size_t next = 0;
  // What is before the command tells Apache's shell where its configuration is and how ids look.
  while (next < words.size() && words[next].starts_with('-')) {
    if (words[next] != "-conf") {
      return MakeError(ErrorCode::kUnsupported,
                       StrCat(words[next],
                              " before a command: ids are decimal numbers here, and "
                              "--metadata or STELE_METADATA names the cluster"));
    }
    next += 2;
  }
  if (next >= words.size()) return std::vector<std::string>{"shell", "--help"};
  const JavaCommand* const command = FindCommand(words[next]);
  if (command == nullptr) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("Apache's shell has no command ", words[next],
                            "; stele shell --help shows which there are"));
  }
  if (command->ours.empty()) {
    return MakeError(ErrorCode::kUnsupported, StrCat(command->name, ": ", command->instead));
  }
  Translation translation(*command);
  for (++next; next < words.size();) {
    STELE_TRY(const size_t used, translation.Take(std::span(words).subspan(next)));
    next += used;
  }
  return translation.Words();
}

std::string JavaCommandList() {
  std::string list;
  for (const JavaCommand& command : kCommands) {
    list += StrCat("  ", command.name, std::string(43 - command.name.size(), ' '));
    list += command.ours.empty() ? StrCat("- ", command.instead) : StrCat("stele ", command.ours);
    list += "\n";
  }
  list +=
      "\nOptions are Apache's, with one dash or two; --metadata, --client-conf and --json are "
      "ours.\n"
      "Example:\n  stele shell listledgers -meta --json";
  return list;
}

}  // namespace stele::shell
