// LastMark: the durable mark of one journal: 16 bytes, i64 file id and i64 offset, in a small file
// of the same content in every ledger directory. Owned by the shard that checkpoints.
// Source: docs/FORMATS.md "Journal"; Java's `lastMark`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal_mark.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

inline constexpr std::string_view kLastMarkFileName = "lastMark";  // with one journal directory

// With several journal directories each has a mark of its own: "lastMark.0", "lastMark.1", ...
std::string LastMarkFileName(int journal_index, int journal_count);

std::string EncodeMark(JournalMark mark);
// nullopt: not 16 bytes, or negative numbers; the file then counts as absent.
std::optional<JournalMark> ParseMark(std::string_view bytes);

class LastMark {
 public:
  //   directories  the `current` directories of all ledger directories
  //   names        the first one is written; all are read, for directories that were used with
  //                another number of journals
  // `files` must outlive this object.
  LastMark(FileSystem* files, std::vector<std::string> directories, std::vector<std::string> names);

  // The greatest mark that can be read; (0, 0), "replay everything", when none can. A file that is
  // missing, damaged or unreadable does not count: the others decide.
  Task<JournalMark> Read();

  // Makes `mark` durable in all directories. Succeeds when one has it. A mark that is not greater
  // than the last one read or written changes nothing: marks never go back. One call at a time.
  //   errors  of the last directory that failed, effect unknown
  Task<absl::Status> Write(JournalMark mark);

  // The last one that was read or written.
  JournalMark last() const { return last_; }

 private:
  FileSystem* files_;
  std::vector<std::string> directories_;
  std::vector<std::string> names_;
  JournalMark last_;
  bool is_writing_ = false;
};

}  // namespace stele::bookie
