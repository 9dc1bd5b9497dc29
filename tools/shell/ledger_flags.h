// From the flags of the ledger commands to what the client takes.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "tools/shell/ledger_commands.h"

namespace stele::shell {

//   kInvalidArgument  both --password and --password-file;  kNoSuchFile, kIoError
absl::StatusOr<std::string> PasswordOf(Session& session, const PasswordOptions& options);

client::CreateLedgerBuilder BuilderOf(client::Client& client, const CreateOptions& options,
                                      std::string password);

// A ledger that `stele ledger create` has made carries a mark until one writer claims it.
std::map<std::string, std::string> WithUnclaimedMark(std::map<std::string, std::string> custom);

}  // namespace stele::shell
