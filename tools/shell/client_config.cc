#include "tools/shell/client_config.h"

#include "bookie/config/properties.h"
#include "common/base/errors.h"
#include "common/base/try.h"
#include "common/real/tls_credentials.h"

namespace stele::shell {

absl::StatusOr<bookie::TlsSettings> UseClientConfig(real::Shard& shard, const std::string& path,
                                                    client::ClientOptions& options) {
  if (path.empty()) return bookie::TlsSettings();
  STELE_TRY(const Buffer text,
            shard.RunUntil(ReadFile(shard.env().files, path, bookie::kPropertiesSizeMaxBytes)));
  const absl::StatusOr<bookie::TlsSettings> tls = bookie::ParseClientTls(text.ToString());
  if (!tls.ok()) return WithContext(tls.status(), path);
  if (!tls->is_on) return tls;
  STELE_TRY(options.tls, real::LoadTlsCredentials(tls->files));
  options.tls_verifies_name = tls->verifies_server_name;
  return tls;
}

}  // namespace stele::shell
