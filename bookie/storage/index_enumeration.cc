#include "bookie/storage/index_enumeration.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "bookie/storage/extent_format.h"
#include "bookie/storage/index_format.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

struct Found {
  EnumeratedIndexes indexes;
  std::vector<std::pair<uint8_t, LedgerId>> moved;  // `.idx.rloc` files
};

// The names in a directory; none when it is a file.
Task<absl::StatusOr<std::vector<std::string>>> ListIfDirectory(FileSystem* files,
                                                               std::string path) {
  STELE_CO_TRY(const FileInfo info, co_await files->Stat(path));
  if (!info.is_directory) co_return std::vector<std::string>();
  co_return co_await files->List(path);
}

Task<absl::Status> EnumerateInner(FileSystem* files, uint8_t index, std::string root,
                                  std::string inner, Found* found) {
  const std::string path = StrCat(root, "/", inner);
  STELE_CO_TRY(const std::vector<std::string> names, co_await ListIfDirectory(files, path));
  for (const std::string& name : names) {
    if (ParseIndexFileName(name, kIndexNewSuffix).has_value()) {
      STELE_CO_TRY_OK(co_await files->Remove(StrCat(path, "/", name)));
      continue;
    }
    std::optional<LedgerId> ledger = ParseIndexFileName(name, kIndexSuffix);
    const bool is_moved = !ledger.has_value();
    if (is_moved) ledger = ParseIndexFileName(name, kIndexMovedSuffix);
    if (!ledger.has_value() || IndexFileDirectory(*ledger) != inner) continue;
    if (is_moved) {
      found->moved.emplace_back(index, *ledger);
    } else {
      found->indexes.directory_of.try_emplace(*ledger, index);
    }
  }
  co_return absl::OkStatus();
}

Task<absl::Status> EnumerateRoot(FileSystem* files, uint8_t index, std::string root, Found* found) {
  STELE_CO_TRY(const std::vector<std::string> outer_names, co_await files->List(root));
  for (const std::string& outer : outer_names) {
    if (outer == "locations" || outer == "ledgers") {
      co_return MakeError(ErrorCode::kUnsupported,
                          StrCat(root, "/", outer, ": an index of Java's DbLedgerStorage"));
    }
    if (outer == kExtentDirectory) found->indexes.has_extents = true;
    if (!IsIndexDirectoryName(outer)) continue;
    STELE_CO_TRY(const std::vector<std::string> inner_names,
                 co_await ListIfDirectory(files, StrCat(root, "/", outer)));
    for (const std::string& inner : inner_names) {
      if (!IsIndexDirectoryName(inner)) continue;
      STELE_CO_TRY_OK(
          co_await EnumerateInner(files, index, root, StrCat(outer, "/", inner), found));
    }
  }
  co_return absl::OkStatus();
}

// A moved file is whole when the original is gone, and superfluous while the original exists.
Task<absl::Status> FinishMove(FileSystem* files, std::string root, uint8_t index, LedgerId ledger,
                              Found* found) {
  const std::string path = StrCat(root, "/", IndexFilePath(ledger));
  const std::string moved = StrCat(path, kIndexMovedSuffix.substr(kIndexSuffix.size()));
  if (found->indexes.directory_of.contains(ledger)) co_return co_await files->Remove(moved);
  STELE_CO_TRY_OK(co_await files->Rename(moved, path));
  STELE_CO_TRY_OK(co_await files->SyncDirectory(StrCat(root, "/", IndexFileDirectory(ledger))));
  found->indexes.directory_of[ledger] = index;
  co_return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<EnumeratedIndexes>> EnumerateIndexes(FileSystem* files,
                                                         std::vector<std::string> directories) {
  Found found;
  for (size_t i = 0; i < directories.size(); ++i) {
    STELE_CO_TRY_OK(co_await EnumerateRoot(files, static_cast<uint8_t>(i), directories[i], &found));
  }
  // Only now it is known which originals exist in any directory.
  for (const auto& [index, ledger] : found.moved) {
    STELE_CO_TRY_OK(co_await FinishMove(files, directories[index], index, ledger, &found));
  }
  co_return std::move(found.indexes);
}

}  // namespace stele::bookie
