#include <cstring>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/codec_internal.h"
#include "common/wire/protobuf_wire.h"
#include "common/wire/v3_fields.h"

namespace stele::wire::internal {
namespace {

constexpr int32_t kDeferredSync = 1;  // in writeFlags
constexpr int64_t kTotalDiskCapacity = 1;
constexpr int64_t kFreeDiskSpace = 2;
constexpr uint32_t kHighPriority = 100;  // what Java clients send

// What a decoder of one operation makes of its message. Fields may come in any order, and a message
// that comes in pieces is merged, so everything is judged after the last piece.
struct Decoder {
  const Buffer& frame;
  std::string_view envelope;

  // Calls `visit(reader)` for each field of the operation's message. False when the message is
  // absent or malformed.
  template <typename Visit>
  Verdict ForEachField(uint32_t message_number, Visit visit) const {
    bool present = false;
    ProtoReader outer(envelope);
    while (outer.Next()) {
      if (!outer.IsBytes(message_number)) continue;
      present = true;
      ProtoReader reader(outer.bytes());
      while (reader.Next()) visit(reader);
      if (reader.malformed()) return BadRequest("malformed_message");
    }
    return present ? Verdict{} : BadRequest("message_missing");
  }
};

Verdict CopyKey(const std::optional<std::string_view>& bytes, MasterKey& key) {
  if (!bytes.has_value()) return BadRequest("field_missing");
  if (bytes->size() != key.size()) return BadRequest("bad_key_size");
  std::memcpy(key.data(), bytes->data(), key.size());
  return {};
}

Verdict Decode(const Decoder& decoder, AddRequest& add) {
  using F = v3::AddRequestField;
  std::optional<int64_t> ledger, entry;
  std::optional<std::string_view> key, body;
  int32_t write_flags = 0;
  std::optional<int32_t> flag;
  Verdict verdict = decoder.ForEachField(v3::MessageNumber(Operation::kAdd), [&](auto& field) {
    if (field.IsVarint(F::kLedger)) ledger = field.int64();
    if (field.IsVarint(F::kEntry)) entry = field.int64();
    if (field.IsBytes(F::kKey)) key = field.bytes();
    if (field.IsBytes(F::kBody)) body = field.bytes();
    if (field.IsVarint(F::kWriteFlags)) write_flags = field.int32();
    if (field.IsVarint(F::kFlag)) flag = field.int32();
  });
  add.ledger = LedgerId(ledger.value_or(-1));
  add.entry = EntryId(entry.value_or(-1));
  if (!verdict.ok()) return verdict;
  if (!ledger.has_value() || !entry.has_value() || !body.has_value()) {
    return BadRequest("field_missing");
  }
  if (verdict = CopyKey(key, add.master_key); !verdict.ok()) return verdict;
  // A flag that is not understood may be about durability: it must not be ignored.
  if ((write_flags & ~kDeferredSync) != 0) return BadRequest("unknown_write_flags");
  if (flag.has_value() && *flag != v3::kRecoveryAdd) return BadRequest("unknown_add_flags");
  add.deferred_sync = write_flags == kDeferredSync;
  add.recovery = flag.has_value();
  add.body = SliceOf(decoder.frame, *body);
  return CheckAdd(add);
}

Verdict Decode(const Decoder& decoder, ReadRequest& read) {
  using F = v3::ReadRequestField;
  std::optional<int64_t> ledger, entry, previous_lac, timeout;
  std::optional<std::string_view> key;
  int32_t flag = 0;
  Verdict verdict = decoder.ForEachField(v3::MessageNumber(Operation::kRead), [&](auto& field) {
    if (field.IsVarint(F::kLedger)) ledger = field.int64();
    if (field.IsVarint(F::kEntry)) entry = field.int64();
    if (field.IsBytes(F::kKey)) key = field.bytes();
    if (field.IsVarint(F::kPreviousLac)) previous_lac = field.int64();
    if (field.IsVarint(F::kTimeout)) timeout = field.int64();
    if (field.IsVarint(F::kFlag)) flag = field.int32();
  });
  read.ledger = LedgerId(ledger.value_or(-1));
  read.entry = EntryId(entry.value_or(-1));
  if (!verdict.ok()) return verdict;
  if (!ledger.has_value() || !entry.has_value()) return BadRequest("field_missing");
  if (flag == v3::kFenceLedger) {  // wins over a long poll
    if (!key.has_value()) return {ReplyCode::kUnauthorized, "fence_without_key"};
    if (verdict = CopyKey(key, read.fence_key.emplace()); !verdict.ok()) return verdict;
  } else if (previous_lac.has_value()) {
    read.previous_lac = std::max(EntryId(*previous_lac), kNoEntry);
    if (timeout.has_value()) read.timeout_ms = std::max<int64_t>(*timeout, 0);
    read.piggyback_entry = flag == v3::kEntryPiggyback;
  }
  return CheckRead(read);
}

Verdict Decode(const Decoder& decoder, WriteLacRequest& write) {
  using F = v3::WriteLacRequestField;
  std::optional<int64_t> ledger, lac;
  std::optional<std::string_view> key, body;
  Verdict verdict = decoder.ForEachField(v3::MessageNumber(Operation::kWriteLac), [&](auto& field) {
    if (field.IsVarint(F::kLedger)) ledger = field.int64();
    if (field.IsVarint(F::kLac)) lac = field.int64();
    if (field.IsBytes(F::kKey)) key = field.bytes();
    if (field.IsBytes(F::kBody)) body = field.bytes();
  });
  write.ledger = LedgerId(ledger.value_or(-1));
  if (!verdict.ok()) return verdict;
  if (!ledger.has_value() || !lac.has_value() || !body.has_value()) {
    return BadRequest("field_missing");
  }
  if (verdict = CopyKey(key, write.master_key); !verdict.ok()) return verdict;
  write.lac = EntryId(*lac);
  write.body = SliceOf(decoder.frame, *body);
  const auto inside = ParseExplicitLac(write.body.view());
  if (!inside.ok()) return BadRequest("bad_explicit_lac_size");
  if (inside->ledger != write.ledger || inside->lac != write.lac) return BadRequest("ids_differ");
  if (write.lac < kNoEntry) return BadRequest("negative_entry_id");
  return CheckLedger(write.ledger);
}

// The messages that consist of a ledger id.
Verdict DecodeLedgerOnly(const Decoder& decoder, Operation operation, LedgerId& ledger) {
  std::optional<int64_t> id;
  const Verdict verdict = decoder.ForEachField(v3::MessageNumber(operation), [&](auto& field) {
    if (field.IsVarint(v3::kLedgerOfRequest)) id = field.int64();
  });
  ledger = LedgerId(id.value_or(-1));
  if (!verdict.ok()) return verdict;
  return id.has_value() ? CheckLedger(ledger) : BadRequest("field_missing");
}

Verdict Decode(const Decoder& decoder, GetBookieInfoRequest& info) {
  int64_t requested = 0;
  const Verdict verdict =
      decoder.ForEachField(v3::MessageNumber(Operation::kGetBookieInfo), [&](auto& field) {
        if (field.IsVarint(v3::kRequested)) requested = field.int64();
      });
  info.total_disk_capacity = (requested & kTotalDiskCapacity) != 0;
  info.free_disk_space = (requested & kFreeDiskSpace) != 0;
  return verdict;
}

Verdict Decode(const Decoder& decoder, AuthRequest& auth) {
  std::optional<std::string_view> name, payload;
  const Verdict verdict =
      decoder.ForEachField(v3::MessageNumber(Operation::kAuth), [&](auto& field) {
        if (field.IsBytes(v3::kPluginName)) name = field.bytes();
        if (field.IsBytes(v3::kPayload)) payload = field.bytes();
      });
  if (!verdict.ok()) return verdict;
  if (!name.has_value() || !payload.has_value()) return BadRequest("field_missing");
  auth = {.plugin_name = std::string(*name), .payload = std::string(*payload)};
  return {};
}

template <typename Body>
DecodedRequest DecodeAs(const RequestHeader& header, const Decoder& decoder) {
  Body body;
  // The fields are read in any case: the refusal carries the ids.
  Verdict verdict = Decode(decoder, body);
  if (header.v3_version != v3::kVersion && !std::is_same_v<Body, AuthRequest>) {
    verdict = {ReplyCode::kBadVersion, "unknown_v3_version"};
  }
  return Judge(header, std::move(body), verdict);
}

template <typename Body>
DecodedRequest DecodeLedgerOnlyAs(const RequestHeader& header, const Decoder& decoder) {
  Body body;
  Verdict verdict = DecodeLedgerOnly(decoder, header.operation, body.ledger);
  if (header.v3_version != v3::kVersion) {
    verdict = {ReplyCode::kBadVersion, "unknown_v3_version"};
  }
  return Judge(header, body, verdict);
}

DecodedRequest RefuseByHeader(const RequestHeader& header, std::string_view reason) {
  return RefusedRequest{EncodeStatusOnly(header, ReplyCode::kBadRequest), header,
                        ReplyCode::kBadRequest, reason};
}

DecodedRequest DecodeByOperation(const RequestHeader& header, const Decoder& decoder) {
  switch (header.operation) {
    case Operation::kAdd: return DecodeAs<AddRequest>(header, decoder);
    case Operation::kRead: return DecodeAs<ReadRequest>(header, decoder);
    case Operation::kWriteLac: return DecodeAs<WriteLacRequest>(header, decoder);
    case Operation::kGetBookieInfo: return DecodeAs<GetBookieInfoRequest>(header, decoder);
    case Operation::kAuth: return DecodeAs<AuthRequest>(header, decoder);
    case Operation::kReadLac: return DecodeLedgerOnlyAs<ReadLacRequest>(header, decoder);
    case Operation::kForceLedger: return DecodeLedgerOnlyAs<ForceLedgerRequest>(header, decoder);
    case Operation::kListEntries: return DecodeLedgerOnlyAs<ListEntriesRequest>(header, decoder);
    case Operation::kStartTls:
      return Judge(header, StartTlsRequest{},
                   decoder.ForEachField(v3::MessageNumber(Operation::kStartTls), [](auto&) {}));
    case Operation::kRangeRead:
    case Operation::kRangeAdd:
    case Operation::kBatchRead: break;
  }
  return RefuseByHeader(header, "unknown_v3_operation");
}

std::optional<RequestHeader> DecodeHeader(const v3::HeaderFields& fields) {
  if (!fields.IsComplete()) return std::nullopt;
  RequestHeader header;
  header.version = ProtocolVersion::kV3;
  header.txn_id = *fields.txn_id;
  header.operation = static_cast<Operation>(*fields.operation);
  header.high_priority = fields.priority > 0;
  header.v3_version = *fields.version;
  header.v3_priority = fields.priority;
  return header;
}

// A frame that begins with the header of `operation`. `message` are the fields of its message that
// stand in the head, `tail_size` those bytes of the message that follow it.
std::string Envelope(const RequestHeader& header, Operation operation, std::string_view message,
                     size_t tail_size) {
  std::string head;
  head.reserve(48 + message.size());
  const uint32_t priority =
      header.v3_priority > 0 ? header.v3_priority : (header.high_priority ? kHighPriority : 0);
  v3::AppendHeader(head, header.v3_version, operation, header.txn_id, priority);
  ProtoWriter(head).BytesHead(v3::MessageNumber(operation), message.size() + tail_size);
  head.append(message);
  return head;
}

std::string_view View(const MasterKey& key) { return {key.data(), key.size()}; }

struct AddFields {
  LedgerId ledger;
  EntryId entry;
  const MasterKey& master_key;
  bool recovery;
  bool deferred_sync;
};

// The body is the last field, whatever its number, so that it can follow the head uncopied.
OutgoingFrame EncodeAddFrame(const RequestHeader& header, const AddFields& add,
                             std::string_view body_head, Buffer body_tail) {
  using F = v3::AddRequestField;
  std::string message;
  message.reserve(64 + body_head.size());
  ProtoWriter writer(message);
  writer.Int64(F::kLedger, add.ledger.value());
  writer.Int64(F::kEntry, add.entry.value());
  writer.Bytes(F::kKey, View(add.master_key));
  if (add.deferred_sync) writer.Varint(F::kWriteFlags, kDeferredSync);
  if (add.recovery) writer.Varint(F::kFlag, v3::kRecoveryAdd);
  writer.BytesHead(F::kBody, body_head.size() + body_tail.size());
  message.append(body_head);
  std::string head = Envelope(header, Operation::kAdd, message, body_tail.size());
  return {std::move(head), std::move(body_tail)};
}

struct Encoder {
  const RequestHeader& header;

