#include "metadata/sqlite/sqlite_database.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sqlite3.h>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::metadata {
namespace {

// "Stle" in ASCII; SQLite keeps it in the file's header, where file(1) looks for it too.
constexpr int64_t kApplicationId = 0x53746c65;
// Goes up when an older Stele could not use the file any more.
constexpr int64_t kSchemaVersion = 1;

// Node '/' is always there; it counts what is created and deleted at the top.
//   created           differs for each creation of a path, also after a deletion
//   session           the owner of an ephemeral node, else NULL
//   children_changes  creations and deletions of children so far
//   next_sequence     the number that the next sequential child gets
// AUTOINCREMENT: neither `created` nor a session's number is ever used again.
constexpr const char* kSchema = R"sql(
  CREATE TABLE nodes (
    created INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    parent TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    session INTEGER,
    children_changes INTEGER NOT NULL,
    next_sequence INTEGER NOT NULL);
  CREATE INDEX nodes_by_parent ON nodes (parent, path, session);
  CREATE INDEX nodes_by_session ON nodes (session) WHERE session IS NOT NULL;
  CREATE TABLE sessions (id INTEGER PRIMARY KEY AUTOINCREMENT, process INTEGER NOT NULL);
  INSERT INTO nodes (path, parent, value, version, session, children_changes, next_sequence)
    VALUES ('/', '', x'', 0, NULL, 0, 0);
)sql";

// SQLite's extended codes keep the general one in the low byte.
int GeneralCode(int code) { return code & 0xff; }

ErrorCode CodeFor(int code) {
  switch (GeneralCode(code)) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorCode::kCorruptData;
    default: return ErrorCode::kMetadataUnavailable;
  }
}

std::string_view AdviceFor(int code) {
  switch (GeneralCode(code)) {
    case SQLITE_CORRUPT:
      return "; the file is damaged: stop all Stele processes on it, then restore it from a backup";
    case SQLITE_NOTADB:
      return "; this is no SQLite file, or a damaged one: check the path in the metadata service "
             "URI, or restore the file from a backup";
    case SQLITE_FULL: return "; free space on its file system";
    case SQLITE_BUSY: return "; another process holds its write lock";
    default: return "";
  }
}

}  // namespace

SqliteStatement::~SqliteStatement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void SqliteStatement::CheckBound(int code) const {
  // Step() reports what was wrong with a statement that does not exist.
  if (statement_ != nullptr) STELE_CHECK_OP(code, ==, SQLITE_OK);
}

SqliteStatement& SqliteStatement::Bind(int64_t value) {
  CheckBound(sqlite3_bind_int64(statement_, ++bound_, value));
  return *this;
}

SqliteStatement& SqliteStatement::Bind(std::string_view text) {
  CheckBound(sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()),
                               SQLITE_STATIC));
  return *this;
}

SqliteStatement& SqliteStatement::BindBlob(std::string_view bytes) {
  // A null pointer would bind NULL instead of an empty blob.
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  CheckBound(
      sqlite3_bind_blob(statement_, ++bound_, data, static_cast<int>(bytes.size()), SQLITE_STATIC));
  return *this;
}

SqliteStatement& SqliteStatement::BindNull() {
  CheckBound(sqlite3_bind_null(statement_, ++bound_));
  return *this;
}

absl::StatusOr<bool> SqliteStatement::Step() {
  if (statement_ == nullptr) return error_;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return MakeError(CodeFor(code), StrCat(sqlite3_errmsg(connection_), AdviceFor(code)));
}

absl::Status SqliteStatement::Run() {
  STELE_TRY(const bool row, Step());
  STELE_CHECK(!row);
  return absl::OkStatus();
}

int64_t SqliteStatement::Integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

bool SqliteStatement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string SqliteStatement::Bytes(int column) const {
  // The order matters: sqlite3_column_bytes() describes what sqlite3_column_blob() has made.
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (size == 0) return std::string();
  return std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

SqliteDatabase::SqliteDatabase(std::string path, KeepWaiting keep_waiting)
    : path_(std::move(path)), keep_waiting_(std::move(keep_waiting)) {}

SqliteDatabase::~SqliteDatabase() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  if (connection_ != nullptr) STELE_CHECK_OP(sqlite3_close(connection_), ==, SQLITE_OK);
}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(std::string path,
                                                                     bool create_if_missing,
                                                                     KeepWaiting keep_waiting) {
  std::unique_ptr<SqliteDatabase> database(
      new SqliteDatabase(std::move(path), std::move(keep_waiting)));
  absl::Status status = database->OpenConnection(create_if_missing);
  if (status.ok()) status = database->CheckOrCreateSchema();
  if (!status.ok()) return WithContext(status, StrCat("metadata file ", database->path_));
  return database;
}

absl::Status SqliteDatabase::OpenConnection(bool create_if_missing) {
  const int create = create_if_missing ? SQLITE_OPEN_CREATE : 0;
  const int code = sqlite3_open_v2(
      path_.c_str(), &connection_,
      SQLITE_OPEN_READWRITE | create | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, nullptr);
  if (code != SQLITE_OK && !create_if_missing && sqlite3_system_errno(connection_) == ENOENT) {
    return MakeError(ErrorCode::kConfig,
                     "does not exist: check the path, or make a cluster with stele cluster init");
  }
  if (code != SQLITE_OK) {
    return MakeError(ErrorCode::kIoError,
                     StrCat("cannot be opened (", sqlite3_errmsg(connection_),
                            "); its directory must exist and be writable for this user"));
  }
  sqlite3_extended_result_codes(connection_, 1);
  sqlite3_busy_handler(connection_, &SqliteDatabase::OnBusy, this);
  // SQLite falls back to reading when it may not write; we would notice at the first write only.
  if (sqlite3_db_readonly(connection_, "main") == 1) {
    return MakeError(ErrorCode::kIoError, "is not writable for this user; check its permissions");
  }
  return Execute("PRAGMA cell_size_check = ON");
}

