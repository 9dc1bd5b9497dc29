// LargeAddLane: adds that a bookie might find too large, on a connection of their own.
//
// A bookie closes the connection on a frame above its nettyMaxFrameSizeBytes and says nothing
// (wire-protocol 1; Apache's does the same), and nothing tells a client that limit beforehand.
// Taken for a failure of the bookie, such an entry would go through one replacement after the
// other and cost each of them its connection, with all that was under way there. So:
//   - small requests never share a connection with a large frame;
//   - a cut connection counts against the largest add on it; the second time it is the frame that
//     is to blame and the add is answered with kInvalidArgument, the others are sent again;
//   - a bookie that cannot be reached is kConnectionLost as everywhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "client/internal/v3_lane.h"
#include "common/async/task_scope.h"

namespace stele::client {

// Far below the 5 MiB that bookies take by default.
inline constexpr size_t kLargeAddBytes = 1024 * 1024;

class LargeAddLane : private AddSink {
 public:
  LargeAddLane(const Env& env, const BookieId& bookie, const LaneOptions& options,
               BookieAddresses* addresses, AddDebt* debt);
  ~LargeAddLane() override;

  static bool IsFor(const OutgoingAdd& add) { return add.size_bytes() >= kLargeAddBytes; }

  // Each attempt has a whole add_timeout; at most two for this add, and for each that is larger.
  void Add(const OutgoingAdd& add, AddSink* sink, const AddTag& tag);
  void DropSink(AddSink* sink);
  void Stop();

 private:
  struct Pending {
    OutgoingAdd add;
    AddSink* sink;  // null: nobody waits
    AddTag tag;
    bool was_cut_off = false;
  };

  void OnAddReply(const AddTag& tag, ErrorCode code) override;
  void OnRoom() override {}
  void Send(int64_t key, const Pending& pending);
  void Respond(int64_t key, ErrorCode code);
  Task<void> SendAgain();

  Executor* const executor_;
  V3Lane lane_;
  std::map<int64_t, Pending> pending_;
  std::vector<int64_t> cut_off_;  // since the connection was lost
  int64_t last_key_ = 0;
  bool is_stopped_ = false;
  TaskScope tasks_;
};

}  // namespace stele::client
