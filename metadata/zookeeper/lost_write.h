// What became of a write whose reply was lost, judged by the node as it is now. No I/O.
//
// The session is connected again when these questions are asked. ZooKeeper then refuses what its
// other servers still have of the session's old requests, but the same server may, for a moment,
// still be reading from the old connection: a write that is sent again is judged again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "metadata/metadata_store.h"
#include "metadata/zookeeper/zookeeper_session.h"

namespace stele::metadata {

enum class LostWrite {
  kApplied,
  kNotApplied,  // it can be sent again
  kLostRace,    // not applied, and sending it again would fail: somebody else's write is there
  kUnknown,
};

// What we knew of a node when a write to it was sent.
struct KnownNode {
  // The transaction that made it, if a call of this session did and it is ephemeral.
  std::optional<int64_t> own;
  // The newest transaction that we had seen make a node. What was made later was made after the
  // write was sent.
  int64_t newest = 0;
};

// What replies have told of nodes: which ephemeral nodes of the present session are spoken for by
// calls of ours, and how far in time we have seen. It is told and asked when replies are delivered,
// whose order is the server's; the tasks that wait for them may run in any order.
class SeenNodes {
 public:
  void BeginSession(int64_t session) { session_ = session; }
  void EndSession();
  // 0: there is none.
  int64_t session() const { return session_; }

  // A read was answered.
  void See(const ZooKeeperStat& stat) { newest_ = std::max(newest_, stat.created); }
  // A create was answered.
  void NoteCreated(const std::string& path, const ZooKeeperStat& stat);
  // A delete was answered.
  void NoteDeleted(const std::string& path) { created_.erase(path); }

  KnownNode Know(const std::string& path) const;

  // A lost create found a node at its path. kApplied, kLostRace or kUnknown; an ephemeral node is
  // spoken for from now on when it is kApplied.
  //
  // An ephemeral node is its own when this session has it and no other call does. A persistent node
  // that was never changed and has exactly our value is taken for ours: where it matters who made
  // it, the value says so (ledger metadata carries a random token).
  LostWrite JudgeLostCreate(const std::string& path, const ZooKeeperReply& found,
                            std::string_view value, NodeKind kind);

 private:
  int64_t session_ = 0;
  int64_t newest_ = 0;
  absl::btree_map<std::string, int64_t> created_;  // by path: the transaction that made it
};

// The node of a Put that expected `expected`, which is not kAnyVersion. One step further with our
// value is not proof: two writers may count from 7 to 8, and only one of them has the 8.
LostWrite JudgeLostPut(const ZooKeeperReply& found, std::string_view value, Version expected,
                       const KnownNode& known);

// The same for kAnyVersion: our value is there, whoever wrote it last, or nothing is known.
LostWrite JudgeLostBlindPut(const ZooKeeperReply& found, std::string_view value);

// A node is at the path of a delete. Is it the one that was to go, or one that somebody has made
// since, with the same version perhaps? (A lock that was released and taken by another, a mark that
// was set again.) kApplied: ours is gone.
LostWrite JudgeLostDelete(const ZooKeeperReply& found, Version expected, const KnownNode& known);

}  // namespace stele::metadata
