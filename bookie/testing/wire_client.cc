#include "bookie/testing/wire_client.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/entry_packet.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::bookie {

WireClient::WireClient(Env env, wire::ProtocolVersion version)
    : env_(env), version_(version), changed_(env.executor) {}

Task<absl::Status> WireClient::Connect(Endpoint to) {
  STELE_CO_TRY(connection_, co_await env_.transport->Connect(std::move(to), TransportLimits{},
                                                             absl::Seconds(10)));
  connection_->Start(this);
  co_return absl::OkStatus();
}

Task<absl::Status> WireClient::StartTls(std::shared_ptr<const TlsCredentials> credentials) {
  const wire::RequestHeader header{.version = wire::ProtocolVersion::kV3,
                                   .operation = wire::Operation::kStartTls};
  const absl::StatusOr<wire::OutgoingFrame> frame =
      wire::EncodeRequest({header, wire::StartTlsRequest{}});
  STELE_CHECK(frame.ok());
  connection_->Send(frame->head, frame->body);
  const wire::ProtocolVersion after = std::exchange(version_, wire::ProtocolVersion::kV3);
  const absl::StatusOr<wire::Reply> reply = co_await Receive();
  version_ = after;
  if (!reply.ok()) co_return reply.status();
  if (reply->code != wire::ReplyCode::kOk) {
    co_return MakeError(ErrorCode::kUnauthorized, wire::NameOf(reply->code));
  }
  connection_->StartTls({.side = TlsUpgrade::Side::kClient, .credentials = std::move(credentials)});
  while (!is_in_tls_ && !closed_.has_value()) co_await changed_.Wait();
  co_return is_in_tls_ ? absl::OkStatus() : *closed_;
}

void WireClient::OnTlsStarted(const TlsPeer&) {
  is_in_tls_ = true;
  changed_.NotifyAll();
}

uint64_t WireClient::Send(wire::Request request) {
  request.header.version = version_;
  request.header.txn_id = next_txn_++;
  const absl::StatusOr<wire::OutgoingFrame> frame = wire::EncodeRequest(request);
  STELE_CHECK(frame.ok());
  connection_->Send(frame->head, frame->body);
  return request.header.txn_id;
}

void WireClient::SendFrame(Buffer frame) { connection_->Send({}, std::move(frame)); }

Task<absl::StatusOr<wire::Reply>> WireClient::Receive() {
  while (replies_.empty()) {
    if (closed_.has_value()) {
      co_return closed_->ok() ? MakeError(ErrorCode::kConnectionLost, "closed by the bookie")
                              : *closed_;
    }
    co_await changed_.Wait();
  }
  const Buffer frame = std::move(replies_.front());
  replies_.pop_front();
  co_return wire::DecodeReply(version_, frame);
}

Task<absl::StatusOr<wire::Reply>> WireClient::Call(wire::Request request) {
  Send(std::move(request));
  co_return co_await Receive();
}

Task<void> WireClient::UntilClosed() {
  while (!closed_.has_value()) co_await changed_.Wait();
}

void WireClient::Close() { connection_->Close(); }

void WireClient::OnFrames(std::span<Buffer> frames) {
  for (Buffer& frame : frames) replies_.push_back(std::move(frame));
  changed_.NotifyAll();
}

void WireClient::OnPeerFinished() { connection_->CloseAfterSending(); }

void WireClient::OnClosed(absl::Status why) {
  closed_ = std::move(why);
  changed_.NotifyAll();
}

wire::Request LedgerRequests::Add(int64_t entry, std::string_view payload, int64_t lac) const {
  const wire::Digester digester(digest_type, password);
  const wire::EntryHeader header{ledger, EntryId(entry), EntryId(lac),
                                 static_cast<int64_t>(payload.size())};
  return {{.operation = wire::Operation::kAdd},
          wire::AddRequest{.ledger = ledger,
                           .entry = EntryId(entry),
                           .master_key = wire::MakeMasterKey(password),
                           .body = wire::MakeEntryPacket(header, payload, digester)}};
}

wire::Request LedgerRequests::RecoveryAdd(int64_t entry, std::string_view payload,
                                          int64_t lac) const {
  wire::Request request = Add(entry, payload, lac);
  request.header.high_priority = true;
  std::get<wire::AddRequest>(request.body).recovery = true;
  return request;
}

wire::Request LedgerRequests::Read(int64_t entry) const {
  return {{.operation = wire::Operation::kRead}, wire::ReadRequest{ledger, EntryId(entry)}};
}

wire::Request LedgerRequests::FencingRead(int64_t entry) const {
  return {{.operation = wire::Operation::kRead},
          wire::ReadRequest{ledger, EntryId(entry), wire::MakeMasterKey(password)}};
}

wire::Request LedgerRequests::LongPoll(int64_t previous_lac, int64_t timeout_ms) const {
  return {{.operation = wire::Operation::kRead},
          wire::ReadRequest{.ledger = ledger,
                            .entry = kNoEntry,
                            .previous_lac = EntryId(previous_lac),
                            .timeout_ms = timeout_ms,
                            .piggyback_entry = true}};
}

wire::Request LedgerRequests::WriteLac(int64_t lac) const {
  const wire::Digester digester(digest_type, password);
  return {{.operation = wire::Operation::kWriteLac},
          wire::WriteLacRequest{ledger, EntryId(lac), wire::MakeMasterKey(password),
                                wire::MakeExplicitLacPacket(ledger, EntryId(lac), digester)}};
}

wire::Request LedgerRequests::ReadLac() const {
  return {{.operation = wire::Operation::kReadLac}, wire::ReadLacRequest{ledger}};
}

wire::Request LedgerRequests::Force() const {
  return {{.operation = wire::Operation::kForceLedger}, wire::ForceLedgerRequest{ledger}};
}

wire::Request LedgerRequests::ListEntries() const {
  return {{.operation = wire::Operation::kListEntries}, wire::ListEntriesRequest{ledger}};
}

wire::Request LedgerRequests::BatchRead(int64_t first, int32_t count,
                                        int64_t size_max_bytes) const {
  return {{.operation = wire::Operation::kBatchRead},
          wire::BatchReadRequest{.ledger = ledger,
                                 .first_entry = EntryId(first),
                                 .request_id = 77,
                                 .count_max = count,
                                 .size_max_bytes = size_max_bytes}};
}

std::string LedgerRequests::PayloadOf(const Buffer& packet, int64_t entry) const {
  const wire::Digester digester(digest_type, password);
  const auto verified = wire::VerifyEntry(packet, digester, ledger, EntryId(entry));
  return verified.ok() ? verified->payload.ToString() : verified.status().ToString();
}

}  // namespace stele::bookie
