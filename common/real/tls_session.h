// TlsSession: TLS over bytes that somebody else moves. It does no I/O: TcpLink feeds it what a
// socket brought and sends what it has to say.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/seams/transport.h"

struct ssl_st;

namespace stele::real {

class TlsSession {
 public:
  // Beyond this nothing more is encrypted until some is sent.
  static constexpr size_t kOutgoingBytesMax = 256 * 1024;

  //   errors   kInvalidArgument   these credentials cannot be used for this
  static absl::StatusOr<std::unique_ptr<TlsSession>> Create(const TlsUpgrade& upgrade);
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  // What came from the peer. The bytes stay where they are until Handshake and Read have taken
  // them: until Handshake gives false, or Read gives 0, or one of them an error.
  void Feed(std::string_view bytes) { incoming_ = bytes; }

  // Goes on as far as it can: true when the handshake is done.
  //   errors   kUnauthorized   it has failed; outgoing() tells the peer
  absl::StatusOr<bool> Handshake();
  bool is_established() const { return is_established_; }
  TlsPeer peer() const;

  // Puts what the peer said into `place`; 0 when all is taken that is here.
  //   errors   kUnauthorized   the peer refuses this end's certificate, or broke the protocol
  absl::StatusOr<size_t> Read(char* place, size_t size);
  // The peer has said that nothing follows.
  bool peer_has_finished() const { return peer_has_finished_; }

  // While outgoing() is shorter than kOutgoingBytesMax, after the handshake.
  absl::Status Write(std::string_view bytes);
  // Tells the peer that nothing follows.
  void Finish();

  std::string_view outgoing() const { return std::string_view(outgoing_).substr(sent_); }
  void PopOutgoing(size_t size);

 private:
  struct Io;  // what OpenSSL takes for its socket
  TlsSession(ssl_st* ssl, const TlsUpgrade& upgrade);
  absl::Status Failure(std::string_view doing);

  ssl_st* const ssl_;
  const std::shared_ptr<const TlsCredentials> credentials_;
  std::string_view incoming_;
  std::string outgoing_;
  size_t sent_ = 0;
  bool is_established_ = false;
  bool peer_has_finished_ = false;
  bool has_finished_ = false;
};

}  // namespace stele::real
