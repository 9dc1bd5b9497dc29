#include "tools/shell/host_address.h"

#include <climits>
#include <memory>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::shell {
namespace {

absl::StatusOr<in_addr> AddressOfInterface(const std::string& name) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return MakeError(ErrorCode::kConfig, "the interfaces are not known");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, freeifaddrs);
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    if (name == each->ifa_name) return reinterpret_cast<sockaddr_in*>(each->ifa_addr)->sin_addr;
  }
  return MakeError(ErrorCode::kConfig,
                   StrCat("listeningInterface: there is no '", name, "' with an IPv4 address"));
}

absl::StatusOr<in_addr> AddressOfHost() {
  char name[HOST_NAME_MAX + 1] = {};
  gethostname(name, HOST_NAME_MAX);
  const addrinfo wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  if (getaddrinfo(name, nullptr, &wanted, &found) != 0 || found == nullptr) {
    return MakeError(ErrorCode::kConfig, StrCat("the name of this host, '", std::string(name),
                                                "', does not resolve: set advertisedAddress"));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  return reinterpret_cast<sockaddr_in*>(found->ai_addr)->sin_addr;
}

// The resolver's name for the address; the number when it has none.
std::string NameOf(in_addr address) {
  sockaddr_in socket_address = {};
  socket_address.sin_family = AF_INET;
  socket_address.sin_addr = address;
  char name[NI_MAXHOST] = {};
  getnameinfo(reinterpret_cast<sockaddr*>(&socket_address), sizeof(socket_address), name,
              sizeof(name), nullptr, 0, 0);
  return name;
}

}  // namespace

absl::StatusOr<HostAddress> FindHostAddress(const HostAddressRules& rules) {
  STELE_TRY(const in_addr address,
            rules.interface.empty() ? AddressOfHost() : AddressOfInterface(rules.interface));
  HostAddress result;
  char number[INET_ADDRSTRLEN] = {};
  result.ip = inet_ntop(AF_INET, &address, number, sizeof(number));
  result.is_loopback = (ntohl(address.s_addr) >> 24) == 127;
  result.host = result.ip;
  if (rules.use_host_name) {
    result.host = NameOf(address);
    if (rules.use_short_name) result.host = result.host.substr(0, result.host.find('.'));
  }
  return result;
}

}  // namespace stele::shell
