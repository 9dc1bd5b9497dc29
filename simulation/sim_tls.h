// Credentials of simulated TLS. Nothing is encrypted: what is modelled is who may send what when,
// what each handshake message proves, and who refuses whom.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/seams/transport.h"

namespace stele::simulation {

struct SimTlsIdentity {
  std::string authority;           // who vouches for it; empty: there is no certificate
  std::vector<std::string> hosts;  // that it is for
  std::vector<std::string> organizational_units;
  bool is_expired = false;
};

class SimTlsCredentials final : public TlsCredentials {
 public:
  SimTlsCredentials(SimTlsIdentity identity, std::string trusted_authority,
                    bool requires_client_certificate)
      : identity_(std::move(identity)),
        trusted_authority_(std::move(trusted_authority)),
        requires_client_certificate_(requires_client_certificate) {}

  // What the owner of these credentials thinks of a peer; kUnauthorized.
  absl::Status Judge(const TlsUpgrade& upgrade, const SimTlsIdentity& peer) const;

  const SimTlsIdentity& identity() const { return identity_; }
  bool requires_client_certificate() const { return requires_client_certificate_; }

 private:
  const SimTlsIdentity identity_;
  const std::string trusted_authority_;
  const bool requires_client_certificate_;
};

}  // namespace stele::simulation