absl::Status SqliteDatabase::CheckOrCreateSchema() {
  // Another program's file is not touched, not even by turning on its write-ahead log.
  STELE_TRY(bool empty, IsEmptyDatabase());
  if (!empty) STELE_TRY_OK(CheckOwner());
  STELE_TRY_OK(UseWriteAheadLog());
  STELE_TRY_OK(Execute("PRAGMA synchronous = FULL"));
  if (!empty) return absl::OkStatus();
  STELE_TRY_OK(Begin(Access::kWrite));
  absl::StatusOr<bool> still_empty = IsEmptyDatabase();
  if (still_empty.ok() && *still_empty) {
    if (absl::Status status = CreateSchema(); !status.ok()) {
      Rollback();
      return status;
    }
    return Commit();
  }
  Rollback();
  return still_empty.ok() ? CheckOwner() : still_empty.status();
}

absl::StatusOr<bool> SqliteDatabase::IsEmptyDatabase() {
  STELE_TRY(const int64_t tables, QueryInteger("SELECT count(*) FROM sqlite_schema"));
  STELE_TRY(const int64_t application, QueryInteger("PRAGMA application_id"));
  return tables == 0 && application == 0;
}

absl::Status SqliteDatabase::CheckOwner() {
  STELE_TRY(const int64_t application, QueryInteger("PRAGMA application_id"));
  if (application != kApplicationId) {
    return MakeError(ErrorCode::kConfig,
                     "is the database of another program; choose another path in the metadata "
                     "service URI");
  }
  STELE_TRY(const int64_t version, QueryInteger("PRAGMA user_version"));
  if (version == kSchemaVersion) return absl::OkStatus();
  return MakeError(ErrorCode::kProtocolVersion,
                   StrCat("has schema version ", version, ", this program knows ", kSchemaVersion,
                          "; use the version of Stele that wrote it, or a newer one"));
}

absl::StatusOr<int64_t> SqliteDatabase::QueryInteger(std::string_view sql) {
  SqliteStatement query = Prepare(sql);
  STELE_TRY(const bool row, query.Step());
  if (!row) return MakeError(ErrorCode::kCorruptData, StrCat("no answer to ", sql));
  return query.Integer(0);
}

absl::Status SqliteDatabase::CreateSchema() {
  STELE_TRY_OK(Execute(kSchema));
  STELE_TRY_OK(Execute(StrCat("PRAGMA application_id = ", kApplicationId).c_str()));
  return Execute(StrCat("PRAGMA user_version = ", kSchemaVersion).c_str());
}

absl::Status SqliteDatabase::UseWriteAheadLog() {
  // Two processes that turn it on in a new file at the same time: one gets "busy" without the busy
  // handler having been asked.
  int code = SQLITE_BUSY;
  for (int attempts = 0; GeneralCode(code) == SQLITE_BUSY; ++attempts) {
    code = sqlite3_exec(connection_, "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr);
    if (GeneralCode(code) == SQLITE_BUSY && OnBusy(this, attempts) == 0) break;
  }
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

SqliteStatement SqliteDatabase::Prepare(std::string_view sql) {
  const auto cached = statements_.find(sql);
  if (cached != statements_.end()) return SqliteStatement(connection_, cached->second);
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return SqliteStatement(Error(code));
  statements_.emplace(sql, statement);
  return SqliteStatement(connection_, statement);
}

absl::Status SqliteDatabase::Begin(Access access) {
  return Prepare(access == Access::kWrite ? "BEGIN IMMEDIATE" : "BEGIN").Run();
}

absl::Status SqliteDatabase::Commit() {
  absl::Status status = Prepare("COMMIT").Run();
  if (status.ok()) return status;
  Rollback();
  return MakeError(CodeOf(status), Effect::kUnknown, ToStd(status.message()));
}

void SqliteDatabase::Rollback() {
  // Some errors roll back on their own.
  if (sqlite3_get_autocommit(connection_) != 0) return;
  Prepare("ROLLBACK")
      .Run()
      .IgnoreError();  // The transaction ends with the connection at the latest.
}

int64_t SqliteDatabase::Changes() const { return sqlite3_changes64(connection_); }

int64_t SqliteDatabase::LastInsertId() const { return sqlite3_last_insert_rowid(connection_); }

absl::StatusOr<int64_t> SqliteDatabase::DataVersion() {
  return QueryInteger("PRAGMA data_version");
}

absl::Status SqliteDatabase::Execute(const char* sql) {
  const int code = sqlite3_exec(connection_, sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::Status SqliteDatabase::Error(int code) const {
  return MakeError(CodeFor(code), StrCat(sqlite3_errmsg(connection_), AdviceFor(code)));
}

int SqliteDatabase::OnBusy(void* self, int attempts) {
  if (!static_cast<SqliteDatabase*>(self)->keep_waiting_()) return 0;
  constexpr int kLongestPauseMilliseconds = 10;
  sqlite3_sleep(std::min(attempts + 1, kLongestPauseMilliseconds));
  return 1;
}

}  // namespace stele::metadata
