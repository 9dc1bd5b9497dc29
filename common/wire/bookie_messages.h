// The requests and replies of the BookKeeper protocol as plain structs, for both wire versions.
// Encoders and decoders are in request_codec.h and reply_codec.h; this header is all that the code
// above them needs. Source: docs/PROTOCOL.md; field meanings follow Apache BookKeeper 4.17.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace stele::wire {

// v2: fixed binary frames; the hot path. v3: protobuf; everything.
enum class ProtocolVersion : uint8_t { kV2, kV3 };

// SHA-1 over "ledger" and the password: the bearer token for writing and fencing (digest.h makes
// it).
inline constexpr size_t kMasterKeySize = 20;
using MasterKey = std::array<char, kMasterKeySize>;

// What a bookie answers. The numbers are the v3 status codes; v2 has its own, which the codecs map.
enum class ReplyCode : int {
  kOk = 0,
  kNoSuchLedger = 402,
  kNoSuchEntry = 403,
  kBadRequest = 404,
  kIoError = 501,
  kUnauthorized = 502,
  kBadVersion = 503,
  kFenced = 504,
  kReadOnly = 505,
  kTooManyRequests = 506,
  kUnknownLedgerState = 507,
};
std::string_view NameOf(ReplyCode code);

// The numbers of the v3 protocol.
enum class Operation : int {
  kRead = 1,
  kAdd = 2,
  kRangeRead = 3,  // never implemented by anybody
  kRangeAdd = 4,   // never implemented by anybody
  kAuth = 5,
  kWriteLac = 6,
  kReadLac = 7,
  kGetBookieInfo = 8,
  kStartTls = 9,
  kForceLedger = 10,
  kListEntries = 11,
  kBatchRead = 12,  // v2 only
};

// What a reply needs to know of its request.
struct RequestHeader {
  ProtocolVersion version = ProtocolVersion::kV3;
  uint8_t v2_version = 2;  // v2: the version byte, echoed in the reply
  // v3: echoed in the reply. v2 has none: it matches a reply by operation, ledger and entry, or by
  // the request id of a batch read.
  uint64_t txn_id = 0;
  // In a refused v3 request this may be a number that the enum does not name.
  Operation operation = Operation::kRead;
  bool high_priority = false;
  bool is_long_poll = false;  // set by the server: such a request may stay open for long
  bool is_fencing = false;    // set by the server: a read that fences first
  MonotonicTime arrived;      // set by the server, for its measurements
  // v3: the header's own version and priority, for the few replies that copy the header. A served
  // ledger request always has version 3.
  int32_t v3_version = 3;
  uint32_t v3_priority = 0;
};

struct AddRequest {
  LedgerId ledger;
  EntryId entry;
  MasterKey master_key{};
  bool recovery = false;       // accepted although the ledger is fenced
  bool deferred_sync = false;  // v3 only: acknowledge before it is durable
  // The entry packet: what is stored and given back (entry_packet.h). A decoded request has at
  // least kEntryIdsSize bytes here, and its ids are `ledger` and `entry`.
  Buffer body;
};

struct ReadRequest {
  LedgerId ledger;
  EntryId entry;                       // kNoEntry: the entry with the highest id
  std::optional<MasterKey> fence_key;  // present: fence the ledger first
  // Long poll (v3 only, never together with fence_key): wait until the LAC passes previous_lac,
  // which is kNoEntry or an entry.
  std::optional<EntryId> previous_lac;
  std::optional<int64_t> timeout_ms;  // >= 0 and without an upper bound; absent: do not wait
  bool piggyback_entry = false;       // answer with the entry after previous_lac; entry is kNoEntry
};

struct BatchReadRequest {  // v2 only
  LedgerId ledger;
  EntryId first_entry;
  int64_t request_id = 0;
  int32_t count_max = 0;  // <= 0: no limit
  int64_t size_max_bytes = 0;
  std::optional<MasterKey> fence_key;
};

struct WriteLacRequest {
  LedgerId ledger;
  EntryId lac;
  MasterKey master_key{};
  Buffer body;  // the explicit-LAC packet
};

struct ReadLacRequest {
  LedgerId ledger;
};

struct ForceLedgerRequest {
  LedgerId ledger;
};

struct GetBookieInfoRequest {
  bool total_disk_capacity = false;
  bool free_disk_space = false;
};

struct ListEntriesRequest {
  LedgerId ledger;
};

struct AuthRequest {
  std::string plugin_name;
  std::string payload;
};

struct StartTlsRequest {};

using RequestBody = std::variant<AddRequest, ReadRequest, BatchReadRequest, WriteLacRequest,
                                 ReadLacRequest, ForceLedgerRequest, GetBookieInfoRequest,
                                 ListEntriesRequest, AuthRequest, StartTlsRequest>;

struct Request {
  RequestHeader header;
  RequestBody body;
};

// Replies, as the client sees them.
struct AddReply {
  LedgerId ledger;
  EntryId entry;
};
struct ReadReply {
  LedgerId ledger;
  EntryId
      entry;    // as requested; the real id only in a long poll with piggyback, kNoEntry: no entry
  Buffer body;  // the entry packet; empty: none
  std::optional<EntryId> max_lac;  // v3, not for fencing reads
  std::optional<int64_t> lac_update_timestamp_ms;
};
struct BatchReadReply {
  LedgerId ledger;
  EntryId first_entry;
  int64_t request_id = 0;
  std::vector<Buffer> bodies;  // of first_entry, first_entry + 1, ...
};
struct WriteLacReply {
  LedgerId ledger;
};
struct ReadLacReply {
  LedgerId ledger;
  std::optional<Buffer> lac_body;
  std::optional<Buffer> last_entry_body;
};
struct ForceLedgerReply {
  LedgerId ledger;
};
struct GetBookieInfoReply {
  std::optional<int64_t> total_disk_capacity_bytes;
  std::optional<int64_t> free_disk_space_bytes;
};
struct ListEntriesReply {
  LedgerId ledger;
  Buffer availability;  // availability.h
};
struct AuthReply {
  std::string plugin_name;
  std::string payload;
};
struct StartTlsReply {};

// std::monostate: nothing but header and status. A decoded reply with code kOk always has the body
// of its operation.
using ReplyBody =
    std::variant<std::monostate, AddReply, ReadReply, BatchReadReply, WriteLacReply, ReadLacReply,
                 ForceLedgerReply, GetBookieInfoReply, ListEntriesReply, AuthReply, StartTlsReply>;

struct Reply {
  ProtocolVersion version = ProtocolVersion::kV3;
  Operation operation = Operation::kRead;
  uint64_t txn_id = 0;  // v3 only
  ReplyCode code = ReplyCode::kOk;
  ReplyBody body;
  // The status number on the wire (v2 and v3 have different ones), for logs: a number that we do
  // not know becomes kIoError in `code`, because an answer that is not understood proves nothing.
  int32_t wire_code = 0;
};

// A frame to send: `head` and then `body`, without the length prefix (Transport adds it).
struct OutgoingFrame {
  std::string head;
  Buffer body;
};

}  // namespace stele::wire
