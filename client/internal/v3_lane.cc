#include "client/internal/v3_lane.h"

#include <variant>

#include "common/base/check.h"
#include "common/base/sometimes.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::client {
namespace {

wire::Operation OperationOf(const wire::RequestBody& request) {
  struct Visitor {
    wire::Operation operator()(const wire::AddRequest&) { return wire::Operation::kAdd; }
    wire::Operation operator()(const wire::ReadRequest&) { return wire::Operation::kRead; }
    wire::Operation operator()(const wire::BatchReadRequest&) {
      return wire::Operation::kBatchRead;
    }
    wire::Operation operator()(const wire::WriteLacRequest&) { return wire::Operation::kWriteLac; }
    wire::Operation operator()(const wire::ReadLacRequest&) { return wire::Operation::kReadLac; }
    wire::Operation operator()(const wire::ForceLedgerRequest&) {
      return wire::Operation::kForceLedger;
    }
    wire::Operation operator()(const wire::GetBookieInfoRequest&) {
      return wire::Operation::kGetBookieInfo;
    }
    wire::Operation operator()(const wire::ListEntriesRequest&) {
      return wire::Operation::kListEntries;
    }
    wire::Operation operator()(const wire::AuthRequest&) { return wire::Operation::kAuth; }
    wire::Operation operator()(const wire::StartTlsRequest&) { return wire::Operation::kStartTls; }
  };
  return std::visit(Visitor{}, request);
}

}  // namespace

void V3Lane::Record(uint64_t id, Pending pending) {
  deadlines_.emplace(pending.deadline, id);
  pending_.emplace(id, std::move(pending));
}

void V3Lane::Add(const OutgoingAdd& add, AddSink* sink, const AddTag& tag) {
  const uint64_t id = ++last_id_;
  const MonotonicTime deadline = Now() + options().add_timeout;
  Record(id, {.operation = wire::Operation::kAdd,
              .deadline = deadline,
              .sink = sink,
              .tag = tag,
              .size_bytes = add.size_bytes()});
  debt_->Owe(add.size_bytes());
  wire::RequestHeader header;
  header.version = wire::ProtocolVersion::kV3;
  header.txn_id = id;
  header.high_priority = add.priority() == OutgoingAdd::Priority::kHigh;
  absl::StatusOr<wire::OutgoingFrame> frame = wire::EncodeAdd(header, add.entry());
  STELE_CHECK(frame.ok());
  Send(frame->head, std::move(frame->body), deadline);
}

void V3Lane::Call(wire::RequestBody request, const CallOptions& options, AnswerCallback done) {
  const uint64_t id = ++last_id_;
  const absl::Duration timeout =
      options.timeout == absl::InfiniteDuration() ? this->options().read_timeout : options.timeout;
  const MonotonicTime deadline = Now() + timeout;
  Record(id, {.operation = OperationOf(request), .deadline = deadline, .done = std::move(done)});
  wire::RequestHeader header;
  header.version = wire::ProtocolVersion::kV3;
  header.txn_id = id;
  header.high_priority = options.high_priority;
  absl::StatusOr<wire::OutgoingFrame> frame = wire::EncodeRequest({header, std::move(request)});
  STELE_CHECK(frame.ok());
  Send(frame->head, std::move(frame->body), deadline);
}

void V3Lane::DropSink(AddSink* sink) {
  for (auto& [id, pending] : pending_) {
    if (pending.sink == sink) pending.sink = nullptr;
  }
}

MonotonicTime V3Lane::NextDeadline() const {
  return deadlines_.empty() ? MonotonicTime::Infinite() : deadlines_.begin()->first;
}

void V3Lane::Expire(MonotonicTime now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Respond(pending_.find(deadlines_.begin()->second), {ErrorCode::kDeadline, {}});
  }
}

void V3Lane::FailAll(ErrorCode code) {
  const uint64_t end = last_id_;
  while (!pending_.empty() && pending_.begin()->first <= end) {
    Respond(pending_.begin(), {code, {}});
  }
}

bool V3Lane::OnFrame(const Buffer& frame) {
  absl::StatusOr<wire::Reply> reply = wire::DecodeReply(wire::ProtocolVersion::kV3, frame);
  if (!reply.ok()) return false;
  const auto place = pending_.find(reply->txn_id);
  // What matches nothing came after its deadline, or twice.
  const bool is_stray = place == pending_.end() || place->second.operation != reply->operation;
  STELE_SOMETIMES(kStrayReply, is_stray);
  if (is_stray) return true;
  Respond(place, {CodeOfReply(reply->operation, reply->code), std::move(reply->body)});
  return true;
}

void V3Lane::Respond(PendingMap::iterator place, Answer answer) {
  const uint64_t id = place->first;
  Pending pending = std::move(place->second);
  pending_.erase(place);
  deadlines_.erase({pending.deadline, id});
  if (pending.operation != wire::Operation::kAdd) {
    std::move(pending.done)(std::move(answer));
    return;
  }
  debt_->Settle(pending.size_bytes);
  if (pending.sink != nullptr) pending.sink->OnAddReply(pending.tag, answer.code);
}

}  // namespace stele::client
