// What became of a write whose reply was lost, judged by the node as it is now. Pure.
//
// The session is connected again when these questions are asked. ZooKeeper then refuses what its
// other servers still have of the session's old requests, but the same server may, for a moment,
// still be reading from the old connection: a write that is sent again is judged again.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "metadata/metadata_store.h"
#include "metadata/zookeeper/zookeeper_session.h"

namespace stele::metadata {

enum class LostWrite {
  kApplied,
  kNotApplied,  // it can be sent again
  kLostRace,    // not applied, and sending it again would fail: somebody else's write is there
  kUnknown,
};

// A node is at the path of a create.
//   own_created   `created` of the node that an earlier call of ours is known to have made at this
//                 path in this session
// A persistent node that was never changed and has exactly our value is taken for ours. Where it
// matters who made it, the value says so (ledger metadata carries a random token).
LostWrite JudgeLostCreate(const ZooKeeperReply& found, std::string_view value, NodeKind kind,
                          int64_t session, std::optional<int64_t> own_created);

// The node of a Put that expected `expected`, which is not kAnyVersion. One step further with our
// value is not proof: two writers may count from 7 to 8, and only one of them has the 8.
LostWrite JudgeLostPut(const ZooKeeperReply& found, std::string_view value, Version expected);

// The same for kAnyVersion: our value is there, whoever wrote it last, or nothing is known.
LostWrite JudgeLostBlindPut(const ZooKeeperReply& found, std::string_view value);

}  // namespace stele::metadata
