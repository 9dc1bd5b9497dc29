#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/codec_internal.h"
#include "common/wire/protobuf_wire.h"
#include "common/wire/v3_fields.h"

namespace stele::wire::internal {
namespace {

// Holds nearly every head without growing.
constexpr size_t kHeadSize = 64;

// Starts a reply with its own header, which never has a priority, and the status.
std::string StartReply(const RequestHeader& header, ReplyCode code) {
  std::string head;
  head.reserve(kHeadSize);
  v3::AppendHeader(head, v3::kVersion, header.operation, header.txn_id, 0);
  ProtoWriter(head).Int64(v3::kStatus, static_cast<int>(code));
  return head;
}

// The same with the header of the request, unchanged.
std::string StartReplyWithCopiedHeader(const RequestHeader& header, ReplyCode code) {
  std::string head;
  head.reserve(kHeadSize);
  v3::AppendHeader(head, header.v3_version, header.operation, header.txn_id, header.v3_priority);
  ProtoWriter(head).Int64(v3::kStatus, static_cast<int>(code));
  return head;
}

// A reply is written so: head = envelope and the fields of `message`; then a last bytes field whose
// value is sent uncopied behind the head.
struct Encoder {
  const RequestHeader& header;
  ReplyCode code;

  OutgoingFrame operator()(const std::monostate&) const {
    return {StartReplyWithCopiedHeader(header, code), {}};
  }

  OutgoingFrame operator()(const AddReply& add) const {
    return EncodeV3AddReply(header, code, add.ledger, add.entry);
  }

  OutgoingFrame operator()(const ReadReply& read) const {
    using F = v3::ReadReplyField;
    std::string message = Message(read.ledger);
    ProtoWriter writer(message);
    writer.Int64(F::kEntry, read.entry.value());
    const bool ok = code == ReplyCode::kOk;
    if (ok && read.max_lac.has_value()) writer.Int64(F::kMaxLac, read.max_lac->value());
    if (ok && read.lac_update_timestamp_ms.has_value()) {
      writer.Int64(F::kLacUpdateTimestamp, *read.lac_update_timestamp_ms);
    }
    if (!ok || read.body.empty()) return WithMessage(Operation::kRead, message);
    return WithTail(Operation::kRead, std::move(message), F::kBody, read.body);
  }

  OutgoingFrame operator()(const WriteLacReply& write) const {
    return WithMessage(Operation::kWriteLac, Message(write.ledger));
  }

  OutgoingFrame operator()(const ReadLacReply& read) const {
    using F = v3::ReadLacReplyField;
    std::string message = Message(read.ledger);
    const bool ok = code == ReplyCode::kOk;
    if (ok && read.lac_body.has_value()) {
      ProtoWriter(message).Bytes(F::kLacBody, read.lac_body->view());
    }
    if (!ok || !read.last_entry_body.has_value()) {
      return WithMessage(Operation::kReadLac, message);
    }
    return WithTail(Operation::kReadLac, std::move(message), F::kLastEntryBody,
                    *read.last_entry_body);
  }

  OutgoingFrame operator()(const ForceLedgerReply& force) const {
    return WithMessage(Operation::kForceLedger, Message(force.ledger));
  }

  OutgoingFrame operator()(const GetBookieInfoReply& info) const {
    using F = v3::GetBookieInfoReplyField;
    std::string message;
    ProtoWriter writer(message);
    writer.Int64(v3::kStatusOfReply, static_cast<int>(code));
    if (info.total_disk_capacity_bytes.has_value()) {
      writer.Int64(F::kTotalDiskCapacity, *info.total_disk_capacity_bytes);
    }
    if (info.free_disk_space_bytes.has_value()) {
      writer.Int64(F::kFreeDiskSpace, *info.free_disk_space_bytes);
    }
    return WithMessage(Operation::kGetBookieInfo, message);
  }

  OutgoingFrame operator()(const ListEntriesReply& list) const {
    std::string message = Message(list.ledger);
    if (code != ReplyCode::kOk) return WithMessage(Operation::kListEntries, message);
    return WithTail(Operation::kListEntries, std::move(message),
                    v3::ListEntriesReplyField::kAvailability, list.availability);
  }

  OutgoingFrame operator()(const AuthReply& auth) const {
    CheckOperation(Operation::kAuth);
    std::string head = StartReplyWithCopiedHeader(header, code);
    ProtoWriter(head).Bytes(v3::MessageNumber(Operation::kAuth),
                            EncodeAuthMessage(auth.plugin_name, auth.payload));
    return {std::move(head), {}};
  }

