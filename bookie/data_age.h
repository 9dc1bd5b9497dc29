// DataAge: how old a bookie's data are: a number in each of its directories and in the metadata
// store (metadata/bookie_age.h), raised at each start and every so often while it runs: first in
// the directories, durable, then in the store. A directory that is behind the store was emptied
// below its cookie, or set back to an older snapshot: it has lost what this bookie has promised. So
// has one whose index is damaged in a way that hides what is missing (ForgetAge).
//
// Not noticed: that a directory was set back to what it was after the last raise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"
#include "metadata/bookie_age.h"

namespace stele::bookie {

// While the bookie runs.
inline constexpr absl::Duration kRaiseInterval = absl::Minutes(1);

// The highest that any of these `current` directories has; 0: none has one. What is no number, or
// cannot be read, counts as 0.
Task<int64_t> HighestAge(FileSystem* files, std::vector<std::string> directories);

// Makes the data of these directories count as behind, for good: a part of them was lost.
Task<absl::Status> ForgetAge(FileSystem* files, std::vector<std::string> directories);

class DataAge {
 public:
  //   directories  all `current` directories of the bookie; those that are new to it were given an
  //                age with their cookies (metadata/cookie_check.h)
  // `files` outlives it and its tasks.
  DataAge(FileSystem* files, std::vector<std::string> directories, metadata::BookieAge in_store);

  // Whether data were lost: a directory, or what there is of all, is behind the store.
  //   errors   of the store; kCorruptData: what it has is no age
  Task<absl::StatusOr<bool>> IsBehind();

  // Raises the age. After IsBehind(), once what was lost is known for good: a raise hides it.
  //   errors   of the first that failed; then the store's age has not grown
  Task<absl::Status> Raise();

  // What the store has, as far as is known.
  int64_t value() const { return stored_; }

 private:
  FileSystem* files_;
  const std::vector<std::string> directories_;
  metadata::BookieAge in_store_;
  int64_t stored_ = 0;
  int64_t highest_ = 0;  // in any directory
};

}  // namespace stele::bookie
