// One SQLite connection to a metadata file: opening with its checks, cached statements, errors as
// ours. Belongs to one thread (the worker's).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace stele::metadata {

// A prepared statement on loan from its database. Destroying it resets the statement and drops its
// parameters; text and blobs given to Bind must live until then.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* connection, sqlite3_stmt* statement)
      : connection_(connection), statement_(statement) {}
  // One that could not be prepared: its steps fail with `error`.
  explicit SqliteStatement(absl::Status error) : error_(std::move(error)) {}
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;
  ~SqliteStatement();

  // Parameters are numbered from 1 in the order of these calls.
  SqliteStatement& Bind(int64_t value);
  SqliteStatement& Bind(std::string_view text);
  SqliteStatement& BindBlob(std::string_view bytes);
  SqliteStatement& BindNull();

  // True: a row is there. False: no more rows.
  absl::StatusOr<bool> Step();
  // For statements that give no rows.
  absl::Status Run();

  // Columns are numbered from 0.
  int64_t Integer(int column) const;
  bool IsNull(int column) const;
  std::string Bytes(int column) const;

 private:
  void CheckBound(int code) const;

  sqlite3* connection_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  absl::Status error_;
  int bound_ = 0;
};

class SqliteDatabase {
 public:
  // Called while another process holds the write lock; false gives up.
  using KeepWaiting = std::function<bool()>;

  // Opens the file, or creates it with an empty tree if it may.
  //   errors  kIoError         the path cannot be opened, created or written
  //           kCorruptData     damaged, or no SQLite file at all
  //           kConfig          a SQLite file of another program, or none and it may not be made
  //           kProtocolVersion written by a newer Stele
  //           kMetadataUnavailable  locked by another process until `keep_waiting` gave up
  static absl::StatusOr<std::unique_ptr<SqliteDatabase>> Open(std::string path,
                                                              bool create_if_missing,
                                                              KeepWaiting keep_waiting);
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;
  ~SqliteDatabase();

  // `sql` is a literal: prepared statements are kept, with its text as their key.
  SqliteStatement Prepare(std::string_view sql);

  // Begin(kWrite) takes the write lock at once, so that a transaction cannot fail half way because
  // of another process. kMetadataUnavailable when the lock is not to be had.
  enum class Access { kRead, kWrite };
  absl::Status Begin(Access access);
  // EffectOf() is kUnknown when the commit may have reached the disk.
  absl::Status Commit();
  void Rollback();

  // Rows changed by the last statement.
  int64_t Changes() const;
  int64_t LastInsertId() const;

  // A number that differs from the last one when another connection has committed in between.
  absl::StatusOr<int64_t> DataVersion();

 private:
  SqliteDatabase(std::string path, KeepWaiting keep_waiting);
  absl::Status OpenConnection(bool create_if_missing);
  absl::Status CheckOrCreateSchema();
  absl::StatusOr<bool> IsEmptyDatabase();
  absl::StatusOr<int64_t> QueryInteger(std::string_view sql);
  absl::Status CreateSchema();
  absl::Status UseWriteAheadLog();
  // kProtocolVersion, kConfig or ok, for a file that is not empty.
  absl::Status CheckOwner();
  absl::Status Execute(const char* sql);
  // `code` as an error of ours, with SQLite's text.
  absl::Status Error(int code) const;
  static int OnBusy(void* self, int attempts);

  std::string path_;
  KeepWaiting keep_waiting_;
  sqlite3* connection_ = nullptr;
  absl::btree_map<std::string_view, sqlite3_stmt*> statements_;
};

}  // namespace stele::metadata
