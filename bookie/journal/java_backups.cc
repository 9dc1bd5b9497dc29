#include "bookie/journal/java_backups.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bookie/journal/java_journal_reader.h"
#include "bookie/journal/journal_files.h"
#include "bookie/journal/journal_format.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

struct OpenJournalFile {
  std::unique_ptr<File> file;
  // nullopt: no head that a journal file has.
  std::optional<JournalFileHeader> header;
  bool IsJavas() const { return header.has_value() && !header->stream.has_value(); }
};

Task<absl::StatusOr<OpenJournalFile>> OpenFile(FileSystem* files, std::string path) {
  OpenJournalFile result;
  STELE_CO_TRY(result.file, co_await files->Open(std::move(path), OpenOptions{}));
  STELE_CO_TRY(const Buffer head, co_await result.file->ReadAt(0, kJournalHeaderSizeBytes));
  const absl::StatusOr<JournalFileHeader> header = ParseJournalFileHeader(head.view());
  if (header.ok()) result.header = *header;
  co_return result;
}

}  // namespace

Task<absl::StatusOr<int64_t>> ReadJavaBackups(Env env, ReplayOptions options, ReplayRecord record) {
  STELE_CO_TRY(const std::vector<int64_t> ids,
               co_await ListJournalFiles(env.files, options.directory));
  const auto path_of = [&](int64_t id) {
    return StrCat(options.directory, "/", JournalFileName(id));
  };
  if (ids.empty()) co_return 0;
  STELE_CO_TRY(const OpenJournalFile newest, co_await OpenFile(env.files, path_of(ids.back())));
  if (!newest.IsJavas()) co_return 0;
  int64_t records = 0;
  for (const int64_t id : ids) {
    if (id > options.mark.file_id) break;
    STELE_CO_TRY(const OpenJournalFile opened, co_await OpenFile(env.files, path_of(id)));
    if (!opened.IsJavas()) continue;
    STELE_CO_TRY(const uint64_t end, co_await opened.file->Size());
    JavaJournalReader reader(opened.file.get(),
                             {.version = opened.header->version,
                              .size_bytes = end,
                              .offset = std::min(opened.header->first_record_offset, end),
                              .record_size_max_bytes = options.record_size_max_bytes});
    for (;;) {
      const absl::StatusOr<std::optional<Buffer>> body = co_await reader.Next();
      if (CodeOf(body.status()) == ErrorCode::kCorruptData) break;
      if (!body.ok()) co_return WithContext(body.status(), path_of(id));
      if (!body->has_value()) break;
      ++records;
      STELE_CO_TRY_OK(co_await record(Buffer::CopyOf((*body)->view())));
    }
  }
  co_return records;
}

}  // namespace stele::bookie
