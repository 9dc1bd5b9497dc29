// The command line, in parts: each function registers commands below `app`. Only the files behind
// this header see CLI11, which is heavy to compile.
#pragma once

#include <functional>
#include <string>

#include "common/base/digest_type.h"
#include "common/quorum/write_set.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/text_log.h"

namespace CLI {
class App;
}

namespace stele::shell {

struct CommonOptions;
struct PasswordOptions;

// What to do, set by the command that was given.
using Run = std::function<ExitCode()>;

void AddDaemonCommands(CLI::App& app, Run& run);        // bookie, standalone
void AddAutorecoveryCommands(CLI::App& app, Run& run);  // autorecovery, node, recover, gate
void AddCookieCommands(CLI::App& app, Run& run);        // cookie
void AddClusterCommands(CLI::App& app, Run& run);       // cluster, bookies
void AddLedgerCommands(CLI::App& app, Run& run);        // ledger
void AddToolCommands(CLI::App& app, Run& run);          // dump, takeover, bench, version

// Below cluster, below ledger, and below node.
void AddFsckCommand(CLI::App& cluster, Run& run);
void AddExplainCommand(CLI::App& ledger, Run& run);
void AddNodeTry(CLI::App& node, Run& run);

// --log.
void AddLogFlag(CLI::App& command, LogFormat& format);
// --client-conf.
void AddClientConfigFlag(CLI::App& command, std::string& path);
// --metadata, --client-conf and --json.
void AddCommonFlags(CLI::App& command, CommonOptions& options);
// --password and --password-file.
void AddPasswordFlags(CLI::App& command, PasswordOptions& options);
// --ensemble, --write-quorum, --ack-quorum and --digest, whose values so far are the defaults.
void AddReplicationFlags(CLI::App& command, quorum::Replication& replication,
                         DigestType& digest_type);

}  // namespace stele::shell
