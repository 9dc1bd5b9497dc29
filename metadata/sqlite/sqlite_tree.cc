#include "metadata/sqlite/sqlite_tree.h"

#include <utility>

#include <unistd.h>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/drivers/node_path.h"

namespace stele::metadata {
namespace {

absl::Status NoSuchKey(std::string_view path) {
  return MakeError(ErrorCode::kNoSuchKey, StrCat("no metadata node ", path));
}

}  // namespace

bool IsAnswer(const absl::Status& status) {
  switch (CodeOf(status)) {
    case ErrorCode::kOk:
    case ErrorCode::kNoSuchKey:
    case ErrorCode::kKeyExists:
    case ErrorCode::kKeyNotEmpty:
    case ErrorCode::kMetadataConflict:
    case ErrorCode::kInvalidArgument: return true;
    default: return false;
  }
}

SqliteTree::SqliteTree(SqliteDatabase* database, std::string lock_path)
    : database_(database), lock_path_(std::move(lock_path)) {}

absl::Status SqliteTree::BeginSession() {
  // Opened anew: if somebody removed the file, sessions must meet in the new one.
  STELE_TRY(locks_, SessionLocks::Open(lock_path_));
  STELE_TRY_OK(database_->Begin(SqliteDatabase::Access::kWrite));
  // The lock is held before anybody can see the row, so nobody takes the session for dead. A number
  // that is taken belongs to a session of a database file that has been replaced.
  absl::Status status;
  absl::StatusOr<bool> locked = false;
  while (status.ok() && locked.ok() && !*locked) {
    status = database_->Prepare("INSERT INTO sessions (process) VALUES (?)")
                 .Bind(static_cast<int64_t>(getpid()))
                 .Run();
    session_ = database_->LastInsertId();
    if (status.ok()) locked = locks_->Begin(session_);
  }
  if (status.ok()) status = locked.status();
  if (status.ok()) status = SweepDeadSessions();
  if (!status.ok()) {
    database_->Rollback();
    return status;
  }
  return database_->Commit();
}

absl::Status SqliteTree::EndSession() { return RemoveSession(session_); }

absl::StatusOr<bool> SqliteTree::HasSession() {
  SqliteStatement query = database_->Prepare("SELECT 1 FROM sessions WHERE id = ?");
  return query.Bind(session_).Step();
}

bool SqliteTree::IsDead(int64_t session) const {
  return session != session_ && !locks_->IsHeldElsewhere(session);
}

absl::StatusOr<std::vector<int64_t>> SqliteTree::DeadSessions() {
  // Also of nodes whose session somebody removed between two looks at our own.
  SqliteStatement query = database_->Prepare(
      "SELECT id FROM sessions UNION SELECT session FROM nodes WHERE session IS NOT NULL");
  std::vector<int64_t> dead;
  while (true) {
    STELE_TRY(const bool row, query.Step());
    if (!row) return dead;
    if (const int64_t session = query.Integer(0); IsDead(session)) dead.push_back(session);
  }
}

absl::StatusOr<bool> SqliteTree::HasDeadSessions() {
  STELE_TRY(const std::vector<int64_t> dead, DeadSessions());
  return !dead.empty();
}

absl::Status SqliteTree::SweepDeadSessions() {
  STELE_TRY(const std::vector<int64_t> dead, DeadSessions());
  for (const int64_t session : dead) STELE_TRY_OK(RemoveSession(session));
  return absl::OkStatus();
}

absl::Status SqliteTree::RemoveSession(int64_t session) {
  STELE_TRY_OK(database_
                   ->Prepare("UPDATE nodes SET children_changes = children_changes + 1"
                             " WHERE path IN (SELECT parent FROM nodes WHERE session = ?)")
                   .Bind(session)
                   .Run());
  STELE_TRY_OK(database_->Prepare("DELETE FROM nodes WHERE session = ?").Bind(session).Run());
  return database_->Prepare("DELETE FROM sessions WHERE id = ?").Bind(session).Run();
}

absl::StatusOr<std::optional<SqliteTree::Row>> SqliteTree::Find(std::string_view path) {
  SqliteStatement query = database_->Prepare(
      "SELECT created, version, session, next_sequence FROM nodes WHERE path = ?");
  STELE_TRY(const bool found, query.Bind(path).Step());
  if (!found) return std::optional<Row>();
  Row row;
  row.created = query.Integer(0);
  row.version = query.Integer(1);
  if (!query.IsNull(2)) row.session = query.Integer(2);
  row.next_sequence = query.Integer(3);
  return std::optional<Row>(row);
}

absl::StatusOr<Node> SqliteTree::Get(const std::string& path) {
  SqliteStatement query =
      database_->Prepare("SELECT value, version, session FROM nodes WHERE path = ?");
  STELE_TRY(const bool found, query.Bind(path).Step());
  if (!found) return NoSuchKey(path);
  Node node;
  node.value = query.Bytes(0);
  node.version = query.Integer(1);
  if (query.IsNull(2)) return node;
  const int64_t session = query.Integer(2);
  // It is gone as far as anybody can see; a writer will sweep it.
  if (IsDead(session)) return NoSuchKey(path);
  node.owner = session == session_ ? EphemeralOwner::kThisSession : EphemeralOwner::kOther;
  return node;
}

std::optional<int64_t> SqliteTree::OwnerFor(NodeKind kind) const {
  if (kind == NodeKind::kPersistent) return std::nullopt;
  return session_;
}

absl::StatusOr<SqliteTree::Row> SqliteTree::EnsureParents(std::string_view path) {
  std::vector<std::string_view> missing;
  std::string_view ancestor = path;
  std::optional<Row> row;
  while (true) {
    STELE_TRY(row, Find(ancestor));
    if (row.has_value()) break;
    if (ancestor == "/") return MakeError(ErrorCode::kCorruptData, "the root node is missing");
    missing.push_back(ancestor);
    ancestor = ParentPath(ancestor);
  }
  if (row->session.has_value()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("metadata node ", ancestor, " is ephemeral and cannot have children"));
  }
  if (missing.empty()) return *row;
  for (auto next = missing.rbegin(); next != missing.rend(); ++next) {
    STELE_TRY_OK(Insert(*next, "", std::nullopt));
  }
  return Row{};
}

