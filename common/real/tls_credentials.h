// TlsCredentials of the real world: a certificate with its key, and the authorities that are
// trusted, read from the files that BookKeeper's keys name. OpenSSL appears in tls_*.cc only.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/seams/tls_files.h"
#include "common/seams/transport.h"

struct ssl_ctx_st;

namespace stele::real {

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