  absl::StatusOr<OutgoingFrame> operator()(const AddRequest& add) const {
    return EncodeAddFrame(header,
                          {add.ledger, add.entry, add.master_key, add.recovery, add.deferred_sync},
                          {}, add.body);
  }

  absl::StatusOr<OutgoingFrame> operator()(const ReadRequest& read) const {
    using F = v3::ReadRequestField;
    if (read.fence_key.has_value() && read.previous_lac.has_value()) {
      return MakeError(ErrorCode::kUnsupported, "a fencing read cannot be a long poll");
    }
    std::string message;
    ProtoWriter writer(message);
    writer.Int64(F::kLedger, read.ledger.value());
    writer.Int64(F::kEntry, read.entry.value());
    if (read.fence_key.has_value()) writer.Bytes(F::kKey, View(*read.fence_key));
    if (read.previous_lac.has_value()) writer.Int64(F::kPreviousLac, read.previous_lac->value());
    if (read.timeout_ms.has_value()) writer.Int64(F::kTimeout, *read.timeout_ms);
    if (read.fence_key.has_value()) writer.Varint(F::kFlag, v3::kFenceLedger);
    if (read.piggyback_entry) writer.Varint(F::kFlag, v3::kEntryPiggyback);
    return Small(Operation::kRead, message);
  }

