// BookieServiceInfo: what a bookie says about itself in its registration.
// Source: docs/METADATA.md "Registrations"; Apache BookKeeper's BookieServiceInfoFormat.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/seams/transport.h"

namespace stele::metadata {

// The protocol of the endpoint that clients connect to.
inline constexpr char kBookieProtocol[] = "bookie-rpc";
// Of its admin port; the same id and protocol as Apache's.
inline constexpr char kAdminProtocol[] = "http";
// A larger registration is refused.
inline constexpr size_t kBookieServiceInfoSizeMaxBytes = 64 * 1024;

struct BookieServiceInfo {
  struct ServiceEndpoint {
    std::string id;  // "bookie", "httpserver"
    int32_t port = 0;
    std::string host;
    std::string protocol;  // kBookieProtocol, "http"
    std::vector<std::string> auth;
    std::vector<std::string> extensions;  // "tls"
    friend bool operator==(const ServiceEndpoint&, const ServiceEndpoint&) = default;
  };

  std::vector<ServiceEndpoint> endpoints;
  std::map<std::string, std::string> properties;
  friend bool operator==(const BookieServiceInfo&, const BookieServiceInfo&) = default;
};

// Without endpoints and properties the result is empty, which readers take for a legacy
// registration.
std::string SerializeBookieServiceInfo(const BookieServiceInfo& info);

// What the registration of `bookie` holds. No bytes: written by a release that had no such message;
// then the id itself is host:port and is the one endpoint.
//   kCorruptData  unreadable, or no bytes and the id is not host:port
absl::StatusOr<BookieServiceInfo> ParseBookieServiceInfo(const BookieId& bookie,
                                                         std::string_view bytes);

// Where to connect: the first endpoint for kBookieProtocol with a host and a port.
//   kCorruptData  as above, or there is no such endpoint
absl::StatusOr<Endpoint> BookieEndpointOf(const BookieId& bookie, std::string_view bytes);

// Where others reach its admin port: the first endpoint for kAdminProtocol. One that listens to all
// addresses is at the host of the bookie.
//   kNoSuchKey     it has none
//   kUnsupported   it listens to its own machine only, and is not known to be on this one
//   kCorruptData   as above
absl::StatusOr<Endpoint> AdminEndpointOf(const BookieId& bookie, std::string_view bytes);

}  // namespace stele::metadata
