#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/codec_internal.h"
#include "common/wire/v2_layout.h"

namespace stele::wire::internal {
namespace {

constexpr size_t kBatchSizeFieldSize = 4;  // before each packet of a BATCH_READ reply

int32_t NumberOf(ReplyCode code) {
  switch (code) {
    case ReplyCode::kOk: return 0;
    case ReplyCode::kNoSuchLedger: return 1;
    case ReplyCode::kNoSuchEntry: return 2;
    case ReplyCode::kBadRequest: return 100;
    case ReplyCode::kIoError: return 101;
    case ReplyCode::kUnauthorized: return 102;
    case ReplyCode::kBadVersion: return 103;
    case ReplyCode::kFenced: return 104;
    case ReplyCode::kReadOnly: return 105;
    case ReplyCode::kTooManyRequests: return 106;
    // 107 exists, but Java's v2 client drops its connection on it. EIO has the same effect on a
    // client, without that: it asks another bookie and counts this one for nothing.
    case ReplyCode::kUnknownLedgerState: return 101;
  }
  return 101;
}

ReplyCode CodeOfNumber(int32_t number) {
  switch (number) {
    case 0: return ReplyCode::kOk;
    case 1: return ReplyCode::kNoSuchLedger;
    case 2: return ReplyCode::kNoSuchEntry;
    case 100: return ReplyCode::kBadRequest;
    case 101: return ReplyCode::kIoError;
    case 102: return ReplyCode::kUnauthorized;
    case 103: return ReplyCode::kBadVersion;
    case 104: return ReplyCode::kFenced;
    case 105: return ReplyCode::kReadOnly;
    case 106: return ReplyCode::kTooManyRequests;
    case 107: return ReplyCode::kUnknownLedgerState;
    default: return ReplyCode::kIoError;
  }
}

// The 24 bytes that all replies but AUTH begin with, followed by `extra` zero bytes.
std::string StartReply(const RequestHeader& header, v2::Opcode opcode, ReplyCode code,
                       LedgerId ledger, EntryId entry, size_t extra = 0) {
  std::string head(v2::kReplySize + extra, '\0');
  v2::StoreHeader(head.data(), {.version = header.v2_version, .opcode = opcode, .flags = 0});
  StoreBigEndian(head.data() + 4, NumberOf(code));
  StoreBigEndian(head.data() + 8, ledger.value());
  StoreBigEndian(head.data() + 16, entry.value());
  return head;
}

// Sizes and packets. A frame to send has one Buffer behind its head, so several packets are copied
// into one; a single one is sent as it is, with its size in the head.
OutgoingFrame EncodeBatch(std::string head, const std::vector<Buffer>& bodies) {
  if (bodies.size() == 1) {
    AppendBigEndian(head, static_cast<int32_t>(bodies[0].size()));
    return {std::move(head), bodies[0]};
  }
  size_t size = 0;
  for (const Buffer& body : bodies) size += kBatchSizeFieldSize + body.size();
  if (size == 0) return {std::move(head), {}};
  MutableBuffer packed(size);
  char* to = packed.data();
  for (const Buffer& body : bodies) {
    StoreBigEndian(to, static_cast<int32_t>(body.size()));
    to += kBatchSizeFieldSize;
    if (!body.empty()) std::memcpy(to, body.data(), body.size());
    to += body.size();
  }
  return {std::move(head), std::move(packed).Freeze()};
}

struct Encoder {
  const RequestHeader& header;
  ReplyCode code;

