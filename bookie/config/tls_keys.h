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
};

bool IsTlsKey(std::string_view key);

// Sets one of these keys.
//   errors   kConfig
absl::Status SetTlsKey(std::string_view key, std::string_view value, TlsSettings& tls);

// Whether the keys fit together.
//   errors   kConfig
absl::Status CheckServerTls(const TlsSettings& tls);

// BookKeeper's file of a client: its keys of TLS, also by their names clientKeyStore and so on; the
// others are passed over.
//   errors   kConfig, naming line and key
absl::StatusOr<TlsSettings> ParseClientTls(std::string_view text);

}  // namespace stele::bookie
