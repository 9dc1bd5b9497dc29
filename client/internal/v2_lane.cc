#include "client/internal/v2_lane.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "common/base/sometimes.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::client {

bool V2Lane::Add(const OutgoingAdd& add, AddSink* sink, const AddTag& tag) {
  const Key key{add.entry().ledger, add.entry().entry};
  if (!add_numbers_.Insert(key.ledger, key.entry, adds_taken_ + adds_.size())) return false;
  const MonotonicTime deadline = Now() + options().add_timeout;
  adds_.push_back({key, sink, tag, add.size_bytes(), deadline});
  debt_->Owe(add.size_bytes());
  Send(add.v2_frame()->head, add.v2_frame()->body, deadline);
  return true;
}

bool V2Lane::CanSend(const wire::RequestBody& request) {
  if (std::holds_alternative<wire::BatchReadRequest>(request)) return true;
  const auto* read = std::get_if<wire::ReadRequest>(&request);
  return read != nullptr && !read->entry.IsNone() && !read->fence_key.has_value() &&
         !read->previous_lac.has_value();
}

void V2Lane::Call(wire::RequestBody request, bool high_priority, AnswerCallback done) {
  const uint64_t number = calls_taken_ + calls_.size();
  PendingCall call{.operation = wire::Operation::kRead,
                   .done = std::move(done),
                   .deadline = Now() + options().read_timeout};
  if (auto* batch = std::get_if<wire::BatchReadRequest>(&request)) {
    call.operation = wire::Operation::kBatchRead;
    batch->request_id = static_cast<int64_t>(number);
  } else {
    const auto& read = std::get<wire::ReadRequest>(request);
    call.key = {read.ledger, read.entry};
    read_numbers_[call.key].push_back(number);
  }
  const MonotonicTime deadline = call.deadline;
  calls_.push_back(std::move(call));
  wire::RequestHeader header;
  header.version = wire::ProtocolVersion::kV2;
  header.high_priority = high_priority;
  absl::StatusOr<wire::OutgoingFrame> frame = wire::EncodeRequest({header, std::move(request)});
  STELE_CHECK(frame.ok());
  Send(frame->head, std::move(frame->body), deadline);
}

void V2Lane::DropSink(AddSink* sink) {
  for (PendingAdd& add : adds_) {
    if (add.sink == sink) add.sink = nullptr;
  }
}

MonotonicTime V2Lane::NextDeadline() const {
  MonotonicTime next = MonotonicTime::Infinite();
  if (!adds_.empty()) next = adds_.front().deadline;
  if (!calls_.empty()) next = std::min(next, calls_.front().deadline);
  return next;
}

void V2Lane::Expire(MonotonicTime now) {
  while (!adds_.empty() && adds_.front().deadline <= now) {
    AnswerFirstAdd(ErrorCode::kDeadline);
  }
  while (!calls_.empty() && calls_.front().deadline <= now) {
    AnswerCall(calls_taken_, {ErrorCode::kDeadline, {}});
  }
}

void V2Lane::FailAll(ErrorCode code) {
  const uint64_t adds_end = adds_taken_ + adds_.size();
  while (!adds_.empty() && adds_taken_ < adds_end) AnswerFirstAdd(code);
  const uint64_t calls_end = calls_taken_ + calls_.size();
  while (!calls_.empty() && calls_taken_ < calls_end) AnswerCall(calls_taken_, {code, {}});
}

bool V2Lane::OnFrame(const Buffer& frame) {
  absl::StatusOr<wire::Reply> reply = wire::DecodeReply(wire::ProtocolVersion::kV2, frame);
  if (!reply.ok()) return CodeOf(reply.status()) == ErrorCode::kProtocolVersion;
  bool is_stray = false;
  const ErrorCode code = CodeOfReply(reply->operation, reply->code);
  if (const auto* add = std::get_if<wire::AddReply>(&reply->body)) {
    const std::optional<uint64_t> number = add_numbers_.Take(add->ledger, add->entry);
    is_stray = !number.has_value();
    if (!is_stray) AnswerAdd(*number, code);
  } else if (const auto* read = std::get_if<wire::ReadReply>(&reply->body)) {
    const auto place = read_numbers_.find(Key{read->ledger, read->entry});
    is_stray = place == read_numbers_.end();
    if (!is_stray) AnswerCall(place->second.front(), {code, std::move(reply->body)});
  } else if (const auto* batch = std::get_if<wire::BatchReadReply>(&reply->body)) {
    const auto number = static_cast<uint64_t>(batch->request_id);
    is_stray = number < calls_taken_ || number - calls_taken_ >= calls_.size() ||
               calls_[number - calls_taken_].operation != wire::Operation::kBatchRead;
    if (!is_stray) AnswerCall(number, {code, std::move(reply->body)});
  }
  // What matches nothing came after its deadline, or twice.
  STELE_SOMETIMES(kStrayReply, is_stray);
  return true;
}

// The first is never answered: it would have gone with its answer.
void V2Lane::AnswerFirstAdd(ErrorCode code) {
  const Key& key = adds_.front().key;
  const std::optional<uint64_t> number = add_numbers_.Take(key.ledger, key.entry);
  STELE_CHECK(number == adds_taken_);
  AnswerAdd(*number, code);
}

void V2Lane::AnswerAdd(uint64_t number, ErrorCode code) {
  PendingAdd& add = adds_[number - adds_taken_];
  add.is_answered = true;
  AddSink* const sink = add.sink;
  const AddTag tag = add.tag;
  const size_t size_bytes = add.size_bytes;
  while (!adds_.empty() && adds_.front().is_answered) {
    adds_.pop_front();
    ++adds_taken_;
  }
  debt_->Settle(size_bytes);
  if (sink != nullptr) sink->OnAddReply(tag, code);
}

void V2Lane::AnswerCall(uint64_t number, Answer answer) {
  PendingCall& call = calls_[number - calls_taken_];
  if (call.is_answered) return;
  call.is_answered = true;
  AnswerCallback done = std::move(call.done);
  if (call.operation == wire::Operation::kRead) {
    const auto place = read_numbers_.find(call.key);
    place->second.erase(std::find(place->second.begin(), place->second.end(), number));
    if (place->second.empty()) read_numbers_.erase(place);
  }
  while (!calls_.empty() && calls_.front().is_answered) {
    calls_.pop_front();
    ++calls_taken_;
  }
  std::move(done)(std::move(answer));
}

}  // namespace stele::client
