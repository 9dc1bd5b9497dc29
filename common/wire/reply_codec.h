// Replies: the frames that a bookie sends, and what a client makes of them.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/wire/bookie_messages.h"

namespace stele::wire {

// The plugin name of a bookie or client without authentication. In a reply it means "you are in".
inline constexpr std::string_view kAuthDisabledPlugin = "AuthDisabledPlugin";

// The most frequent reply, without a variant in between.
OutgoingFrame EncodeAddReply(const RequestHeader& header, ReplyCode code, LedgerId ledger,
                             EntryId entry);

// Encodes the reply to a request in the request's version. `body` is of the request's operation,
// also when `code` is an error (its ids are sent then, its Buffers are not); std::monostate gives a
// v3 reply of header and status only. Fields that v2 does not have are left out there, and
// kUnknownLedgerState is sent as kIoError, since no Java client survives its v2 number.
OutgoingFrame EncodeReply(const RequestHeader& header, ReplyCode code, const ReplyBody& body);

// The reply to a request that failed, with the request's ids. Nothing where the protocol has no
// such reply (AUTH in v2): close the connection instead.
std::optional<OutgoingFrame> EncodeError(const Request& request, ReplyCode code);

// The refusal of a request on a connection that has not authenticated. Nothing: close the
// connection.
std::optional<OutgoingFrame> EncodeUnauthenticated(const Request& request);

// v3: the header copied unchanged, and a status. For AUTH that failed, and for the START_TLS
// failure that is sent late.
OutgoingFrame EncodeStatusOnly(const RequestHeader& header, ReplyCode code);

// Decodes one frame on a connection of this version. Tolerant where known bookies are odd: a
// missing body in a refusal, an unknown status (kIoError then), the status twice. A reply of a v2
// connection has no txn_id.
//   errors   kProtocolVersion   a v3 frame on a v2 connection (the late reply to START_TLS): ignore
//   it
//            kCorruptData       not a reply: close the connection
absl::StatusOr<Reply> DecodeReply(ProtocolVersion version, const Buffer& frame);

}  // namespace stele::wire
