#include "bookie/server/peer_gate.h"

#include <algorithm>

namespace stele::bookie {
namespace {

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// Takes the text before `separator` off the front of `rest`.
std::string_view TakePart(std::string_view* rest, char separator) {
  const size_t end = std::min(rest->find(separator), rest->size());
  const std::string_view part = rest->substr(0, end);
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return part;
}

}  // namespace

std::string RoleIn(const TlsPeer& peer) {
  if (peer.organizational_units.empty()) return "";
  std::string_view rest = peer.organizational_units.front();
  std::string_view roles;
  while (!rest.empty()) {
    std::string_view part = TakePart(&rest, ';');
    if (part.starts_with("0:")) roles = part.substr(2);  // of several the last, as Apache's
  }
  return std::string(Trimmed(TakePart(&roles, ',')));
}

PeerGate::PeerGate(const PeerRequirements* requirements)
    : requirements_(requirements),
      is_open_(!requirements->tls_is_required && requirements->authorized_roles.empty()) {}

PeerGate::Verdict PeerGate::JudgeWithCare(wire::Operation operation, bool is_last) const {
  if (operation == wire::Operation::kStartTls) {
    if (is_in_tls_) return Verdict::kClose;
    if (requirements_->tls == nullptr) return Verdict::kNoTls;
    // What follows in clear was put there by somebody who cannot know what the peer will say.
    return is_last ? Verdict::kStartTls : Verdict::kClose;
  }
  if (is_open_) return Verdict::kServe;
  if (requirements_->tls_is_required && !is_in_tls_) return Verdict::kRefuseForGood;
  return Verdict::kRefuse;
}

void PeerGate::OnTlsStarted(const TlsPeer& peer) {
  const std::vector<std::string>& allowed = requirements_->authorized_roles;
  if (allowed.empty()) {
    is_open_ = true;
    return;
  }
  const std::string role = RoleIn(peer);
  is_open_ = !role.empty() && std::find(allowed.begin(), allowed.end(), role) != allowed.end();
}

}  // namespace stele::bookie
