#include <utility>

#include "bookie/journal/last_mark.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "tools/dump/dump.h"

namespace stele::dump {
namespace {

// A mark has 16.
constexpr size_t kMarkFileSizeMaxBytes = 1024;

}  // namespace

Task<absl::StatusOr<int64_t>> DumpMarks(Env env, DumpOptions options, Emit emit) {
  const std::string current = options.path + "/current";
  STELE_CO_TRY(const std::vector<std::string> names, co_await env.files->List(current));
  int64_t found = 0;
  int64_t damaged = 0;
  for (const std::string& name : names) {
    if (!name.starts_with(bookie::kLastMarkFileName)) continue;
    ++found;
    STELE_CO_TRY(const Buffer bytes,
                 co_await ReadFile(env.files, StrCat(current, "/", name), kMarkFileSizeMaxBytes));
    const auto mark = bookie::ParseMark(bytes.view());
    damaged += mark.has_value() ? 0 : 1;
    shell::Record record;
    record.Set("directory", options.path).Set("file", name);
    if (mark.has_value()) {
      record.Set("journal", StrCat(absl::Hex(mark->file_id), ".txn"))
          .Set("position", mark->offset_bytes);
    } else {
      record.Set("damage", "this is no mark");
    }
    emit(record);
  }
  if (found > 0) co_return damaged;
  co_return MakeError(ErrorCode::kNoSuchFile,
                      StrCat(current, " has no ", bookie::kLastMarkFileName));
}

}  // namespace stele::dump
