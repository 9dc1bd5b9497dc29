// Incarnation: does this bookie still have what it had when it last ran, and is the metadata store
// still the one it knew? Each start gets a number, one above the last; it is kept in every
// directory of the bookie and in the cluster's private metadata root. A directory that was wiped,
// swapped or set back to an older snapshot has a number that is too low; a store that was set back
// has one that is lower than the directories'.
//
// The cookie tells whose directories these are; this tells whether they are the latest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"
#include "metadata/metadata_store.h"

namespace stele::bookie {

inline constexpr char kBootFileName[] = "boot";

struct BootNumbers {
  std::optional<int64_t> stored;                    // in metadata
  std::vector<std::optional<int64_t>> directories;  // nullopt: the directory has none
};

enum class MemoryLoss {
  kNone,
  kDirectories,  // a directory is older than the metadata store's number: entries may be missing
  kStore,        // the store is older than the directories: it has forgotten
};

// Pure. A start writes the directories first and the store then, so a crash in between leaves some
// or all directories one ahead.
//   may_be_new   a directory without a number may be one that was added
MemoryLoss JudgeBootNumbers(const BootNumbers& numbers, bool may_be_new);
int64_t NextBootNumber(const BootNumbers& numbers);

std::string MakeBootFile(int64_t number);
// nullopt: not what MakeBootFile makes, which counts as none.
std::optional<int64_t> ParseBootNumber(std::string_view text);

// One per start.
class Incarnation {
 public:
  // `files` and `store` must outlive it.
  //   directories   all `current` directories of the bookie
  Incarnation(FileSystem* files, metadata::MetadataStore* store, std::string instance_id,
              BookieId bookie, std::vector<std::string> directories);

  // What was lost since the last start. kMetadataUnavailable, kIoError: cannot be told.
  Task<absl::StatusOr<MemoryLoss>> Check(bool may_be_new);
  // Gives this start its number, once what Check() found is taken care of: until then every start
  // finds it again. kOverloaded: another process with this bookie's id started meanwhile.
  Task<absl::Status> Commit();

  int64_t number() const { return number_; }

 private:
  Task<absl::Status> Read();

  FileSystem* files_;
  metadata::MetadataStore* store_;
  std::string path_;
  std::vector<std::string> directories_;
  BootNumbers found_;
  metadata::Version version_ = 0;
  int64_t number_ = 0;
};

}  // namespace stele::bookie