  absl::StatusOr<OutgoingFrame> operator()(const WriteLacRequest& write) const {
    using F = v3::WriteLacRequestField;
    std::string message;
    ProtoWriter writer(message);
    writer.Int64(F::kLedger, write.ledger.value());
    writer.Int64(F::kLac, write.lac.value());
    writer.Bytes(F::kKey, View(write.master_key));
    writer.Bytes(F::kBody, write.body.view());
    return Small(Operation::kWriteLac, message);
  }

  absl::StatusOr<OutgoingFrame> operator()(const ReadLacRequest& read) const {
    return LedgerOnly(Operation::kReadLac, read.ledger);
  }
  absl::StatusOr<OutgoingFrame> operator()(const ForceLedgerRequest& force) const {
    return LedgerOnly(Operation::kForceLedger, force.ledger);
  }
  absl::StatusOr<OutgoingFrame> operator()(const ListEntriesRequest& list) const {
    return LedgerOnly(Operation::kListEntries, list.ledger);
  }

  absl::StatusOr<OutgoingFrame> operator()(const GetBookieInfoRequest& info) const {
    std::string message;
    ProtoWriter(message).Int64(v3::kRequested, (info.total_disk_capacity ? kTotalDiskCapacity : 0) |
                                                   (info.free_disk_space ? kFreeDiskSpace : 0));
    return Small(Operation::kGetBookieInfo, message);
  }