  OutgoingFrame operator()(const StartTlsReply&) const {
    return WithMessage(Operation::kStartTls, {});
  }

  OutgoingFrame operator()(const BatchReadReply&) const {
    STELE_CHECK(!"a reply that v3 does not have");
    return {};
  }

 private:
  void CheckOperation(Operation operation) const { STELE_CHECK(header.operation == operation); }

  // The fields that nearly all messages begin with: the status once more, and the ledger.
  std::string Message(LedgerId ledger) const {
    std::string message;
    ProtoWriter writer(message);
    writer.Int64(v3::kStatusOfReply, static_cast<int>(code));
    writer.Int64(v3::kLedgerOfReply, ledger.value());
    return message;
  }

  OutgoingFrame WithMessage(Operation operation, std::string_view message) const {
    CheckOperation(operation);
    std::string head = StartReply(header, code);
    ProtoWriter(head).Bytes(v3::MessageNumber(operation), message);
    return {std::move(head), {}};
  }

  // `message` and then, as its last field, `tail`.
  OutgoingFrame WithTail(Operation operation, std::string message, uint32_t tail_number,
                         Buffer tail) const {
    CheckOperation(operation);
    ProtoWriter(message).BytesHead(tail_number, tail.size());
    std::string head = StartReply(header, code);
    ProtoWriter(head).BytesHead(v3::MessageNumber(operation), message.size() + tail.size());
    head.append(message);
    return {std::move(head), std::move(tail)};
  }
};

ReplyCode CodeOfNumber(int32_t number) {
  const auto code = static_cast<ReplyCode>(number);
  switch (code) {
    case ReplyCode::kOk:
    case ReplyCode::kNoSuchLedger:
    case ReplyCode::kNoSuchEntry:
    case ReplyCode::kBadRequest:
    case ReplyCode::kIoError:
    case ReplyCode::kUnauthorized:
    case ReplyCode::kBadVersion:
    case ReplyCode::kFenced:
    case ReplyCode::kReadOnly:
    case ReplyCode::kTooManyRequests:
    case ReplyCode::kUnknownLedgerState: return code;
  }
  return ReplyCode::kIoError;
}

absl::Status Corrupt(std::string_view detail) {
  return MakeError(ErrorCode::kCorruptData, StrCat("v3 reply: ", detail));
}

// The fields of a reply's message, whatever its operation. The last value of a number counts, as in
// protobuf; a field that is absent stays so, since known bookies leave out even required ones.
struct MessageFields {
  static constexpr uint32_t kNumberMax = 6;

  bool present = false;
  std::optional<int64_t> varints[kNumberMax + 1];
  std::optional<std::string_view> bytes[kNumberMax + 1];

  // False when the message is malformed.
  bool Merge(std::string_view message) {
    present = true;
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.number() > kNumberMax) continue;
      if (reader.IsVarint(reader.number())) varints[reader.number()] = reader.int64();
      if (reader.IsBytes(reader.number())) bytes[reader.number()] = reader.bytes();
    }
    return !reader.malformed();
  }

  LedgerId ledger() const { return LedgerId(varints[v3::kLedgerOfReply].value_or(-1)); }
  EntryId EntryAt(uint32_t number) const { return EntryId(varints[number].value_or(-1)); }
  std::optional<Buffer> BufferAt(uint32_t number, const Buffer& frame) const {
    if (!bytes[number].has_value()) return std::nullopt;
    return SliceOf(frame, *bytes[number]);
  }
};

ReadReply MakeReadReply(const MessageFields& fields, const Buffer& frame) {
  using F = v3::ReadReplyField;
  ReadReply reply;
  reply.ledger = fields.ledger();
  reply.entry = fields.EntryAt(F::kEntry);
  reply.body = fields.BufferAt(F::kBody, frame).value_or(Buffer());
  if (const EntryId lac = fields.EntryAt(F::kMaxLac); !lac.IsNone()) reply.max_lac = lac;
  reply.lac_update_timestamp_ms = fields.varints[F::kLacUpdateTimestamp];
  return reply;
}

