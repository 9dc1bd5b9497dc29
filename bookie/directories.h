// Directories: the places of a bookie's data: found or made, locked against every other process,
// and proven by their cookies to belong to this bookie and this cluster.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/bookie_options.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "metadata/metadata_store.h"

namespace stele::bookie {

// Holds the locks as long as it lives.
class Directories {
 public:
  // The `current` directories below the configured roots, in the configured order.
  // All of the three below, each once.
  std::vector<std::string> all_currents() const;
  const std::vector<std::string>& journal_currents() const { return journals_; }
  const std::vector<std::string>& ledger_currents() const { return ledgers_; }
  // Those of the ledgers when no index directories are configured.
  const std::vector<std::string>& index_currents() const { return indexes_; }

  // The last process on these directories ended without MarkClean.
  bool was_unclean() const { return was_unclean_; }

  // Removes DIRTY from all ledger directories, after a checkpoint that covers everything.
  Task<absl::Status> MarkClean();

 private:
  friend Task<absl::StatusOr<std::unique_ptr<Directories>>> OpenDirectories(
      Env env, metadata::MetadataStore* store, const BookieOptions* options,
      std::optional<std::string> instance_id);
  explicit Directories(FileSystem* files) : files_(files) {}

  Task<absl::Status> Prepare(std::vector<std::string> roots, std::vector<std::string>* currents);
  Task<absl::Status> Lock();
  Task<absl::Status> MarkDirty();

  FileSystem* files_;
  std::vector<std::string> journals_;
  std::vector<std::string> ledgers_;
  std::vector<std::string> indexes_;
  std::vector<std::unique_ptr<DirectoryLock>> locks_;
  bool was_unclean_ = false;
};

// `options` must outlive the task.
//   errors   kConfig          no directories, or a layout older than Apache BookKeeper 4.2
//            kOverloaded      another process has a directory
//            kCookieMismatch  a directory, or the bookie's id, belongs to somebody else
Task<absl::StatusOr<std::unique_ptr<Directories>>> OpenDirectories(
    Env env, metadata::MetadataStore* store, const BookieOptions* options,
    std::optional<std::string> instance_id);

}  // namespace stele::bookie
