// The metadata service URI: where the cluster's metadata is, and how its ledgers are laid out.
//   zk+hierarchical://host:2181;host:2181/ledgers     sqlite:///var/lib/stele/meta.db
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "metadata/ledger_layout.h"

namespace stele::metadata {

struct ServiceUri {
  enum class Driver { kZooKeeper, kSqlite };

  Driver driver = Driver::kZooKeeper;
  // Nothing where the URI leaves it to the cluster's LAYOUT.
  std::optional<LayoutType> layout;
  // The ledgers root path. It is in front of every path, not a chroot of the connection.
  std::string root = "/ledgers";
  std::string servers;        // kZooKeeper: host:port,host:port
  std::string database_path;  // kSqlite
};

// As Apache BookKeeper reads it: the scheme in any case, "+type" optional, ';' or ',' between
// servers, query and fragment ignored, the path percent-decoded.
//   kConfig   a sentence that says what to write instead
absl::StatusOr<ServiceUri> ParseServiceUri(std::string_view uri);

// What configurations from before there was a URI mean; for files that have these keys and no
// metadataServiceUri. Empty: the key is not set.
struct OldMetadataKeys {
  std::string zk_servers;                    // zkServers
  std::string zk_ledgers_root_path;          // zkLedgersRootPath
  std::string ledger_manager_factory_class;  // ledgerManagerFactoryClass
};

// kConfig.
absl::StatusOr<ServiceUri> ServiceUriOfOldKeys(const OldMetadataKeys& keys);

}  // namespace stele::metadata