// The body of a reply whose operation has one; monostate when it is missing or lacks what a success
// must have.
ReplyBody MakeBody(const Reply& reply, const MessageFields& fields, const Buffer& frame) {
  const bool ok = reply.code == ReplyCode::kOk;
  switch (reply.operation) {
    // The transaction id tells which request succeeded, so these need no message.
    case Operation::kAdd:
      return AddReply{fields.ledger(), fields.EntryAt(v3::AddReplyField::kEntry)};
    case Operation::kWriteLac: return WriteLacReply{fields.ledger()};
    case Operation::kForceLedger: return ForceLedgerReply{fields.ledger()};
    case Operation::kStartTls: return StartTlsReply{};
    case Operation::kRead:
      if (!fields.present) return std::monostate{};
      return MakeReadReply(fields, frame);
    case Operation::kReadLac: {
      using F = v3::ReadLacReplyField;
      if (!fields.present) return std::monostate{};
      return ReadLacReply{fields.ledger(), fields.BufferAt(F::kLacBody, frame),
                          fields.BufferAt(F::kLastEntryBody, frame)};
    }
    case Operation::kGetBookieInfo: {
      using F = v3::GetBookieInfoReplyField;
      if (!fields.present) return std::monostate{};
      return GetBookieInfoReply{fields.varints[F::kTotalDiskCapacity],
                                fields.varints[F::kFreeDiskSpace]};
    }
    case Operation::kListEntries: {
      auto blob = fields.BufferAt(v3::ListEntriesReplyField::kAvailability, frame);
      if (!fields.present || (ok && !blob.has_value())) return std::monostate{};
      return ListEntriesReply{fields.ledger(), std::move(blob).value_or(Buffer())};
    }
    case Operation::kAuth: {
      const auto& name = fields.bytes[v3::kPluginName];
      const auto& payload = fields.bytes[v3::kPayload];
      if (!name.has_value() || !payload.has_value()) return std::monostate{};
      return AuthReply{std::string(*name), std::string(*payload)};
    }
    case Operation::kRangeRead:
    case Operation::kRangeAdd:
    case Operation::kBatchRead: break;
  }
  return std::monostate{};
}

// The status stands in the envelope and in the message; either may be missing. A failure in either
// one counts.
int32_t StatusOf(std::optional<int32_t> outer, const MessageFields& fields, bool has_inner) {
  if (outer.value_or(0) != 0 || !has_inner) return outer.value_or(0);
  return static_cast<int32_t>(fields.varints[v3::kStatusOfReply].value_or(0));
}

}  // namespace

OutgoingFrame EncodeV3AddReply(const RequestHeader& header, ReplyCode code, LedgerId ledger,
                               EntryId entry) {
  std::string message;
  ProtoWriter writer(message);
  writer.Int64(v3::kStatusOfReply, static_cast<int>(code));
  writer.Int64(v3::kLedgerOfReply, ledger.value());
  writer.Int64(v3::AddReplyField::kEntry, entry.value());
  std::string head = StartReply(header, code);
  ProtoWriter(head).Bytes(v3::MessageNumber(Operation::kAdd), message);
  return {std::move(head), {}};
}

OutgoingFrame EncodeV3Reply(const RequestHeader& header, ReplyCode code, const ReplyBody& body) {
  return std::visit(Encoder{header, code}, body);
}

absl::StatusOr<Reply> DecodeV3Reply(const Buffer& frame) {
  v3::HeaderFields header;
  std::optional<int32_t> status;
  ProtoReader envelope(frame.view());
  while (envelope.Next()) {
    if (envelope.IsVarint(v3::kStatus)) status = envelope.int32();
    if (envelope.IsBytes(v3::kHeader) && !header.Merge(envelope.bytes())) {
      return Corrupt("malformed header");
    }
  }
  if (envelope.malformed()) return Corrupt("malformed");
  if (!header.operation.has_value() || !header.txn_id.has_value()) {
    return Corrupt("no operation or no transaction id");
  }

  Reply reply;
  reply.version = ProtocolVersion::kV3;
  reply.operation = static_cast<Operation>(*header.operation);
  reply.txn_id = *header.txn_id;
  MessageFields fields;
  const uint32_t message_number = v3::MessageNumber(reply.operation);
  ProtoReader again(frame.view());
  while (again.Next()) {
    if (again.IsBytes(message_number) && !fields.Merge(again.bytes())) {
      return Corrupt("malformed message");
    }
  }
  const bool has_inner_status =
      reply.operation != Operation::kAuth && reply.operation != Operation::kStartTls;
  if (!status.has_value() && !fields.present) return Corrupt("no status");
  reply.wire_code = StatusOf(status, fields, has_inner_status);
  reply.code = CodeOfNumber(reply.wire_code);
  if (reply.code != ReplyCode::kOk && !fields.present) return reply;
  reply.body = MakeBody(reply, fields, frame);
  // A success without what it promises is none.
  if (reply.code == ReplyCode::kOk && std::holds_alternative<std::monostate>(reply.body)) {
    reply.code = ReplyCode::kIoError;
  }
  return reply;
}

}  // namespace stele::wire::internal
