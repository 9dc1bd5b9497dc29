// SimLink from StartTls on: a handshake of three messages as that of TLS 1.3. The client has done
// its part, and may send, before the server has judged it.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_link.h"
#include "simulation/sim_tls.h"

namespace stele::simulation {
namespace {

const SimTlsCredentials& CredentialsOf(const TlsUpgrade& upgrade) {
  const auto* credentials = dynamic_cast<const SimTlsCredentials*>(upgrade.credentials.get());
  STELE_CHECK(credentials != nullptr);
  return *credentials;
}

absl::Status Refusal(std::string_view peer, std::string_view why) {
  return MakeError(ErrorCode::kUnauthorized, Effect::kUnknown, StrCat(peer, ": TLS: ", why));
}

TlsPeer PeerOf(const SimTlsIdentity& identity) {
  return {.has_certificate = !identity.authority.empty(),
          .subject = identity.authority,
          .organizational_units = identity.organizational_units};
}

}  // namespace

absl::Status SimTlsCredentials::Judge(const TlsUpgrade& upgrade, const SimTlsIdentity& peer) const {
  const bool is_server = upgrade.side == TlsUpgrade::Side::kServer;
  if (is_server && !requires_client_certificate_) return absl::OkStatus();
  if (peer.authority.empty()) return Refusal("peer", "it has no certificate");
  if (peer.authority != trusted_authority_) return Refusal("peer", "its authority is not trusted");
  if (peer.is_expired) return Refusal("peer", "its certificate has expired");
  if (!is_server && !upgrade.server_name.empty() &&
      std::find(peer.hosts.begin(), peer.hosts.end(), upgrade.server_name) == peer.hosts.end()) {
    return Refusal("peer", "its certificate is for another host");
  }
  return absl::OkStatus();
}

void SimLink::StartTls(Side side, TlsUpgrade upgrade) {
  End& end = ends_[side];
  if (!end.open) return;
  STELE_CHECK(end.handler != nullptr && end.tls == End::Tls::kNone);
  end.tls = End::Tls::kShakingHands;
  end.clear_frames_left = end.queue.size();
  const absl::Duration deadline = upgrade.deadline;
  const bool is_client = upgrade.side == TlsUpgrade::Side::kClient;
  end.upgrade = std::move(upgrade);
  if (is_client) SayHello(side);
  network_->scheduler()->CallAfter(end.executor, deadline, [weak = weak_from_this(), side] {
    const std::shared_ptr<SimLink> self = weak.lock();
    if (self == nullptr || !self->ends_[side].open) return;
    if (self->ends_[side].tls != End::Tls::kShakingHands) return;
    self->AppendReset(side);
    self->Fail(side, MakeError(ErrorCode::kDeadline, Effect::kUnknown,
                               "a TLS handshake was not finished in time"));
  });
}

// Behind what still leaves in clear.
void SimLink::SayHello(Side side) {
  ends_[side].has_hello = true;
  PostPump(side);
}

void SimLink::RefuseTls(Side side, absl::Status why) {
  Append(side, Item::Kind::kTlsAlert, Buffer(), false);
  Fail(side, std::move(why));
}

// A message of the handshake has arrived at `side`; false when the connection has ended.
bool SimLink::TakeHello(Side side) {
  End& end = ends_[side];
  if (end.tls != End::Tls::kShakingHands) {
    AppendReset(side);
    Fail(side, MakeError(ErrorCode::kCorruptData, Effect::kUnknown,
                         StrCat(end.peer, ": a frame of a length that cannot be")));
    return false;
  }
  const SimTlsCredentials& own = CredentialsOf(end.upgrade);
  const SimTlsIdentity& peer = CredentialsOf(ends_[1 - side].upgrade).identity();
  const bool is_server = end.upgrade.side == TlsUpgrade::Side::kServer;
  if (is_server && !std::exchange(end.has_heard_hello, true)) {
    if (own.identity().authority.empty()) {
      RefuseTls(side, Refusal(end.peer, "there is no certificate to show"));
      return false;
    }
    SayHello(side);
    return true;
  }
  if (absl::Status judged = own.Judge(end.upgrade, peer); !judged.ok()) {
    RefuseTls(side, std::move(judged));
    return false;
  }
  if (!is_server) SayHello(side);
  end.tls = End::Tls::kSecure;
  PostPump(side);
  const bool is_asked = !is_server || own.requires_client_certificate();
  end.handler->OnTlsStarted(is_asked ? PeerOf(peer) : TlsPeer{});
  return end.open;
}

// False when a frame that arrives now cannot be understood; the connection has ended then.
bool SimLink::IsExpected(Side side, const Item& item) {
  End& end = ends_[side];
  if (item.in_tls == (end.tls == End::Tls::kSecure) && end.tls != End::Tls::kShakingHands) {
    return true;
  }
  if (end.tls == End::Tls::kNone) {
    AppendReset(side);
    Fail(side, MakeError(ErrorCode::kCorruptData, Effect::kUnknown,
                         StrCat(end.peer, ": a frame of a length that cannot be")));
  } else {
    RefuseTls(side, Refusal(end.peer, "a frame in clear"));
  }
  return false;
}

}  // namespace stele::simulation