absl::Status SqliteTree::Insert(std::string_view path, std::string_view value,
                                std::optional<int64_t> session) {
  const std::string_view parent = ParentPath(path);
  SqliteStatement insert = database_->Prepare(
      "INSERT INTO nodes"
      " (path, parent, value, version, session, children_changes, next_sequence)"
      " VALUES (?, ?, ?, 0, ?, 0, 0)");
  insert.Bind(path).Bind(parent).BindBlob(value);
  if (session.has_value()) {
    insert.Bind(*session);
  } else {
    insert.BindNull();
  }
  STELE_TRY_OK(insert.Run());
  // Each creation counts, as in ZooKeeper, and deletions do not take it back: a number never comes
  // twice under one parent.
  return database_
      ->Prepare(
          "UPDATE nodes SET children_changes = children_changes + 1,"
          " next_sequence = next_sequence + 1 WHERE path = ?")
      .Bind(parent)
      .Run();
}

absl::Status SqliteTree::Create(const std::string& path, std::string_view value, NodeKind kind) {
  STELE_TRY(const std::optional<Row> existing, Find(path));
  if (existing.has_value()) {
    return MakeError(ErrorCode::kKeyExists, StrCat("metadata node ", path, " exists"));
  }
  STELE_TRY_OK(EnsureParents(ParentPath(path)).status());
  return Insert(path, value, OwnerFor(kind));
}

absl::StatusOr<std::string> SqliteTree::CreateSequential(const std::string& path_prefix,
                                                         std::string_view value, NodeKind kind) {
  STELE_TRY(const Row parent, EnsureParents(ParentPath(path_prefix)));
  std::string path =
      StrCat(path_prefix, absl::StrFormat("%0*d", kSequenceDigits, parent.next_sequence));
  STELE_TRY(const std::optional<Row> existing, Find(path));
  if (existing.has_value()) {
    return MakeError(ErrorCode::kKeyExists, StrCat("metadata node ", path, " exists"));
  }
  STELE_TRY_OK(Insert(path, value, OwnerFor(kind)));
  return path;
}

