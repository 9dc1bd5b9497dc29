#include "tools/shell/client_config.h"

#include "bookie/config/properties.h"
#include "bookie/config/tls_keys.h"
#include "common/base/errors.h"
#include "common/base/try.h"
#include "common/real/tls_credentials.h"

namespace stele::shell {

absl::Status UseClientConfig(real::Shard& shard, const std::string& path,
                             client::ClientOptions& options) {
  if (path.empty()) return absl::OkStatus();
  STELE_TRY(const Buffer text,
            shard.RunUntil(ReadFile(shard.env().files, path, bookie::kPropertiesSizeMaxBytes)));
  const absl::StatusOr<bookie::TlsSettings> tls = bookie::ParseClientTls(text.ToString());
  if (!tls.ok()) return WithContext(tls.status(), path);
  if (!tls->is_on) return absl::OkStatus();
  STELE_TRY(options.tls, real::LoadTlsCredentials(tls->files));
  options.tls_verifies_name = tls->verifies_server_name;
  return absl::OkStatus();
}

}  // namespace stele::shell
