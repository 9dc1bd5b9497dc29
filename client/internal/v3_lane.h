// V3Lane: requests over the protobuf protocol, whose replies name the request they answer: fencing,
// recovery, LAC, long polls, and everything else that V2Lane does not send.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "client/internal/add_debt.h"
#include "client/internal/request_lane.h"

namespace stele::client {

class V3Lane : public RequestLane {
 public:
  V3Lane(const Env& env, const BookieId& bookie, const LaneOptions& options,
         BookieAddresses* addresses, AddDebt* debt)
      : RequestLane(env, bookie, options, addresses), debt_(debt) {}

  void Add(const OutgoingAdd& add, AddSink* sink, const AddTag& tag);
  void Call(wire::RequestBody request, const CallOptions& options, AnswerCallback done);
  void DropSink(AddSink* sink);
  using RequestLane::is_cut_off;

 private:
  struct Pending {
    wire::Operation operation = wire::Operation::kAdd;
    MonotonicTime deadline;
    AddSink* sink = nullptr;  // of an add; null: nobody waits
    AddTag tag;
    size_t size_bytes = 0;  // of an add
    AnswerCallback done;    // of anything else
  };
  using PendingMap = std::map<uint64_t, Pending>;  // by transaction id, so in the order of sending

  MonotonicTime NextDeadline() const override;
  void Expire(MonotonicTime now) override;
  void FailAll(ErrorCode code) override;
  bool OnFrame(const Buffer& frame) override;

  void Record(uint64_t id, Pending pending);
  void Respond(PendingMap::iterator place, Answer answer);

  PendingMap pending_;
  std::set<std::pair<MonotonicTime, uint64_t>> deadlines_;
  uint64_t last_id_ = 0;
  AddDebt* debt_;
};

}  // namespace stele::client
