// One extent run on the disk: reading its blocks, and making a new one. What the bytes are:
// extent_format.h; what the runs of a bookie are together: extent_store.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/extent_format.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/seams/env.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

class ExtentRun;
// The runs before and behind one, the newest first.
struct OtherRuns {
  std::vector<std::shared_ptr<const ExtentRun>> older;
  std::vector<std::shared_ptr<const ExtentRun>> newer;
};

// What a run has lost that was opened all the same.
struct ExtentRunLosses {
  std::set<uint32_t> blocks;  // are not read any more: what is known of the others counts on that
  bool may_hide_ledgers = false;  // nothing else is left of some, perhaps
};

// Immutable, and shared by those that read it: it may be replaced, and its file removed, meanwhile.
class ExtentRun {
 public:
  // Reads what is kept in memory: footer and tail. A damaged tail is made anew from the blocks.
  //   errors   kCorruptData   both footers are damaged, or both tail and a block
  //            kUnsupported   of another version
  static Task<absl::StatusOr<std::shared_ptr<const ExtentRun>>> Open(Env env, std::string path,
                                                                     RunNumbers numbers);
  // What there is of a run that Open refuses as damaged (extent_salvage.h).
  //   errors   kCorruptData   there is no footer and no block of it
  static Task<absl::StatusOr<std::shared_ptr<const ExtentRun>>> OpenDamaged(Env env,
                                                                            std::string path,
                                                                            RunNumbers numbers,
                                                                            OtherRuns others);

  ExtentRun(Env env, std::string path, std::unique_ptr<File> file, uint64_t size_bytes,
            RunNumbers numbers, ExtentRunTail tail, ExtentRunLosses lost = {})
      : env_(env),
        path_(std::move(path)),
        file_(std::move(file)),
        size_bytes_(size_bytes),
        numbers_(numbers),
        tail_(std::move(tail)),
        lost_(std::move(lost)) {}

  const std::string& path() const { return path_; }
  uint64_t size_bytes() const { return size_bytes_; }
  const RunNumbers& numbers() const { return numbers_; }
  const std::vector<LedgerId>& ledgers() const { return tail_.ledgers; }
  uint8_t flags(size_t ledger) const { return tail_.flags[ledger]; }

  // Do the two have the same ledgers and blocks?
  bool IsSame(const ExtentRun& other) const {
    return tail_ == other.tail_ && lost_.blocks == other.lost_.blocks;
  }

  // nullopt: the run has nothing of the ledger.
  std::optional<uint8_t> FlagsOf(LedgerId ledger) const;
  // The block with the last row at or before `key`.
  std::optional<uint32_t> FloorBlock(const ExtentKey& key) const;
  uint32_t block_count() const { return static_cast<uint32_t>(tail_.blocks.size()); }
  LedgerId first_ledger(uint32_t block) const { return tail_.blocks[block].ledger; }
  // [first, end): those that may have rows of the ledger.
  std::pair<uint32_t, uint32_t> BlocksOf(LedgerId ledger) const;

  // kCorruptData: it is damaged, or cannot be read. The run outlives the task.
  //   patiently   also one that could not be read before is tried more than once
  Task<absl::StatusOr<std::shared_ptr<const ExtentBlock>>> ReadBlock(uint32_t block,
                                                                     bool patiently = false) const;
  // After ReadBlock has failed: the disk did not give it, and not for long enough to call it lost
  // for ever. What makes that final waits.
  bool MayComeBack(uint32_t block) const;
  // It may have had something of ledgers that are not known any more.
  bool may_hide_ledgers() const { return lost_.may_hide_ledgers; }
  // The last read of some block failed on the disk.
  bool has_unreadable_blocks() const { return !unreadable_since_.empty(); }

 private:
  // Does it begin where the tail says, and end before the next one begins?
  bool IsInOrder(const ExtentBlock& block, uint32_t number) const;

  Env env_;
  std::string path_;
  std::unique_ptr<File> file_;
  uint64_t size_bytes_;
  RunNumbers numbers_;
  ExtentRunTail tail_;
  ExtentRunLosses lost_;
  // Could not be read in all the time that ReadPatiently takes: one try is enough from then on.
  mutable std::map<uint32_t, MonotonicTime> unreadable_since_;
};

// Makes a run in `directory`, under another name until all of it is durable.
class ExtentRunWriter {
 public:
  ExtentRunWriter(Env env, std::string directory, RunNumbers numbers)
      : env_(env), directory_(std::move(directory)), numbers_(numbers), builder_(numbers) {}

  Task<absl::Status> Begin();
  ExtentRunBuilder* builder() { return &builder_; }
  // To be called now and then while rows are added: writes what has gathered.
  Task<absl::Status> Drain();
  // File and name are durable. After an error they may be.
  Task<absl::StatusOr<std::shared_ptr<const ExtentRun>>> Finish();
  // After an error: gives the space back, if it can.
  Task<void> Abandon();

 private:
  Task<absl::Status> Append(std::string bytes);
  std::string NewPath() const;

  Env env_;
  const std::string directory_;
  const RunNumbers numbers_;
  ExtentRunBuilder builder_;
  std::unique_ptr<File> file_;
  uint64_t written_bytes_ = kExtentBlockBytes;  // the first page comes last
};

}  // namespace stele::bookie