absl::StatusOr<SqliteTree::Row> SqliteTree::FindAtVersion(std::string_view path, Version expected) {
  STELE_TRY(const std::optional<Row> row, Find(path));
  if (!row.has_value()) return NoSuchKey(path);
  if (expected != kAnyVersion && row->version != expected) {
    return MakeError(ErrorCode::kMetadataConflict, StrCat("metadata node ", path, " has version ",
                                                          row->version, ", not ", expected));
  }
  return *row;
}

absl::StatusOr<Version> SqliteTree::Put(const std::string& path, std::string_view value,
                                        Version expected) {
  STELE_TRY(const Row row, FindAtVersion(path, expected));
  const Version version = row.version + 1;
  STELE_TRY_OK(database_->Prepare("UPDATE nodes SET value = ?, version = ? WHERE path = ?")
                   .BindBlob(value)
                   .Bind(version)
                   .Bind(path)
                   .Run());
  return version;
}

absl::Status SqliteTree::Delete(const std::string& path, Version expected) {
  STELE_TRY_OK(FindAtVersion(path, expected).status());
  {
    SqliteStatement child = database_->Prepare("SELECT 1 FROM nodes WHERE parent = ? LIMIT 1");
    STELE_TRY(const bool has_child, child.Bind(path).Step());
    if (has_child) {
      return MakeError(ErrorCode::kKeyNotEmpty, StrCat("metadata node ", path, " has children"));
    }
  }
  STELE_TRY_OK(database_->Prepare("DELETE FROM nodes WHERE path = ?").Bind(path).Run());
  return database_
      ->Prepare("UPDATE nodes SET children_changes = children_changes + 1 WHERE path = ?")
      .Bind(ParentPath(path))
      .Run();
}

absl::Status SqliteTree::DeleteTogether(const std::vector<Deletion>& nodes) {
  STELE_TRY_OK(database_->Prepare("SAVEPOINT together").Run());
  absl::Status status;
  for (const Deletion& node : nodes) {
    status = Delete(node.path, node.expected);
    if (!status.ok()) break;
  }
  if (!IsAnswer(status)) return status;  // the caller rolls everything back
  if (!status.ok()) STELE_TRY_OK(database_->Prepare("ROLLBACK TO together").Run());
  STELE_TRY_OK(database_->Prepare("RELEASE together").Run());
  return status;
}

absl::StatusOr<std::vector<std::string>> SqliteTree::Children(const std::string& path) {
  STELE_TRY(const std::optional<Row> row, Find(path));
  if (!row.has_value() || (row->session.has_value() && IsDead(*row->session))) {
    return NoSuchKey(path);
  }
  SqliteStatement query =
      database_->Prepare("SELECT path, session FROM nodes WHERE parent = ? ORDER BY path");
  query.Bind(path);
  std::vector<std::string> names;
  while (true) {
    STELE_TRY(const bool found, query.Step());
    if (!found) return names;
    if (!query.IsNull(1) && IsDead(query.Integer(1))) continue;
    names.emplace_back(NodeName(query.Bytes(0)));
  }
}

absl::StatusOr<SqliteFingerprint> SqliteTree::NodeFingerprint(const std::string& path) {
  SqliteStatement query = database_->Prepare("SELECT created, version FROM nodes WHERE path = ?");
  STELE_TRY(const bool found, query.Bind(path).Step());
  if (!found) return SqliteFingerprint{};
  return SqliteFingerprint{.created = query.Integer(0), .changes = query.Integer(1)};
}

absl::StatusOr<SqliteFingerprint> SqliteTree::ChildrenFingerprint(const std::string& path) {
  SqliteStatement query =
      database_->Prepare("SELECT created, children_changes FROM nodes WHERE path = ?");
  STELE_TRY(const bool found, query.Bind(path).Step());
  if (!found) return SqliteFingerprint{};
  return SqliteFingerprint{.created = query.Integer(0), .changes = query.Integer(1)};
}

}  // namespace stele::metadata
