// The tree of nodes in a SQLite file: what each operation of MetadataStore means in SQL. Every call
// but BeginSession is made inside a transaction of the database, reads in any, changes in a writing
// one that began with SweepDeadSessions(). An error that IsAnswer() accepts has changed nothing and
// leaves the transaction usable; after any other the caller rolls back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "metadata/metadata_store.h"
#include "metadata/sqlite/session_locks.h"
#include "metadata/sqlite/sqlite_database.h"

namespace stele::metadata {

// Ok, or an error that describes the tree (kNoSuchKey, kKeyExists, ...) and not the storage.
bool IsAnswer(const absl::Status& status);

// What a watch compares: equal values mean that nothing happened in between.
struct SqliteFingerprint {
  int64_t created = 0;  // 0: the node is not there
  int64_t changes = 0;
  friend bool operator==(const SqliteFingerprint&, const SqliteFingerprint&) = default;
};

// Threads: one, the database's.
class SqliteTree {
 public:
  // `database` outlives the tree.
  //   lock_path   the file of session locks
  SqliteTree(SqliteDatabase* database, std::string lock_path);
  SqliteTree(const SqliteTree&) = delete;
  SqliteTree& operator=(const SqliteTree&) = delete;

  // Makes a session in a transaction of its own. Also after ours was lost: the old one is left.
  absl::Status BeginSession();
  // Removes our session and its ephemeral nodes.
  absl::Status EndSession();
  // False when somebody has removed our session's row (see README.md, "Sessions").
  absl::StatusOr<bool> HasSession();
  // Whether sessions are there whose process is dead.
  absl::StatusOr<bool> HasDeadSessions();
  // Removes them, with their ephemeral nodes.
  absl::Status SweepDeadSessions();

  absl::StatusOr<Node> Get(const std::string& path);
  absl::Status Create(const std::string& path, std::string_view value, NodeKind kind);
  absl::StatusOr<std::string> CreateSequential(const std::string& path_prefix,
                                               std::string_view value, NodeKind kind);
  absl::StatusOr<Version> Put(const std::string& path, std::string_view value, Version expected);
  absl::Status Delete(const std::string& path, Version expected);
  absl::Status DeleteTogether(const std::vector<Deletion>& nodes);
  absl::StatusOr<std::vector<std::string>> Children(const std::string& path);

  absl::StatusOr<SqliteFingerprint> NodeFingerprint(const std::string& path);
  absl::StatusOr<SqliteFingerprint> ChildrenFingerprint(const std::string& path);

 private:
  struct Row {
    int64_t created = 0;
    Version version = 0;
    std::optional<int64_t> session;
    int64_t next_sequence = 0;
  };

  // A session whose lock nobody holds. Once true it stays true.
  bool IsDead(int64_t session) const;
  absl::StatusOr<std::vector<int64_t>> DeadSessions();
  absl::Status RemoveSession(int64_t session);
  // nullopt when there is no such node.
  absl::StatusOr<std::optional<Row>> Find(std::string_view path);
  // The node at `path`, if its version is `expected`.
  absl::StatusOr<Row> FindAtVersion(std::string_view path, Version expected);
  // Makes the missing persistent nodes down to `path` and gives the row of `path`.
  absl::StatusOr<Row> EnsureParents(std::string_view path);
  // The parent exists and `path` does not.
  absl::Status Insert(std::string_view path, std::string_view value,
                      std::optional<int64_t> session);
  std::optional<int64_t> OwnerFor(NodeKind kind) const;

  SqliteDatabase* database_;
  std::string lock_path_;
  std::unique_ptr<SessionLocks> locks_;
  int64_t session_ = 0;
};

}  // namespace stele::metadata
