// The files of a journal directory: which there are, how a new one comes to be, which may go.
//
// A file is complete before it has its name: `<hex id>.txn.pre` gets its header and is filled with
// zeros to its full capacity, is synced, renamed to `<hex id>.txn`, and the directory is synced.
// Records never change its size or its extents: every batch overwrites blocks that exist and were
// written, so a synchronous write is one device write and never waits for the file system's own
// journal, and no other writer holds the inode's lock.
//
// A file's capacity is what had been zero-filled when it was needed. So a start has to fill only a
// small file; each next file is prepared while its predecessor is being written and is twice as
// large, up to the limit; and when the records come faster than the zeros, the next file is taken
// early, smaller, instead of making the writer wait for all of it. A bookie that writes nothing
// prepares nothing but its first file.
//
// Where Java need not read the journal, a file that is no longer needed can be written again
// without zeros: it is set aside as `<its hex id>.txn.pre`, gets a header with its next id and the
// version of reused files, and that id's name. What it held before carries a lower file id in its
// footers, and no reader takes it for what it holds now.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal_format.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// Ids of all journal files in `directory`, ascending. kCorruptData: a .txn name that is no file id.
Task<absl::StatusOr<std::vector<int64_t>>> ListJournalFiles(FileSystem* files,
                                                            std::string directory);

// Deletes what an earlier process left in preparation.
Task<absl::Status> RemovePreparedJournalFiles(FileSystem* files, std::string directory);

// The ids below `first_needed_id`, ascending, but for the newest `backups` of them. They must go in
// this order, each durably before the next, so that a crash leaves no gap.
//   errors   as ListJournalFiles
Task<absl::StatusOr<std::vector<int64_t>>> ListJournalFilesBefore(FileSystem* files,
                                                                  std::string directory,
                                                                  int64_t first_needed_id,
                                                                  int backups);

// Deletes a file, durably.
Task<absl::Status> RemoveJournalFile(FileSystem* files, std::string directory, int64_t id);

// A file that was set aside to be written again.
struct SpareFile {
  std::string path;
  uint64_t capacity_bytes = 0;
};

// Takes a file out of the journal, durably. After an error it may be gone from it or not.
Task<absl::StatusOr<SpareFile>> SetAsideJournalFile(FileSystem* files, std::string directory,
                                                    int64_t id, uint64_t capacity_bytes);

// One file, ready for batches from kJournalBlockSizeBytes up to its capacity.
struct JournalFile {
  int64_t id = 0;
  StreamHeader header;
  std::string path;
  uint64_t capacity_bytes = 0;
  std::unique_ptr<File> file;  // Sync::kEachWrite
};

// What may change while a file is prepared.
struct PrepareControl {
  bool take_early = false;  // the writer waits: finish as soon as capacity_min_bytes are there
  bool stop = false;        // give up: kStopped
};

struct PrepareOptions {
  std::string directory;
  StreamHeader header;
  uint64_t capacity_min_bytes = 0;
  uint64_t capacity_bytes = 0;     // both are multiples of kJournalBlockSizeBytes
  std::optional<SpareFile> spare;  // written again, with its own capacity, instead of a new file
};

// Makes the file, durable with its name. `control` must outlive the task.
//   errors   kStopped, kDiskFull, kIoError; there is then no file, or one in preparation that the
//            next start removes. After a failed rename or directory sync the name may exist.
Task<absl::StatusOr<std::unique_ptr<JournalFile>>> PrepareJournalFile(
    FileSystem* files, PrepareOptions options, const PrepareControl* control);

}  // namespace stele::bookie
