#include "bookie/bookie_disks.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {

using observe::LogLevel;

BookieDisks::BookieDisks(Env env, const Directories* directories, BookieDiskOptions options,
                         observe::Log* log, absl::AnyInvocable<void(absl::Status)> on_fatal)
    : env_(env),
      directories_(directories),
      options_(options),
      log_(log),
      on_fatal_(std::move(on_fatal)),
      rules_(options.rules),
      watch_(env, directories->all_currents()) {}

// A disk that does not answer is given up together with the process: what waits for it would wait
// for ever, and clients go to other bookies. One that fails may be one of several.
void BookieDisks::LookAtProbes() {
  for (const DirectoryHealth& health : watch_.health()) {
    if (health.rounds_without_answer * options_.check_interval >= options_.hang_max) {
      return on_fatal_(MakeError(ErrorCode::kIoError,
                                 StrCat(health.directory, ": the disk has not answered for ",
                                        absl::FormatDuration(options_.hang_max))));
    }
    const std::string_view directory = health.directory;
    if (health.status.ok() && failed_.erase(health.directory) > 0) {
      log_->Write(LogLevel::kWarning, "a directory works again", {{"directory", directory}});
    }
    if (!health.status.ok() && failed_.insert(health.directory).second) {
      log_->Write(LogLevel::kError, "a directory fails: it counts as full",
                  {{"directory", directory}, {"error", ToStd(health.status.message())}});
    }
  }
}

// What fails has no space.
Task<std::vector<DirectorySpace>> BookieDisks::SpaceOf(std::vector<std::string> directories) {
  std::vector<DirectorySpace> spaces;
  for (std::string& directory : directories) {
    const absl::StatusOr<DiskSpace> space = co_await env_.files->Space(directory);
    const bool fails = !space.ok() || failed_.contains(directory);
    spaces.push_back({std::move(directory), fails ? DiskSpace{} : *space});
  }
  co_return spaces;
}

Task<std::optional<DiskDecision>> BookieDisks::Look() {
  std::vector<std::string> data = directories_->ledger_currents();
  for (const std::string& index : directories_->index_currents()) {
    // By default the indexes are in the ledger directories.
    if (std::find(data.begin(), data.end(), index) == data.end()) data.push_back(index);
  }
  const auto ledgers = co_await SpaceOf(directories_->ledger_currents());
  const auto all = co_await SpaceOf(std::move(data));
  const auto journals = co_await SpaceOf(directories_->journal_currents());
  const auto works = [](const DirectorySpace& ledger) { return ledger.space.total_bytes > 0; };
  if (std::none_of(ledgers.begin(), ledgers.end(), works)) {
    on_fatal_(MakeError(ErrorCode::kIoError, "no ledger directory can be used"));
    co_return std::nullopt;
  }
  ledgers_ = ledgers;
  totals_ = {};
  std::set<uint64_t> devices;
  for (const DirectorySpace& directory : ledgers) {
    if (!devices.insert(directory.space.device).second) continue;
    totals_.total_bytes += directory.space.total_bytes;
    totals_.free_bytes += directory.space.free_bytes;
  }
  DiskDecision decision = rules_.Decide(all, journals);
  full_ = decision.full;
  co_return decision;
}

}  // namespace stele::bookie
