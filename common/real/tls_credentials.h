// TlsCredentials of the real world: a certificate with its key, and the authorities that are
// trusted, read from the files that BookKeeper's keys name. OpenSSL appears in tls_*.cc only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/seams/transport.h"

struct ssl_ctx_st;

namespace stele::real {

struct TlsFiles {
  enum class Format { kPem, kPkcs12 };

  // Who this process is. Without a key it has no certificate, which only a client can do.
  Format key_format = Format::kPem;
  std::string key_path;           // the private key; kPkcs12: with its certificates
  std::string certificate_path;   // kPem: the certificate, and those between it and its authority
  std::string key_password_path;  // a file with the password; empty: none

  // Whom it trusts: any of these certificates. Empty: nobody.
  Format trust_format = Format::kPem;
  std::string trust_path;
  std::string trust_password_path;

  // A server that turns clients away which have no certificate that it trusts.
  bool requires_client_certificate = false;

  // Of "TLSv1.2" and "TLSv1.3"; empty: both. Older ones are never spoken.
  std::vector<std::string> protocols;
};

//   errors   kConfig, naming the file
absl::StatusOr<std::shared_ptr<const TlsCredentials>> LoadTlsCredentials(const TlsFiles& files);

// What TlsSession makes of them.
class OpenSslCredentials final : public TlsCredentials {
 public:
  // Takes `context`, which refers to nothing that can change.
  OpenSslCredentials(ssl_ctx_st* context, bool requires_client_certificate)
      : context_(context), requires_client_certificate_(requires_client_certificate) {}
  ~OpenSslCredentials() override;

  ssl_ctx_st* context() const { return context_; }
  bool requires_client_certificate() const { return requires_client_certificate_; }

 private:
  ssl_ctx_st* const context_;
  const bool requires_client_certificate_;
};

}  // namespace stele::real
