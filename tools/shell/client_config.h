// How a client of this program reaches bookies: Apache's configuration file of a client, of which
// the keys of TLS are used.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bookie/config/tls_keys.h"
#include "client/client_options.h"
#include "common/real/shard.h"

namespace stele::shell {

// Gives what the file says.
//   path     empty: nothing is done
//   errors   kConfig, naming file, line and key
absl::StatusOr<bookie::TlsSettings> UseClientConfig(real::Shard& shard, const std::string& path,
                                                    client::ClientOptions& options);

}  // namespace stele::shell