  OutgoingFrame operator()(const AddReply& add) const {
    return EncodeV2AddReply(header, code, add.ledger, add.entry);
  }
  OutgoingFrame operator()(const ReadReply& read) const {
    return {StartReply(header, v2::kRead, code, read.ledger, read.entry),
            code == ReplyCode::kOk ? read.body : Buffer()};
  }
  OutgoingFrame operator()(const BatchReadReply& read) const {
    std::string head = StartReply(header, v2::kBatchRead, code, read.ledger, read.first_entry,
                                  v2::kBatchReadReplySize - v2::kReplySize);
    StoreBigEndian(head.data() + v2::kReplySize, read.request_id);
    if (code != ReplyCode::kOk) return {std::move(head), {}};
    return EncodeBatch(std::move(head), read.bodies);
  }
  OutgoingFrame operator()(const AuthReply& auth) const {
    // There is no field for another code.
    STELE_CHECK(code == ReplyCode::kOk);
    std::string head(v2::kHeaderSize, '\0');
    // A client that asks with version 1 gets this one answer with version 2 from Java, too.
    const uint8_t version =
        auth.plugin_name == kAuthDisabledPlugin ? v2::kVersionMax : header.v2_version;
    v2::StoreHeader(head.data(), {.version = version, .opcode = v2::kAuth, .flags = 0});
    head += EncodeAuthMessage(auth.plugin_name, auth.payload);
    return {std::move(head), {}};
  }
  // v2 has no such requests, so nobody can wait for these replies.
  template <typename Other>
  OutgoingFrame operator()(const Other&) const {
    STELE_CHECK(!"a reply that v2 does not have");
    return {};
  }
};

absl::Status Corrupt(std::string_view detail) {
  return MakeError(ErrorCode::kCorruptData, StrCat("v2 reply: ", detail));
}

absl::Status DecodeBatch(const Buffer& frame, BatchReadReply& reply) {
  size_t at = v2::kBatchReadReplySize;
  while (at < frame.size()) {
    if (frame.size() - at < kBatchSizeFieldSize) return Corrupt("a batch ends inside a size");
    const auto size = LoadBigEndian<uint32_t>(frame.data() + at);
    at += kBatchSizeFieldSize;
    if (size > frame.size() - at) return Corrupt("an entry of a batch is longer than the frame");
    reply.bodies.push_back(frame.Slice(at, size));
    at += size;
  }
  return absl::OkStatus();
}

absl::StatusOr<Reply> DecodeAuth(const Buffer& frame) {
  const auto message = DecodeAuthMessage(frame.view().substr(v2::kHeaderSize));
  if (!message.has_value()) return Corrupt("malformed AUTH message");
  Reply reply;
  reply.version = ProtocolVersion::kV2;
  reply.operation = Operation::kAuth;
  reply.body = AuthReply{.plugin_name = std::string(message->plugin_name),
                         .payload = std::string(message->payload)};
  return reply;
}

}  // namespace

OutgoingFrame EncodeV2AddReply(const RequestHeader& header, ReplyCode code, LedgerId ledger,
                               EntryId entry) {
  return {StartReply(header, v2::kAdd, code, ledger, entry), {}};
}

OutgoingFrame EncodeV2Reply(const RequestHeader& header, ReplyCode code, const ReplyBody& body) {
  return std::visit(Encoder{header, code}, body);
}

absl::StatusOr<Reply> DecodeV2Reply(const Buffer& frame) {
  if (frame.size() < v2::kHeaderSize) return Corrupt("too short");
  const v2::Header packet = v2::LoadHeader(frame.data());
  if (packet.version > v2::kVersionMax) return Corrupt("unknown version");
  if (packet.opcode == v2::kAuth) return DecodeAuth(frame);
  if (packet.opcode != v2::kAdd && packet.opcode != v2::kRead && packet.opcode != v2::kBatchRead) {
    return Corrupt("unknown opcode");
  }
  if (frame.size() < v2::kReplySize) return Corrupt("too short");
  Reply reply;
  reply.version = ProtocolVersion::kV2;
  reply.wire_code = LoadBigEndian<int32_t>(frame.data() + 4);
  reply.code = CodeOfNumber(reply.wire_code);
  const LedgerId ledger(LoadBigEndian<int64_t>(frame.data() + 8));
  const EntryId entry(LoadBigEndian<int64_t>(frame.data() + 16));
  const bool ok = reply.code == ReplyCode::kOk;
  if (packet.opcode == v2::kAdd) {
    reply.operation = Operation::kAdd;
    reply.body = AddReply{ledger, entry};
  } else if (packet.opcode == v2::kRead) {
    reply.operation = Operation::kRead;
    auto& read = reply.body.emplace<ReadReply>();
    read.ledger = ledger;
    read.entry = entry;
    if (ok) read.body = frame.Slice(v2::kReplySize);
  } else {
    if (frame.size() < v2::kBatchReadReplySize) return Corrupt("too short");
    reply.operation = Operation::kBatchRead;
    auto& read = reply.body.emplace<BatchReadReply>();
    read.ledger = ledger;
    read.first_entry = entry;
    read.request_id = LoadBigEndian<int64_t>(frame.data() + v2::kReplySize);
    if (ok) STELE_TRY_OK(DecodeBatch(frame, read));
  }
  return reply;
}

}  // namespace stele::wire::internal
