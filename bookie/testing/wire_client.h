// WireClient: speaks the wire protocol to a bookie, one request or one hand-made frame at a time.
// For tests: it knows nothing of ledgers and quorums.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "common/wire/bookie_messages.h"
#include "common/wire/digest.h"

namespace stele::bookie {

class WireClient : private ConnectionHandler {
 public:
  WireClient(Env env, wire::ProtocolVersion version);

  Task<absl::Status> Connect(Endpoint to);
  // Asks for TLS and waits for the end of the handshake; the status says how the connection ended,
  // or kUnauthorized when the bookie declines.
  Task<absl::Status> StartTls(std::shared_ptr<const TlsCredentials> credentials);

  // Sends the request; v3 requests get a new txn id. Gives that id.
  uint64_t Send(wire::Request request);
  // Sends a frame as it is.
  void SendFrame(Buffer frame);
  // The next reply in order of arrival, or the error with which the connection ended.
  Task<absl::StatusOr<wire::Reply>> Receive();
  // Send and Receive.
  Task<absl::StatusOr<wire::Reply>> Call(wire::Request request);

  bool is_closed() const { return closed_.has_value(); }
  // Waits for the other side to close.
  Task<void> UntilClosed();
  void Close();
  Connection* connection() { return connection_.get(); }

 private:
  void OnFrames(std::span<Buffer> frames) override;
  void OnTlsStarted(const TlsPeer& peer) override;
  void OnPeerFinished() override;
  void OnClosed(absl::Status why) override;

  Env env_;
  wire::ProtocolVersion version_;
  std::unique_ptr<Connection> connection_;
  std::deque<Buffer> replies_;
  bool is_in_tls_ = false;
  std::optional<absl::Status> closed_;
  uint64_t next_txn_ = 1;
  Notification changed_;
};

// Requests for one ledger with one password, as a client would make them.
struct LedgerRequests {
  LedgerId ledger;
  std::string password = "secret";
  DigestType digest_type = DigestType::kCrc32c;

  wire::Request Add(int64_t entry, std::string_view payload, int64_t lac = -1) const;
  wire::Request RecoveryAdd(int64_t entry, std::string_view payload, int64_t lac = -1) const;
  wire::Request Read(int64_t entry) const;
  wire::Request FencingRead(int64_t entry) const;
  wire::Request LongPoll(int64_t previous_lac, int64_t timeout_ms) const;
  wire::Request WriteLac(int64_t lac) const;
  wire::Request ReadLac() const;
  wire::Request Force() const;
  wire::Request ListEntries() const;
  wire::Request BatchRead(int64_t first, int32_t count, int64_t size_max_bytes) const;
  // The payload of an entry packet, verified; the error's text otherwise.
  std::string PayloadOf(const Buffer& packet, int64_t entry) const;
};

}  // namespace stele::bookie
