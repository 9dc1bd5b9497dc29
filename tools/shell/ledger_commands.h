// stele ledger create|append|read|tail|info|restore|list|delete|recover.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/digest_type.h"
#include "common/base/ids.h"
#include "common/quorum/write_set.h"
#include "tools/shell/entry_format.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

// How the password of a ledger is given.
struct PasswordOptions {
  std::string password;       // --password
  std::string password_file;  // --password-file; a newline at its end does not count
};

struct CreateOptions {
  quorum::Replication replication{3, 2, 2};      // --ensemble, --write-quorum, --ack-quorum
  DigestType digest_type = DigestType::kCrc32c;  // --digest
  std::optional<LedgerId> id;                    // --id
  std::map<std::string, std::string> custom;     // --custom key=value
};

struct LedgerCreateCommand {
  CommonOptions common;
  PasswordOptions password;
  CreateOptions create;
};
// Prints the id alone, or JSON. The ledger waits for one `stele ledger append`.
ExitCode RunLedgerCreate(const LedgerCreateCommand& command);

struct LedgerAppendCommand {
  CommonOptions common;
  PasswordOptions password;
  std::optional<LedgerId> ledger;       // one that waits for its writer
  std::optional<CreateOptions> create;  // --create: make one instead
  size_t block_size_bytes = 0;          // --size; 0: by lines
  int64_t outstanding_max = 1000;       // --outstanding
  int64_t rate_per_second = 0;          // --rate; 0: as fast as it goes
  std::string ack_log;                  // --ack-log
  bool ack_times = false;               // --ack-times: a fourth column there
  std::string id_file;                  // --id-file
  bool keep_open = false;               // --keep-open
};
// Appends standard input.
ExitCode RunLedgerAppend(const LedgerAppendCommand& command);

struct LedgerReadCommand {
  CommonOptions common;
  PasswordOptions password;
  LedgerId ledger;
  EntryId first{0};             // --first
  std::optional<EntryId> last;  // --last; nothing: the last add confirmed
  bool unconfirmed = false;     // --unconfirmed
  bool recover = false;         // --recover
  std::string bookie;           // --bookie: only this one's copies; nothing is taken over
  EntryFormat format = EntryFormat::kText;
};
// With a bookie: kNotFound when it lacks some of them, kDamaged when some are not what was written.
ExitCode RunLedgerRead(const LedgerReadCommand& command);

// Follows the ledger until it is closed. Of the command: first and format count.
ExitCode RunLedgerTail(const LedgerReadCommand& command);

struct LedgerCommand {
  CommonOptions common;
  PasswordOptions password;
  LedgerId ledger;
};
struct LedgerInfoCommand {
  LedgerCommand ledger;
  std::string dump_path;  // --dump-file: what is stored, byte for byte
};
ExitCode RunLedgerInfo(const LedgerInfoCommand& command);
ExitCode RunLedgerRecover(const LedgerCommand& command);

struct LedgerRestoreCommand {
  CommonOptions common;
  LedgerId ledger;
  std::string path;      // --file: what --dump-file has written
  bool replace = false;  // --replace: although there is metadata
  bool dry_run = false;
};
// kDamaged: the file holds no metadata. kExists: there is metadata already.
ExitCode RunLedgerRestore(const LedgerRestoreCommand& command);

struct LedgerListCommand {
  CommonOptions common;
  bool details = false;  // --details: state, entries, bytes
  std::string bookie;    // --bookie: only ledgers whose metadata names it
};
ExitCode RunLedgerList(const LedgerListCommand& command);

struct LedgerDeleteCommand {
  CommonOptions common;
  std::vector<int64_t> ledgers;
  bool force = false;  // --force: open ones too
};
ExitCode RunLedgerDelete(const LedgerDeleteCommand& command);

}  // namespace stele::shell
