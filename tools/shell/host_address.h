// The address by which a bookie is known that was given none: chosen as Apache's bookie chooses, so
// that a bookie that changes hands keeps its id.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace stele::shell {

struct HostAddressRules {
  std::string interface;        // listeningInterface; empty: the address of the host's own name
  bool use_host_name = false;   // useHostNameAsBookieID: its canonical name, not its number
  bool use_short_name = false;  // useShortHostName: of that only what stands before the first dot
};

struct HostAddress {
  std::string host;  // a name or an IPv4 address
  std::string ip;    // the address alone
  bool is_loopback = false;
};

// Asks the system, and its resolver.
//   kConfig  no such interface, no IPv4 address, or the host's name does not resolve
absl::StatusOr<HostAddress> FindHostAddress(const HostAddressRules& rules);

}  // namespace stele::shell
