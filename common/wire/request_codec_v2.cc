#include <cstring>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/codec_internal.h"
#include "common/wire/v2_layout.h"

namespace stele::wire::internal {
namespace {

constexpr uint16_t kAddFlags = v2::kRecoveryAdd | v2::kHighPriority;

// An id of a refused request that the frame is too short to hold becomes -1, which no peer waits
// for.
int64_t IdAt(const Buffer& frame, size_t offset) {
  return frame.size() >= offset + 8 ? LoadBigEndian<int64_t>(frame.data() + offset) : -1;
}

MasterKey KeyAt(const Buffer& frame, size_t offset) {
  MasterKey key;
  std::memcpy(key.data(), frame.data() + offset, key.size());
  return key;
}

// The key of a fencing read, behind its `size` bytes of fields.
Verdict ReadFenceKey(const Buffer& frame, const v2::Header& header, size_t size,
                     std::optional<MasterKey>& key) {
  if ((header.flags & v2::kFence) == 0) return {};
  // Older versions have no key at all, and nobody fences without one.
  if (header.version < 2) return {ReplyCode::kUnauthorized, "fence_without_key"};
  if (frame.size() < size + kMasterKeySize) return BadRequest("bad_key_size");
  key = KeyAt(frame, size);
  return {};
}

DecodedRequest DecodeAdd(const Buffer& frame, const RequestHeader& header, const v2::Header& packet,
                         Verdict verdict) {
  AddRequest add;
  add.ledger = LedgerId(IdAt(frame, v2::kAddBodyOffset));
  add.entry = EntryId(IdAt(frame, v2::kAddBodyOffset + 8));
  add.recovery = (packet.flags & v2::kRecoveryAdd) != 0;
  if (verdict.ok()) {
    if (frame.size() < v2::kAddBodyOffset) {
      verdict = BadRequest("entry_too_short");
    } else if ((packet.flags & ~kAddFlags) != 0) {
      verdict = BadRequest("unknown_add_flags");
    } else {
      add.master_key = KeyAt(frame, v2::kHeaderSize);
      add.body = frame.Slice(v2::kAddBodyOffset);
      verdict = CheckAdd(add);
    }
  }
  return Judge(header, std::move(add), verdict);
}

DecodedRequest DecodeRead(const Buffer& frame, const RequestHeader& header,
                          const v2::Header& packet, Verdict verdict) {
  if (frame.size() < v2::kReadSize) return UnreadableFrame{"short_v2_frame"};
  ReadRequest read;
  read.ledger = LedgerId(IdAt(frame, 4));
  read.entry = EntryId(IdAt(frame, 12));
  if (verdict.ok()) verdict = CheckRead(read);
  if (verdict.ok()) verdict = ReadFenceKey(frame, packet, v2::kReadSize, read.fence_key);
  return Judge(header, std::move(read), verdict);
}

DecodedRequest DecodeBatchRead(const Buffer& frame, const RequestHeader& header,
                               const v2::Header& packet, Verdict verdict) {
  if (frame.size() < v2::kBatchReadSize) return UnreadableFrame{"short_v2_frame"};
  BatchReadRequest read;
  read.ledger = LedgerId(IdAt(frame, 4));
  read.first_entry = EntryId(IdAt(frame, 12));
  read.request_id = IdAt(frame, 20);
  read.count_max = LoadBigEndian<int32_t>(frame.data() + 28);
  read.size_max_bytes = LoadBigEndian<int64_t>(frame.data() + 32);
  if (verdict.ok()) verdict = CheckLedger(read.ledger);
  if (verdict.ok() && read.first_entry < kNoEntry) verdict = BadRequest("negative_entry_id");
  if (verdict.ok()) verdict = ReadFenceKey(frame, packet, v2::kBatchReadSize, read.fence_key);
  return Judge(header, std::move(read), verdict);
}

DecodedRequest DecodeAuth(const Buffer& frame, const RequestHeader& header) {
  const auto message = DecodeAuthMessage(frame.view().substr(v2::kHeaderSize));
  if (!message.has_value()) return UnreadableFrame{"malformed_auth"};
  return Request{header, AuthRequest{.plugin_name = std::string(message->plugin_name),
                                     .payload = std::string(message->payload)}};
}

uint16_t FlagsOf(const RequestHeader& header, bool fence, bool recovery) {
  return static_cast<uint16_t>((fence ? v2::kFence : 0) | (recovery ? v2::kRecoveryAdd : 0) |
                               (header.high_priority ? v2::kHighPriority : 0));
}

std::string StartFrame(const RequestHeader& header, v2::Opcode opcode, uint16_t flags,
                       size_t size) {
  std::string frame(size, '\0');
  v2::StoreHeader(frame.data(), {.version = header.v2_version, .opcode = opcode, .flags = flags});
  return frame;
}

void AppendKey(std::string& frame, const std::optional<MasterKey>& key) {
  if (key.has_value()) frame.append(key->data(), key->size());
}

absl::Status NotInV2(std::string_view what) {
  return MakeError(ErrorCode::kUnsupported, StrCat("protocol v2 has no ", what));
}

// One overload per kind of request.
struct Encoder {
  const RequestHeader& header;

