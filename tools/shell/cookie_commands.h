// stele cookie list|show|generate|create|update|delete: who each bookie is, as the store knows it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

ExitCode RunCookieList(const CommonOptions& common);
// kNotFound.
ExitCode RunCookieShow(const CommonOptions& common, const std::string& bookie);

struct CookieDeleteCommand {
  CommonOptions common;
  std::string bookie;
  bool force = false;
  bool dry_run = false;
};
// kFenced when the bookie is up or metadata names it, unless forced.
ExitCode RunCookieDelete(const CookieDeleteCommand& command);

struct CookieWriteCommand {
  CommonOptions common;
  std::string bookie;
  std::string path;       // --file: a VERSION file, or what `generate` printed
  bool replaces = false;  // update: there is one; create: there is none
  bool dry_run = false;
};
// kDamaged: the file is no cookie. kUsage: it is of another bookie or cluster. kExists (create),
// kNotFound (update).
ExitCode RunCookieWrite(const CookieWriteCommand& command);

struct CookieGenerateCommand {
  CommonOptions common;
  std::string bookie;
  std::vector<std::string> journal_directories;
  std::vector<std::string> ledger_directories;
  std::vector<std::string> index_directories;  // empty: in the ledger directories
  std::string path;                            // --output; empty: stdout
};
// The cookie that such a bookie of this cluster has; changes nothing in the store.
ExitCode RunCookieGenerate(const CookieGenerateCommand& command);

// Only while the bookie is down. Nobody counts it as in limbo any more.
//   kMetadataConflict   it is up, or its cookie was changed meanwhile
absl::Status DeleteCookieOfADownBookie(Session& session, const BookieId& bookie);

}  // namespace stele::shell
