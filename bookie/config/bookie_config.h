// bk_server.conf: BookKeeper's own file and key names make the options of a bookie.
// Every key of Apache BookKeeper 4.17 is known: it is used, or accepted with a note why it has no
// effect here. An unknown key is an error that names the nearest known one. Keys that Apache does
// not have begin with "stele.".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "bookie/bookie_options.h"
#include "bookie/config/tls_keys.h"

namespace stele::bookie {

enum class UnknownKeys { kRefuse, kWarn };

struct BookieConfig {
  BookieOptions options;
  std::string metadata_service_uri;  // metadataServiceUri, or made of zkServers
  // How the program finds the bookie's address when advertisedAddress is not set.
  std::string listening_interface;   // listeningInterface; empty: all are listened on
  bool use_host_name = false;        // useHostNameAsBookieID
  bool use_short_host_name = false;  // useShortHostName
  bool allow_loopback = false;  // allowLoopback; the address that is found may be a loopback one
  std::vector<std::string> permitted_users;  // permittedStartupUsers; empty: everybody
  // What a peer may hold without giving or taking bytes (common/real/link_limits.h).
  absl::Duration send_stall_max = absl::Seconds(10);  // stele.sendStallMs
  int64_t partial_frames_max_bytes = 256 << 20;       // stele.partialFramesMaxBytes
  absl::Duration first_byte_max = absl::Seconds(10);  // stele.firstByteMs
  int64_t accepts_per_second_max = 500;               // stele.acceptsPerSecondMax
  // The admin port (common/real/http_server.h).
  bool http_is_on = false;                 // httpServerEnabled
  Endpoint http_at = {"127.0.0.1", 8080};  // httpServerHost, httpServerPort
  std::string http_token_path;             // stele.httpTokenFile; empty: no changes over HTTP
  // The control plane (common/real/grpc_server.h).
  bool grpc_is_on = false;                 // stele.grpcEnabled
  Endpoint grpc_at = {"127.0.0.1", 8081};  // stele.grpcHost, stele.grpcPort
  std::string grpc_token_path;             // stele.grpcTokenFile; empty: no changes over gRPC
  TlsSettings tls;                         // the program reads its files into options.peers.tls
  bool roles_are_asked = false;            // bookieAuthProviderFactoryClass is BookieAuthZFactory
  std::map<std::string, std::string> settings;  // the keys that were set, as they were written
  std::vector<std::string>
      warnings;  // keys without effect, unknown keys under kWarn; one line each
};

// `text` is the file's content. Directories and the service URI may be missing: the program may
// have them from its command line.
//   errors   kConfig, naming line and key
absl::StatusOr<BookieConfig> ParseBookieConfig(std::string_view text, UnknownKeys unknown_keys);

// Sets one key as a line of the file would; for `--set key=value`.
absl::Status SetBookieKey(std::string_view key, std::string_view value, BookieConfig& config);

// Whether the keys fit together, and what has no effect because of another; call it when all are
// set.
//   errors   kConfig
absl::Status CheckBookieConfig(BookieConfig& config);

struct KnownKey {
  std::string_view key;
  std::string_view note;  // empty: it is used; otherwise why it has no effect
};
// All keys, sorted; for --help and the documentation.
const std::vector<KnownKey>& KnownBookieKeys();

}  // namespace stele::bookie
