#include "client/internal/large_add_lane.h"

#include <algorithm>
#include <utility>

#include "common/async/yield.h"

namespace stele::client {

LargeAddLane::LargeAddLane(const Env& env, const BookieId& bookie, const LaneOptions& options,
                           BookieAddresses* addresses, AddDebt* debt)
    : executor_(env.executor), lane_(env, bookie, options, addresses, debt), tasks_(env.executor) {}

LargeAddLane::~LargeAddLane() = default;

void LargeAddLane::Add(const OutgoingAdd& add, AddSink* sink, const AddTag& tag) {
  const int64_t key = ++last_key_;
  Send(key, pending_.emplace(key, Pending{add, sink, tag}).first->second);
}

void LargeAddLane::Send(int64_t key, const Pending& pending) {
  lane_.Add(pending.add, this, {.entry = EntryId(key)});
}

void LargeAddLane::DropSink(AddSink* sink) {
  for (auto& [key, pending] : pending_) {
    if (pending.sink == sink) pending.sink = nullptr;
  }
}

void LargeAddLane::Stop() {
  is_stopped_ = true;
  lane_.Stop();
  for (int64_t key : std::exchange(cut_off_, {})) Respond(key, ErrorCode::kStopped);
}

void LargeAddLane::OnAddReply(const AddTag& tag, ErrorCode code) {
  const int64_t key = tag.entry.value();
  if (code != ErrorCode::kConnectionLost || !lane_.is_cut_off()) return Respond(key, code);
  if (cut_off_.empty()) tasks_.Spawn(SendAgain());
  cut_off_.push_back(key);
}

void LargeAddLane::Respond(int64_t key, ErrorCode code) {
  const auto place = pending_.find(key);
  AddSink* const sink = place->second.sink;
  const AddTag tag = place->second.tag;
  pending_.erase(place);
  if (sink != nullptr) sink->OnAddReply(tag, code);
}

Task<void> LargeAddLane::SendAgain() {
  co_await Yield(executor_);
  // If one of them was too large, then the largest.
  size_t largest = 0;
  for (int64_t key : cut_off_) largest = std::max(largest, pending_.at(key).add.size_bytes());
  for (int64_t key : std::exchange(cut_off_, {})) {
    Pending& pending = pending_.at(key);
    const bool is_largest = pending.add.size_bytes() == largest;
    if (is_stopped_) {  // by the callback of an earlier one
      Respond(key, ErrorCode::kStopped);
    } else if (is_largest && std::exchange(pending.was_cut_off, true)) {
      Respond(key, ErrorCode::kInvalidArgument);
    } else if (pending.sink == nullptr) {
      pending_.erase(key);
    } else {
      Send(key, pending);
    }
  }
}

}  // namespace stele::client
