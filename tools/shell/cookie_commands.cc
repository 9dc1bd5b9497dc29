#include "tools/shell/cookie_commands.h"

#include <cstdio>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/autorecovery_records.h"
#include "metadata/bookie_id.h"
#include "metadata/cluster_paths.h"
#include "metadata/cookie.h"
#include "metadata/cookie_check.h"
#include "tools/shell/cluster_access.h"
#include "tools/shell/text_file.h"

namespace stele::shell {
namespace {

std::string PathOf(const Session& session, const BookieId& bookie) {
  return metadata::ClusterPaths(session.uri().root).Cookie(bookie);
}

absl::Status CheckId(const std::string& bookie) {
  if (metadata::IsValidBookieId(bookie)) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidArgument, StrCat(bookie, " is no bookie id"));
}

absl::Status List(Session& session) {
  STELE_TRY(const auto registry, OpenRegistry(session));
  STELE_TRY(const auto all, session.shard().RunUntil(registry->AllBookies()));
  std::vector<Record> records;
  for (const BookieId& bookie : all) {
    records.emplace_back();
    records.back().Set("bookie", bookie.value()).Set("up", registry->bookies().IsUp(bookie));
  }
  PrintRecords(records, session.options().format, "no bookie has a cookie");
  return absl::OkStatus();
}

absl::StatusOr<metadata::Node> ReadCookie(Session& session, const std::string& bookie) {
  STELE_TRY_OK(CheckId(bookie));
  const absl::StatusOr<metadata::Node> node =
      session.shard().RunUntil(session.store()->Get(PathOf(session, BookieId(bookie))));
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) {
    return MakeError(ErrorCode::kNoSuchKey, StrCat("bookie ", bookie, " has no cookie"));
  }
  return node;
}

absl::Status Show(Session& session, const std::string& bookie) {
  STELE_TRY(const metadata::Node node, ReadCookie(session, bookie));
  PrintRecord(Record().Set("bookie", bookie).Set("version", node.version).Set("cookie", node.value),
              session.options().format);
  return absl::OkStatus();
}

// Its limbo ends with it; one that is up says itself when it leaves.
absl::Status DeleteOfADownBookie(Session& session, const BookieId& bookie,
                                 metadata::Version version) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY_OK(session.shard().RunUntil(session.store()->Delete(PathOf(session, bookie), version)));
  metadata::AutorecoveryRecords records(session.store(), cluster);
  return session.shard().RunUntil(records.ClearInLimbo(bookie));
}

absl::Status Delete(Session& session, const CookieDeleteCommand& command) {
  const BookieId bookie(command.bookie);
  STELE_TRY(const metadata::Node node, ReadCookie(session, command.bookie));
  STELE_TRY(const auto registry, OpenRegistry(session));
  const bool is_up = registry->bookies().IsUp(bookie);
  STELE_TRY(const auto references, ReferencesTo(session, bookie));
  PrintRecord(Record()
                  .Set("bookie", bookie.value())
                  .Set("up", is_up)
                  .Set("ledgers", static_cast<int64_t>(references.size()))
                  .Set("dry_run", command.dry_run),
              session.options().format);
  if (!command.force && (is_up || !references.empty())) {
    return MakeError(ErrorCode::kMetadataConflict,
                     StrCat("bookie ", bookie.value(), is_up ? " is up" : " is named by ledgers",
                            "; drain or recover it first, or use --force"));
  }
  if (command.dry_run) return absl::OkStatus();
  if (!is_up) return DeleteOfADownBookie(session, bookie, node.version);
  return session.shard().RunUntil(session.store()->Delete(PathOf(session, bookie), node.version));
}

absl::StatusOr<std::string> ReadCookieFile(Session& session, const CookieWriteCommand& command) {
  STELE_TRY(const Buffer bytes, session.shard().RunUntil(ReadFile(session.env().files, command.path,
                                                                  metadata::kCookieSizeMaxBytes)));
  std::string text = bytes.ToString();
  STELE_TRY(const metadata::Cookie cookie, metadata::ParseCookie(text));
  if (cookie.bookie != command.bookie) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat(command.path, " is the cookie of ", cookie.bookie));
  }
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  if (cookie.instance_id != cluster.instance_id) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat(command.path, " is of another cluster, whose instance id is ",
                            cookie.instance_id.value_or("not known")));
  }
  return text;
}

absl::Status Write(Session& session, const CookieWriteCommand& command) {
  STELE_TRY_OK(CheckId(command.bookie));
  STELE_TRY(std::string text, ReadCookieFile(session, command));
  const absl::StatusOr<metadata::Node> before = ReadCookie(session, command.bookie);
  if (!before.ok() && CodeOf(before.status()) != ErrorCode::kNoSuchKey) return before.status();
  if (!before.ok() && command.replaces) return before.status();
  if (before.ok() && !command.replaces) {
    return MakeError(ErrorCode::kKeyExists,
                     StrCat("bookie ", command.bookie, " has a cookie: stele cookie update"));
  }
  PrintRecord(Record()
                  .Set("bookie", command.bookie)
                  .Set("before", before.ok() ? before->value : std::string())
                  .Set("cookie", text)
                  .Set("dry_run", command.dry_run),
              session.options().format);
  if (command.dry_run) return absl::OkStatus();
  const std::string path = PathOf(session, BookieId(command.bookie));
  if (before.ok()) {
    return session.shard()
        .RunUntil(session.store()->Put(path, std::move(text), before->version))
        .status();
  }
  return session.shard().RunUntil(
      session.store()->Create(path, std::move(text), metadata::NodeKind::kPersistent));
}

absl::Status Generate(Session& session, const CookieGenerateCommand& command) {
  STELE_TRY_OK(CheckId(command.bookie));
  STELE_TRY(metadata::Cluster cluster, session.FindCluster());
  std::string text = metadata::SerializeCookie(metadata::MakeCookie(
      BookieId(command.bookie),
      {command.journal_directories, command.ledger_directories, command.index_directories},
      std::move(cluster.instance_id)));
  if (!command.path.empty()) {
    return session.shard().RunUntil(
        ReplaceTextFile(session.env().files, command.path, std::move(text)));
  }
  if (session.options().format == Format::kJson) {
    PrintRecord(Record().Set("bookie", command.bookie).Set("cookie", text), Format::kJson);
  } else {
    std::printf("%s", text.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DeleteCookieOfADownBookie(Session& session, const BookieId& bookie) {
  STELE_TRY(const metadata::Node node, ReadCookie(session, bookie.value()));
  STELE_TRY(const auto registry, OpenRegistry(session));
  if (registry->bookies().IsUp(bookie)) {
    return MakeError(ErrorCode::kMetadataConflict,
                     StrCat("bookie ", bookie.value(), " is up again: its cookie stays"));
  }
  return DeleteOfADownBookie(session, bookie, node.version);
}

ExitCode RunCookieList(const CommonOptions& common) { return RunInSession(common, List); }
ExitCode RunCookieShow(const CommonOptions& common, const std::string& bookie) {
  return RunInSession(common, [&](Session& session) { return Show(session, bookie); });
}
ExitCode RunCookieDelete(const CookieDeleteCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Delete(session, command); });
}
ExitCode RunCookieWrite(const CookieWriteCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Write(session, command); });
}
ExitCode RunCookieGenerate(const CookieGenerateCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Generate(session, command); });
}

}  // namespace stele::shell
