// SpaceReserve: a file of zeroes in each ledger directory, given up when the disk is so full that
// compaction could not copy a single log, or that a start could not store what it replayed, and
// filled again when there is space. Without it a full disk could not be emptied.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

inline constexpr char kReserveFileName[] = "compaction.reserve";

class SpaceReserve {
 public:
  // `directories`: the `current` directories of the ledgers. 0 bytes: no reserve.
  SpaceReserve(FileSystem* files, std::vector<std::string> directories, uint64_t bytes)
      : files_(files), directories_(std::move(directories)), bytes_(bytes) {}

  // Makes the files that are missing or too short, where the disk has twice as much left.
  Task<absl::Status> Fill();
  // Removes them all. Errors: of a file that is there and could not be removed.
  Task<absl::Status> Release();

  uint64_t bytes() const { return bytes_; }

 private:
  Task<absl::Status> FillIn(std::string directory);

  FileSystem* files_;
  std::vector<std::string> directories_;
  uint64_t bytes_;
};

}  // namespace stele::bookie
