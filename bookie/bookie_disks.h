// BookieDisks: what the disks of a bookie allow: how full they are, whether they work, and what the
// rules (disk_rules.h) make of it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "bookie/directories.h"
#include "bookie/disk_rules.h"
#include "bookie/disk_watch.h"
#include "bookie/server/server.h"
#include "common/async/task.h"
#include "common/observe/log.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct BookieDiskOptions {
  DiskRuleOptions rules;
  absl::Duration check_interval;
  // A disk that does not answer for so long ends the bookie.
  absl::Duration hang_max;
};

class BookieDisks {
 public:
  //   directories, log  outlive it
  //   on_fatal          the bookie cannot go on: a disk hangs, or no ledger directory can be used
  BookieDisks(Env env, const Directories* directories, BookieDiskOptions options, observe::Log* log,
              absl::AnyInvocable<void(absl::Status)> on_fatal);

  // Looks how full they are. Nothing: that was fatal.
  Task<std::optional<DiskDecision>> Look();
  // Begins a probe of each directory; looks at what the probes of before have shown.
  void BeginProbes() { watch_.BeginRound(); }
  void LookAtProbes();

  // As of the last Look().
  const std::vector<std::string>& full() const { return full_; }
  const std::vector<DirectorySpace>& ledgers() const { return ledgers_; }
  const DiskTotals& totals() const { return totals_; }

 private:
  Task<std::vector<DirectorySpace>> SpaceOf(std::vector<std::string> directories);

  Env env_;
  const Directories* directories_;
  const BookieDiskOptions options_;
  observe::Log* log_;
  absl::AnyInvocable<void(absl::Status)> on_fatal_;
  DiskRules rules_;
  DiskWatch watch_;
  std::set<std::string> failed_;
  std::vector<std::string> full_;
  std::vector<DirectorySpace> ledgers_;
  DiskTotals totals_;
};

}  // namespace stele::bookie
