// Tombstones: the ledgers whose data this bookie removed because metadata no longer knew them. They
// survive restarts, so neither the replay of an old journal nor a late writer brings one back.
//
// Ledger ids are never used again, so a tombstone never stands in the way of a new ledger. The
// newest kTombstonesMax are kept; no clock is asked. Written as a whole to every ledger directory;
// at start all that can be read count. Format: docs/FORMATS.md, "Tombstones".
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// 2 MiB on disk, about 8 MiB in memory.
inline constexpr size_t kTombstonesMax = 256 << 10;
// A disk that fails to read once may read a moment later.
inline constexpr int kReadTriesMax = 4;
inline constexpr char kTombstonesFileName[] = "tombstones";

// The content of the file, oldest first, and back. kCorruptData: not such a file, or damaged.
std::string MakeTombstones(const std::deque<LedgerId>& ledgers);
absl::StatusOr<std::vector<LedgerId>> ParseTombstones(std::string_view bytes);

// One per shard of a bookie; outlives its own tasks.
class Tombstones {
 public:
  // `directories`: the `current` directories of the ledgers. A file that is damaged, or cannot be
  // read in kReadTriesMax tries, is passed over: without it a deleted ledger may come back until it
  // is collected again, which is no reason not to serve the others. Add() tries to read it again.
  static Task<std::unique_ptr<Tombstones>> Open(FileSystem* files,
                                                std::vector<std::string> directories);
  // The first file that was passed over, for the operator; ok: none.
  const absl::Status& damage() const { return damage_; }

  bool Contains(LedgerId ledger) const { return ledgers_.contains(ledger); }
  size_t size() const { return ledgers_.size(); }

  // Durable when it returns ok, in one directory at least. After an error the ledgers have none.
  // One call at a time.
  Task<absl::Status> Add(std::vector<LedgerId> ledgers);

 private:
  Tombstones(FileSystem* files, std::vector<std::string> directories)
      : files_(files), directories_(std::move(directories)) {}

  // Reads those of unread_ that can be read now: what was not read must not be written over.
  Task<void> ReadFiles();
  // Those in the content of a file.
  absl::Status AddAll(std::string_view bytes);
  void Insert(LedgerId ledger);
  Task<absl::Status> Store(std::string content);

  FileSystem* files_;
  std::vector<std::string> directories_;
  std::vector<std::string> unread_;  // files that the disk has not given yet
  absl::Status damage_;
  absl::flat_hash_set<LedgerId> ledgers_;  // looked up only
  std::deque<LedgerId> by_age_;            // the oldest first
};

}  // namespace stele::bookie
