// The field numbers of version 3 of the protocol (proto/bookkeeper.proto), as far as codecs need
// them, and the header that requests and replies share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/wire/bookie_messages.h"
#include "common/wire/protobuf_wire.h"

namespace stele::wire::v3 {

inline constexpr int32_t kVersion = 3;

// The envelope: Request and Response.
inline constexpr uint32_t kHeader = 1;
inline constexpr uint32_t kStatus = 2;

// The envelope's field for the message of an operation, the same in both directions; 0: none.
constexpr uint32_t MessageNumber(Operation operation) {
  switch (operation) {
    case Operation::kRead: return 100;
    case Operation::kAdd: return 101;
    case Operation::kAuth: return 102;
    case Operation::kWriteLac: return 103;
    case Operation::kReadLac: return 104;
    case Operation::kGetBookieInfo: return 105;
    case Operation::kStartTls: return 106;
    case Operation::kForceLedger: return 107;
    case Operation::kListEntries: return 108;
    case Operation::kRangeRead:
    case Operation::kRangeAdd:
    case Operation::kBatchRead: return 0;
  }
  return 0;
}

struct AddRequestField {
  enum : uint32_t { kLedger = 1, kEntry = 2, kKey = 3, kBody = 4, kWriteFlags = 5, kFlag = 100 };
};
struct ReadRequestField {
  enum : uint32_t {
    kLedger = 1,
    kEntry = 2,
    kKey = 3,
    kPreviousLac = 4,
    kTimeout = 5,
    kFlag = 100,
  };
};
struct WriteLacRequestField {
  enum : uint32_t { kLedger = 1, kLac = 2, kKey = 3, kBody = 4 };
};
inline constexpr uint32_t kLedgerOfRequest = 1;  // READ_LAC, FORCE_LEDGER, GET_LIST
inline constexpr uint32_t kRequested = 1;        // GET_BOOKIE_INFO

// AuthMessage, a request and a reply.
inline constexpr uint32_t kPluginName = 1;
inline constexpr uint32_t kPayload = 2;

// Every other reply begins so; GET_BOOKIE_INFO has no ledger.
inline constexpr uint32_t kStatusOfReply = 1;
inline constexpr uint32_t kLedgerOfReply = 2;
struct AddReplyField {
  enum : uint32_t { kEntry = 3 };
};
struct ReadReplyField {
  enum : uint32_t { kEntry = 3, kBody = 4, kMaxLac = 5, kLacUpdateTimestamp = 6 };
};
struct ReadLacReplyField {
  enum : uint32_t { kLacBody = 3, kLastEntryBody = 4 };
};
struct GetBookieInfoReplyField {
  enum : uint32_t { kTotalDiskCapacity = 2, kFreeDiskSpace = 3 };
};
struct ListEntriesReplyField {
  enum : uint32_t { kAvailability = 3 };
};

enum ReadFlag : int32_t { kFenceLedger = 1, kEntryPiggyback = 2 };
enum AddFlag : int32_t { kRecoveryAdd = 1 };

// BKPacketHeader as it is found on the wire.
struct HeaderFields {
  std::optional<int32_t> version;
  std::optional<int32_t> operation;
  std::optional<uint64_t> txn_id;
  uint32_t priority = 0;

  bool IsComplete() const {
    return version.has_value() && operation.has_value() && txn_id.has_value();
  }

  // Takes over the fields of one header message. False when it is malformed.
  bool Merge(std::string_view message) {
    ProtoReader reader(message);
    while (reader.Next()) {
      if (reader.IsVarint(1)) version = reader.int32();
      if (reader.IsVarint(2)) operation = reader.int32();
      if (reader.IsVarint(3)) txn_id = reader.varint();
      if (reader.IsVarint(4)) priority = static_cast<uint32_t>(reader.varint());
    }
    return !reader.malformed();
  }
};

inline void AppendHeader(std::string& frame, int32_t version, Operation operation, uint64_t txn_id,
                         uint32_t priority) {
  std::string header;
  ProtoWriter writer(header);
  writer.Int64(1, version);
  writer.Int64(2, static_cast<int>(operation));
  writer.Varint(3, txn_id);
  if (priority > 0) writer.Varint(4, priority);
  ProtoWriter(frame).Bytes(kHeader, header);
}

}  // namespace stele::wire::v3
