// The keys of TLS, which BookKeeper's files for bookies and for clients have in common.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/seams/tls_files.h"

namespace stele::bookie {

struct TlsSettings {
  bool is_on = false;  // tlsProviderFactoryClass
  // tlsKeyStore, tlsTrustStore, ...; the types are JKS by default, as Apache's
  TlsFiles files{.key_format = TlsFiles::Format::kPkcs12,
                 .trust_format = TlsFiles::Format::kPkcs12};
  // tlsHostnameVerificationEnabled, of clients; Apache's default is false
  bool verifies_server_name = true;
  // stele.tlsRequired, of clients, who are in TLS or not at all: also no token may be sent in clear
  bool is_required = false;
};

bool IsTlsKey(std::string_view key);

// Sets one of these keys.
//   errors   kConfig
absl::Status SetTlsKey(std::string_view key, std::string_view value, TlsSettings& tls);

// Whether the keys fit together.
//   errors   kConfig
absl::Status CheckServerTls(const TlsSettings& tls);

// For whoever has stele.tlsRequired: no port for operators has TLS, and a token must not travel
// in clear. OK when the port is off, takes no token, or is at a loopback address.
//   token_key   the key or the flag of the token's file, for the message
//   errors      kConfig
absl::Status CheckNoTokenInClear(std::string_view token_key, bool is_on, std::string_view host,
                                 std::string_view token_path);

// BookKeeper's file of a client: its keys of TLS, also by their names clientKeyStore and so on, and
// stele.tlsRequired; the others are passed over.
//   errors   kConfig, naming line and key
absl::StatusOr<TlsSettings> ParseClientTls(std::string_view text);

}  // namespace stele::bookie
