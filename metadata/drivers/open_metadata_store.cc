#include "metadata/drivers/open_metadata_store.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/try.h"
#include "metadata/sqlite/sqlite_store.h"
#include "metadata/zookeeper/zookeeper_store.h"

namespace stele::metadata {

Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> OpenMetadataStore(
    ServiceUri uri, Executor* executor, Clock* clock, OpenMetadataStoreOptions options) {
  switch (uri.driver) {
    case ServiceUri::Driver::kZooKeeper:
      co_return MakeZooKeeperStore({.servers = std::move(uri.servers),
                                    .session_timeout = options.session_timeout,
                                    .operation_timeout = options.operation_timeout,
                                    .log = options.log},
                                   executor, clock);
    case ServiceUri::Driver::kSqlite:
      co_return co_await OpenSqliteStore({.path = std::move(uri.database_path),
                                          .create_if_missing = options.create_if_missing,
                                          .operation_timeout = options.operation_timeout},
                                         executor, clock);
  }
  STELE_CHECK(false);
}

Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> OpenMetadataStore(
    std::string service_uri, Executor* executor, Clock* clock, OpenMetadataStoreOptions options) {
  STELE_CO_TRY(ServiceUri uri, ParseServiceUri(service_uri));
  co_return co_await OpenMetadataStore(std::move(uri), executor, clock, options);
}

}  // namespace stele::metadata