  absl::StatusOr<OutgoingFrame> operator()(const AddRequest& add) const {
    if (add.deferred_sync) return NotInV2("deferred sync");
    std::string head =
        StartFrame(header, v2::kAdd, FlagsOf(header, false, add.recovery), v2::kHeaderSize);
    head.append(add.master_key.data(), add.master_key.size());
    return OutgoingFrame{std::move(head), add.body};
  }

  absl::StatusOr<OutgoingFrame> operator()(const ReadRequest& read) const {
    if (read.previous_lac.has_value()) return NotInV2("long poll");
    std::string head = StartFrame(
        header, v2::kRead, FlagsOf(header, read.fence_key.has_value(), false), v2::kReadSize);
    StoreBigEndian(head.data() + 4, read.ledger.value());
    StoreBigEndian(head.data() + 12, read.entry.value());
    AppendKey(head, read.fence_key);
    return OutgoingFrame{std::move(head), {}};
  }

  absl::StatusOr<OutgoingFrame> operator()(const BatchReadRequest& read) const {
    std::string head =
        StartFrame(header, v2::kBatchRead, FlagsOf(header, read.fence_key.has_value(), false),
                   v2::kBatchReadSize);
    StoreBigEndian(head.data() + 4, read.ledger.value());
    StoreBigEndian(head.data() + 12, read.first_entry.value());
    StoreBigEndian(head.data() + 20, read.request_id);
    StoreBigEndian(head.data() + 28, read.count_max);
    StoreBigEndian(head.data() + 32, read.size_max_bytes);
    AppendKey(head, read.fence_key);
    return OutgoingFrame{std::move(head), {}};
  }

  absl::StatusOr<OutgoingFrame> operator()(const AuthRequest& auth) const {
    std::string head = StartFrame(header, v2::kAuth, 0, v2::kHeaderSize);
    head += EncodeAuthMessage(auth.plugin_name, auth.payload);
    return OutgoingFrame{std::move(head), {}};
  }

  absl::StatusOr<OutgoingFrame> operator()(const WriteLacRequest&) const {
    return NotInV2("WRITE_LAC");
  }
  absl::StatusOr<OutgoingFrame> operator()(const ReadLacRequest&) const {
    return NotInV2("READ_LAC");
  }
  absl::StatusOr<OutgoingFrame> operator()(const ForceLedgerRequest&) const {
    return NotInV2("FORCE_LEDGER");
  }
  absl::StatusOr<OutgoingFrame> operator()(const GetBookieInfoRequest&) const {
    return NotInV2("GET_BOOKIE_INFO");
  }
  absl::StatusOr<OutgoingFrame> operator()(const ListEntriesRequest&) const {
    return NotInV2("GET_LIST_OF_ENTRIES_OF_LEDGER");
  }
  absl::StatusOr<OutgoingFrame> operator()(const StartTlsRequest&) const {
    return NotInV2("START_TLS");
  }
};

}  // namespace

DecodedRequest DecodeV2Request(const Buffer& frame) {
  if (frame.size() < v2::kHeaderSize) return UnreadableFrame{"short_v2_frame"};
  const v2::Header packet = v2::LoadHeader(frame.data());
  RequestHeader header;
  header.version = ProtocolVersion::kV2;
  header.v2_version = packet.version;
  header.high_priority = (packet.flags & v2::kHighPriority) != 0;
  Verdict verdict;
  if (packet.version > v2::kVersionMax) verdict = {ReplyCode::kBadVersion, "unknown_v2_version"};
  switch (packet.opcode) {
    case v2::kAdd:
      header.operation = Operation::kAdd;
      return DecodeAdd(frame, header, packet, verdict);
    case v2::kRead:
      header.operation = Operation::kRead;
      return DecodeRead(frame, header, packet, verdict);
    case v2::kBatchRead:
      header.operation = Operation::kBatchRead;
      return DecodeBatchRead(frame, header, packet, verdict);
    case v2::kAuth:
      // A reply to AUTH cannot carry a code.
      if (!verdict.ok()) return UnreadableFrame{verdict.reason};
      header.operation = Operation::kAuth;
      return DecodeAuth(frame, header);
    default: return UnreadableFrame{"unknown_v2_opcode"};
  }
}

absl::StatusOr<OutgoingFrame> EncodeV2Request(const Request& request) {
  return std::visit(Encoder{request.header}, request.body);
}

OutgoingFrame EncodeV2Add(const RequestHeader& header, const EntryToAdd& add) {
  const size_t size = v2::kAddBodyOffset + add.head.size();
  std::string head = StartFrame(header, v2::kAdd, FlagsOf(header, false, add.recovery), size);
  std::memcpy(head.data() + v2::kHeaderSize, add.master_key.data(), kMasterKeySize);
  std::memcpy(head.data() + v2::kAddBodyOffset, add.head.view().data(), add.head.size());
  return {std::move(head), add.payload};
}

}  // namespace stele::wire::internal
