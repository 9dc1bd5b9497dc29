// How a client of this program reaches bookies: Apache's configuration file of a client, of which
// the keys of TLS are used.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/client_options.h"
#include "common/real/shard.h"

namespace stele::shell {

//   path     empty: nothing is done
//   errors   kConfig, naming file, line and key
absl::Status UseClientConfig(real::Shard& shard, const std::string& path,
                             client::ClientOptions& options);

}  // namespace stele::shell