  absl::StatusOr<OutgoingFrame> operator()(const AuthRequest& auth) const {
    return Small(Operation::kAuth, EncodeAuthMessage(auth.plugin_name, auth.payload));
  }
  absl::StatusOr<OutgoingFrame> operator()(const StartTlsRequest&) const {
    return Small(Operation::kStartTls, {});
  }
  absl::StatusOr<OutgoingFrame> operator()(const BatchReadRequest&) const {
    return MakeError(ErrorCode::kUnsupported, "protocol v3 has no BATCH_READ");
  }

 private:
  OutgoingFrame Small(Operation operation, std::string_view message) const {
    return {Envelope(header, operation, message, 0), {}};
  }
  OutgoingFrame LedgerOnly(Operation operation, LedgerId ledger) const {
    std::string message;
    ProtoWriter(message).Int64(v3::kLedgerOfRequest, ledger.value());
    return Small(operation, message);
  }
};

}  // namespace

std::optional<DecodedRequest> DecodeV3Request(const Buffer& frame) {
  v3::HeaderFields fields;
  ProtoReader envelope(frame.view());
  while (envelope.Next()) {
    if (envelope.IsBytes(v3::kHeader) && !fields.Merge(envelope.bytes())) return std::nullopt;
  }
  if (envelope.malformed()) return std::nullopt;
  const auto header = DecodeHeader(fields);
  if (!header.has_value()) return std::nullopt;
  return DecodeByOperation(*header, {frame, frame.view()});
}

absl::StatusOr<OutgoingFrame> EncodeV3Request(const Request& request) {
  return std::visit(Encoder{request.header}, request.body);
}

OutgoingFrame EncodeV3Add(const RequestHeader& header, const EntryToAdd& add) {
  return EncodeAddFrame(header,
                        {add.ledger, add.entry, add.master_key, add.recovery, add.deferred_sync},
                        add.head.view(), add.payload);
}

}  // namespace stele::wire::internal
