#include "metadata/cookie_check.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::metadata {
namespace {

constexpr std::string_view kTemporarySuffix = ".tmp";

std::string CurrentOf(const std::string& directory) {
  return StrCat(directory, "/", kCurrentDirectoryName);
}

std::string Joined(const std::vector<std::string>& directories) {
  std::string list;
  for (const std::string& directory : directories) {
    if (!list.empty()) list += ',';
    list += directory;
  }
  return list;
}

std::vector<std::string> Distinct(const BookieDirectories& directories) {
  std::vector<std::string> result;
  for (const auto* list : {&directories.journal, &directories.ledger, &directories.index}) {
    for (const std::string& directory : *list) {
      if (std::find(result.begin(), result.end(), directory) == result.end()) {
        result.push_back(directory);
      }
    }
  }
  return result;
}

Task<absl::StatusOr<CookieDirectory>> ReadDirectory(FileSystem* files, std::string directory) {
  const std::string current = CurrentOf(directory);
  CookieDirectory result{.path = std::move(directory)};
  const absl::StatusOr<std::vector<std::string>> names = co_await files->List(current);
  if (CodeOf(names.status()) == ErrorCode::kNoSuchFile) co_return result;
  STELE_CO_TRY_OK(names.status());
  // A stamp that was interrupted leaves its temporary file, and the age.
  result.is_empty = std::all_of(names->begin(), names->end(), [](std::string_view name) {
    if (name.ends_with(kTemporarySuffix)) name.remove_suffix(kTemporarySuffix.size());
    return name == kCookieFileName || name == kAgeFileName;
  });
  const std::string path = StrCat(current, "/", kCookieFileName);
  const absl::StatusOr<Buffer> bytes = co_await ReadFile(files, path, kCookieSizeMaxBytes);
  if (CodeOf(bytes.status()) == ErrorCode::kNoSuchFile) co_return result;
  STELE_CO_TRY_OK(bytes.status());
  absl::StatusOr<Cookie> cookie = ParseCookie(bytes->view());
  if (!cookie.ok()) co_return WithContext(cookie.status(), path);
  result.cookie = *std::move(cookie);
  co_return result;
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Makes the directory and its parents so that they survive a crash.
Task<absl::Status> MakeDurableDirectories(FileSystem* files, std::string path) {
  std::vector<std::string> to_sync;  // those that get a new name
  for (std::string missing = path;;) {
    const absl::Status found = (co_await files->Stat(missing)).status();
    if (found.ok()) break;
    if (CodeOf(found) != ErrorCode::kNoSuchFile) co_return found;
    missing = ParentOf(missing);
    to_sync.push_back(missing);
    if (missing == "/" || missing == ".") break;
  }
  STELE_CO_TRY_OK(co_await files->MakeDirectories(path));
  for (const std::string& directory : to_sync) {
    STELE_CO_TRY_OK(co_await files->SyncDirectory(directory));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Stamp(FileSystem* files, std::string directory, std::string bytes, int64_t age) {
  const std::string current = CurrentOf(directory);
  STELE_CO_TRY_OK(co_await MakeDurableDirectories(files, current));
  if (age > 0) {
    STELE_CO_TRY_OK(
        co_await ReplaceFile(files, current, kAgeFileName, Buffer::FromString(StrCat(age))));
  }
  co_return co_await ReplaceFile(files, current, kCookieFileName,
                                 Buffer::FromString(std::move(bytes)));
}

// What the store has for this bookie; nothing when it has no cookie.
Task<absl::StatusOr<std::optional<Versioned<Cookie>>>> ReadStored(MetadataStore* store,
                                                                  std::string path) {
  using Result = std::optional<Versioned<Cookie>>;
  const absl::StatusOr<Node> node = co_await store->Get(path);
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return Result();
  STELE_CO_TRY_OK(node.status());
  absl::StatusOr<Cookie> cookie = ParseCookie(node->value);
  if (!cookie.ok()) co_return WithContext(cookie.status(), path);
  co_return Result({*std::move(cookie), node->version});
}

Task<absl::Status> WriteStored(MetadataStore* store, std::string path, Cookie cookie,
                               std::optional<Version> expected) {
  const std::string bytes = SerializeCookie(cookie);
  absl::Status written;
  if (expected.has_value()) {
    written = (co_await store->Put(path, bytes, *expected)).status();
  } else {
    written = co_await store->Create(path, bytes, NodeKind::kPersistent);
  }
  const ErrorCode code = CodeOf(written);
  if (code != ErrorCode::kKeyExists && code != ErrorCode::kMetadataConflict &&
      code != ErrorCode::kNoSuchKey) {
    co_return written;
  }
  // A write of our own earlier life may have arrived meanwhile.
  STELE_CO_TRY(const std::optional<Versioned<Cookie>> stored, co_await ReadStored(store, path));
  if (stored.has_value() && stored->value == cookie) co_return absl::OkStatus();
  co_return MakeError(ErrorCode::kCookieMismatch,
                      StrCat("somebody else wrote ", path, " while this bookie started"));
}

}  // namespace

Cookie MakeCookie(const BookieId& bookie, const BookieDirectories& directories,
                  std::optional<std::string> instance_id) {
  Cookie cookie{.bookie = bookie.value(),
                .journal_dirs = Joined(directories.journal),
                .ledger_dirs = DirectoryList(directories.ledger),
                .instance_id = std::move(instance_id)};
  if (!directories.index.empty()) cookie.index_dirs = DirectoryList(directories.index);
  return cookie;
}

Task<absl::Status> CheckCookies(FileSystem* files, MetadataStore* store, ClusterPaths paths,
                                BookieIdentity identity) {
  const Cookie master =
      MakeCookie(identity.bookie, identity.directories, std::move(identity.instance_id));
  for (const BookieId& former : identity.other_ids) {
    STELE_CO_TRY(const auto other, co_await ReadStored(store, paths.Cookie(former)));
    if (!other.has_value() || former == identity.bookie) continue;
    const absl::Status same = VerifyCookie(master, other->value, identity.expansion);
    if (!same.ok()) co_return WithContext(same, paths.Cookie(former));
  }
  const std::string path = paths.Cookie(identity.bookie);
  STELE_CO_TRY(const std::optional<Versioned<Cookie>> stored, co_await ReadStored(store, path));
  std::vector<CookieDirectory> found;
  for (const std::string& directory : Distinct(identity.directories)) {
    STELE_CO_TRY(CookieDirectory one, co_await ReadDirectory(files, directory));
    found.push_back(std::move(one));
  }
  STELE_CO_TRY(
      const CookiePlan plan,
      DecideCookies(master, stored.has_value() ? std::optional(stored->value) : std::nullopt, found,
                    identity.expansion));
  const std::string bytes = SerializeCookie(master);
  const auto is_new = [&found](const std::string& directory) {
    return std::any_of(found.begin(), found.end(), [&](const CookieDirectory& one) {
      return one.path == directory && !one.cookie.has_value();
    });
  };
  for (const std::string& directory : plan.stamp) {
    const int64_t age = is_new(directory) ? identity.data_age : 0;
    STELE_CO_TRY_OK(co_await Stamp(files, directory, bytes, age));
  }
  switch (plan.store) {
    case CookiePlan::Store::kKeep: break;
    case CookiePlan::Store::kCreate:
      co_return co_await WriteStored(store, path, master, std::nullopt);
    case CookiePlan::Store::kUpdate:
      co_return co_await WriteStored(store, path, master, stored->version);
  }
  co_return absl::OkStatus();
}

}  // namespace stele::metadata
