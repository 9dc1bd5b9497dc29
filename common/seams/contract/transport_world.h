// TransportWorld: what the transport suite needs besides SeamWorld.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "common/async/task.h"
#include "common/seams/contract/seam_world.h"
#include "common/seams/transport.h"

namespace stele {

// One end of a TLS connection, as the suite thinks of it.
struct TlsTestParty {
  std::string authority = "house";  // who signed its certificate, for host(); empty: it has none
  std::string organizational_unit;
  bool is_expired = false;
  std::string trusted_authority = "house";
  bool requires_client_certificate = false;
};

class TransportWorld : public SeamWorld {
 public:
  // Where this world can listen and be reached, such as "127.0.0.1".
  virtual std::string host() = 0;

  // Plays a foreign client: connects, sends `frames`, shuts its sending side down, and gives the
  // frames that arrive until the peer closes.
  virtual Task<std::vector<std::string>> ExchangeHalfClosed(Endpoint to,
                                                            std::vector<std::string> frames) = 0;

  virtual std::shared_ptr<const TlsCredentials> MakeTls(const TlsTestParty& party) = 0;
};

struct TransportWorldKind {
  const char* name;
  std::unique_ptr<TransportWorld> (*make)();
};

inline void PrintTo(const TransportWorldKind& kind, std::ostream* out) { *out << kind.name; }

}  // namespace stele
