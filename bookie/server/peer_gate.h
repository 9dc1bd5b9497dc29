// PeerGate: what one peer may ask for, by what it has shown. Pure: the connection asks before each
// request that is not obviously fine.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/seams/transport.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

struct PeerRequirements {
  // Null: START_TLS is not to be had here.
  std::shared_ptr<const TlsCredentials> tls;
  // Serve nobody in clear.
  bool tls_is_required = false;
  // When there are any: serve only who has one of them in the certificate.
  std::vector<std::string> authorized_roles;
  // From the reply to START_TLS to the end of the handshake.
  absl::Duration handshake_deadline = absl::Seconds(10);
};

// The role that BookKeeper reads in a certificate: the first name behind "0:" in its first
// organizational unit, as in "1:cluster;0:writer,reader". Empty: none.
std::string RoleIn(const TlsPeer& peer);

class PeerGate {
 public:
  enum class Verdict {
    kServe,
    kStartTls,       // answer EOK in clear, then start the handshake
    kNoTls,          // EBADREQ
    kRefuse,         // unauthorised; the peer may still authenticate itself
    kRefuseForGood,  // unauthorised, then close
    kClose,
  };

  // `requirements` outlive the gate.
  explicit PeerGate(const PeerRequirements* requirements);

  //   is_last   nothing of the peer is here behind this request
  Verdict Judge(wire::Operation operation, bool is_last) const {
    if (is_open_ && operation != wire::Operation::kStartTls) return Verdict::kServe;
    return JudgeWithCare(operation, is_last);
  }

  void OnTlsAsked() { is_in_tls_ = true; }
  void OnTlsStarted(const TlsPeer& peer);
  bool is_open() const { return is_open_; }

 private:
  Verdict JudgeWithCare(wire::Operation operation, bool is_last) const;

  const PeerRequirements* const requirements_;
  bool is_in_tls_ = false;
  bool is_open_;
};

}  // namespace stele::bookie
