// MetadataStore: the seam to what the cluster agrees on: a tree of small versioned nodes, as
// ZooKeeper has it. The layout in it (ledger_layout.h, bookie_registry.h) is the same for every
// driver, and the one that Apache BookKeeper expects.
//
// Operations on one node are linearizable. One store object belongs to one shard: calls and
// callbacks are on it. Its tasks do not outlive it.
//
// Errors of every operation, besides those named:
//   kMetadataUnavailable  the store cannot be reached within its time limit. EffectOf() is kUnknown
//                         for a write that may have been sent, kNone for reads and for writes that
//                         were not.
//   kStopped              the store object is closing; the effect is as above
//   kOverloaded           too many operations are in flight; not applied
//   kInvalidArgument      a path that is not one, or a value larger than all drivers can store
//                         (1 MiB less 8 KiB); not applied
//   kCorruptData          the store's own files are damaged; waiting does not help
//   kUnauthorized         we may not do this to that node; not applied
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"

namespace stele::metadata {

// The number of changes of a node's data; 0 when created. It is stored nowhere but in the store.
using Version = int64_t;
// As an expected version: any.
inline constexpr Version kAnyVersion = -1;

// A value as it was at some version: what a compare-and-swap starts from.
template <typename T>
struct Versioned {
  T value;
  Version version = 0;
  friend bool operator==(const Versioned&, const Versioned&) = default;
};

enum class EphemeralOwner {
  kNone,         // the node is persistent
  kThisSession,  // it ends with our session
  kOther,        // it ends with somebody else's
};

struct Node {
  std::string value;
  Version version = 0;
  EphemeralOwner owner = EphemeralOwner::kNone;
};

enum class NodeKind { kPersistent, kEphemeral };

// A node to be deleted, when its version is `expected`.
struct Deletion {
  std::string path;
  Version expected = kAnyVersion;
};

enum class SessionState {
  kConnected,  // also after an expiry, when the new session is there: ephemeral nodes must be made
               // again
  kDisconnected,  // operations wait, then fail; our ephemeral nodes are still there
  kExpired,       // our ephemeral nodes are gone or will be at once
};

// A subscription; destroying it ends it, and no callback follows.
class Watch {
 public:
  virtual ~Watch() = default;
};
using WatchCallback = absl::AnyInvocable<void()>;
using SessionCallback = absl::AnyInvocable<void(SessionState)>;

// Paths start with '/', have no empty part and no trailing '/'.
class MetadataStore {
 public:
  virtual ~MetadataStore() = default;

  // kNoSuchKey.
  virtual Task<absl::StatusOr<Node>> Get(std::string path) = 0;

  // Creates the node, with persistent empty parents where they are missing. kKeyExists.
  // After kMetadataUnavailable with Effect::kUnknown the node may exist: read it back to learn.
  virtual Task<absl::Status> Create(std::string path, std::string value, NodeKind kind) = 0;

  // As Create, at path_prefix followed by ten decimal digits that grow with each such call under
  // the same parent. Gives the whole path.
  virtual Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix,
                                                             std::string value, NodeKind kind) = 0;

  // Replaces the value when the version is `expected` (or kAnyVersion) and gives the new version.
  // kNoSuchKey; kMetadataConflict when the version differs.
  virtual Task<absl::StatusOr<Version>> Put(std::string path, std::string value,
                                            Version expected) = 0;

  // kNoSuchKey, kMetadataConflict, kKeyNotEmpty.
  virtual Task<absl::Status> Delete(std::string path, Version expected) = 0;

  // Deletes a few nodes, one after the other, in one step: all or none; a node may follow its
  // children. At least one. Errors as Delete(), of the first that cannot be deleted. After
  // kMetadataUnavailable with Effect::kUnknown look at one of them that nobody else deletes: it
  // tells of all.
  virtual Task<absl::Status> DeleteTogether(std::vector<Deletion> nodes) = 0;

  // Names (not paths) of the children, sorted. kNoSuchKey.
  virtual Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) = 0;

  // Calls back when the node was created, changed or deleted, and once when the watch is armed:
  // "look again", not what changed. No change after the first call is missed, also across
  // reconnects and new sessions; several may be merged.
  virtual std::unique_ptr<Watch> WatchNode(std::string path, WatchCallback changed) = 0;

  // The same for the set of children of a node, which need not exist yet.
  virtual std::unique_ptr<Watch> WatchChildren(std::string path, WatchCallback changed) = 0;

  // Calls back on each change of the session's state.
  virtual std::unique_ptr<Watch> WatchSession(SessionCallback changed) = 0;

  // Ends the session: our ephemeral nodes disappear. Operations in flight end with kStopped. Await
  // before destroying.
  virtual Task<void> Close() = 0;
};

}  // namespace stele::metadata
