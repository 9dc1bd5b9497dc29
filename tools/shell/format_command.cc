#include "tools/shell/format_command.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cookie.h"
#include "tools/shell/cluster_access.h"
#include "tools/shell/cookie_commands.h"

namespace stele::shell {
namespace {

// Of files below a directory.
struct Sizes {
  int64_t files = 0;
  int64_t bytes = 0;
};

// A bookie makes no symbolic links: what is behind one that somebody else made is not the bookie's,
// and what the link was for is not known here.
absl::Status CheckIsNoLink(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_symlink(path, ignored)) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidArgument,
                   StrCat(path, " is a symbolic link, which no bookie makes: look where it leads"));
}

struct Child {
  std::string path;
  FileInfo info;
};

Task<absl::StatusOr<std::vector<Child>>> ChildrenOf(FileSystem* files, std::string path) {
  STELE_CO_TRY(const std::vector<std::string> names, co_await files->List(path));
  std::vector<Child> children;
  for (const std::string& name : names) {
    const std::string child = StrCat(path, "/", name);
    STELE_CO_TRY_OK(CheckIsNoLink(child));
    STELE_CO_TRY(const FileInfo info, co_await files->Stat(child));
    children.push_back({child, info});
  }
  co_return children;
}

Task<absl::Status> AddSizes(FileSystem* files, std::string path, Sizes* sizes) {
  STELE_CO_TRY(const std::vector<Child> children, co_await ChildrenOf(files, path));
  for (const Child& child : children) {
    if (child.info.is_directory) {
      STELE_CO_TRY_OK(co_await AddSizes(files, child.path, sizes));
    } else {
      ++sizes->files;
      sizes->bytes += static_cast<int64_t>(child.info.size_bytes);
    }
  }
  co_return absl::OkStatus();
}

// Leaves the directory itself.
Task<absl::Status> Empty(FileSystem* files, std::string path) {
  STELE_CO_TRY(const std::vector<Child> children, co_await ChildrenOf(files, path));
  for (const Child& child : children) {
    if (child.info.is_directory) STELE_CO_TRY_OK(co_await Empty(files, child.path));
    STELE_CO_TRY_OK(co_await files->Remove(child.path));
  }
  co_return co_await files->SyncDirectory(std::move(path));
}

// Without VERSION a bookie does not start over what is left: these go first.
Task<absl::Status> RemoveVersions(FileSystem* files, std::vector<std::string> currents) {
  for (const std::string& current : currents) {
    const absl::Status removed = co_await files->Remove(current + "/VERSION");
    if (!removed.ok() && CodeOf(removed) != ErrorCode::kNoSuchFile) co_return removed;
    STELE_CO_TRY_OK(co_await files->SyncDirectory(current));
  }
  co_return absl::OkStatus();
}

// Another cluster cannot say whether ledgers have copies there.
absl::Status CheckIsOf(Session& session, const FormatCommand& command,
                       const std::optional<std::string>& instance, const std::string& current) {
  const auto bytes = session.shard().RunUntil(
      ReadFile(session.env().files, current + "/VERSION", metadata::kCookieSizeMaxBytes));
  if (CodeOf(bytes.status()) == ErrorCode::kNoSuchFile) {
    if (command.force) return absl::OkStatus();
    return MakeError(
        ErrorCode::kInvalidArgument,
        StrCat(current, " has no VERSION: whose it is, is not known; --force empties it"));
  }
  STELE_TRY_OK(bytes.status());
  STELE_TRY(const metadata::Cookie cookie, metadata::ParseCookie(bytes->view()));
  if (cookie.bookie != command.bookie) {
    return MakeError(ErrorCode::kCookieMismatch,
                     StrCat(current, " belongs to bookie ", cookie.bookie));
  }
  if (cookie.instance_id == instance || command.force) return absl::OkStatus();
  return MakeError(
      ErrorCode::kCookieMismatch,
      StrCat(current, " belongs to the cluster with instance id ",
             cookie.instance_id.value_or("none"), ", and this one has ", instance.value_or("none"),
             ": if that cluster is no more, --force empties it"));
}

// By whatever name: its lock would say that another process has it.
absl::Status CheckIsNamedOnce(const std::vector<std::string>& before, const std::string& current) {
  for (const std::string& other : before) {
    std::error_code ignored;
    if (!std::filesystem::equivalent(other, current, ignored)) continue;
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("the same directory is named twice: ", other, " and ", current));
  }
  return absl::OkStatus();
}

absl::Status EmptyDirectories(Session& session, const FormatCommand& command) {
  const BookieId bookie(command.bookie);
  FileSystem* const files = session.env().files;
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  std::vector<std::string> currents;
  std::vector<std::unique_ptr<DirectoryLock>> locks;
  Sizes sizes;
  for (const std::string& directory : command.directories) {
    const std::string current = directory + "/current";
    STELE_TRY_OK(CheckIsNoLink(current));
    STELE_TRY_OK(CheckIsNamedOnce(currents, current));
    currents.push_back(current);
    auto lock = session.shard().RunUntil(files->LockDirectory(current));
    if (CodeOf(lock.status()) == ErrorCode::kOverloaded) {
      return WithContext(lock.status(), "stop the bookie first");
    }
    STELE_TRY_OK(lock.status());
    locks.push_back(*std::move(lock));
    STELE_TRY_OK(CheckIsOf(session, command, cluster.instance_id, current));
    STELE_TRY_OK(session.shard().RunUntil(AddSizes(files, current, &sizes)));
  }
  STELE_TRY(const auto registry, OpenRegistry(session));
  const bool is_up = registry->bookies().IsUp(bookie);
  STELE_TRY(const auto references, ReferencesTo(session, bookie));
  const bool is_needed = !references.empty() && !command.force;
  const bool does_it = command.applies && !is_up && !is_needed;
  if (does_it) {
    STELE_TRY_OK(session.shard().RunUntil(RemoveVersions(files, currents)));
    for (const std::string& current : currents) {
      STELE_TRY_OK(session.shard().RunUntil(Empty(files, current)));
    }
    if (command.deletes_cookie) STELE_TRY_OK(DeleteCookieOfADownBookie(session, bookie));
  }
  PrintRecord(Record()
                  .Set("bookie", bookie.value())
                  .Set("directories", command.directories)
                  .Set("files", sizes.files)
                  .Set("bytes", sizes.bytes)
                  .Set("up", is_up)
                  .Set("ledgers", static_cast<int64_t>(references.size()))
                  .Set("removed", does_it)
                  .Set("cookie_deleted", does_it && command.deletes_cookie),
              session.options().format);
  if (is_up) {
    return MakeError(ErrorCode::kMetadataConflict, StrCat("bookie ", bookie.value(), " is up"));
  }
  if (is_needed) {
    return MakeError(ErrorCode::kMetadataConflict,
                     StrCat(references.size(), " ledgers have copies on bookie ", bookie.value(),
                            ": stele recover gives them others first"));
  }
  if (!command.applies) std::fprintf(stderr, "nothing was removed: --apply does it\n");
  return absl::OkStatus();
}

}  // namespace

ExitCode RunNodeFormat(const FormatCommand& command) {
  return RunInSession(command.common,
                      [&](Session& session) { return EmptyDirectories(session, command); });
}

}  // namespace stele::shell
