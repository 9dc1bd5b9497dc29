#include "tools/shell/open_store.h"

#include "common/base/errors.h"
#include "metadata/sqlite/sqlite_store.h"

namespace stele::shell {

Task<absl::StatusOr<std::unique_ptr<metadata::MetadataStore>>> OpenStore(metadata::ServiceUri uri,
                                                                         Env env,
                                                                         absl::Duration timeout) {
  if (uri.driver != metadata::ServiceUri::Driver::kSqlite) {
    co_return MakeError(ErrorCode::kUnsupported,
                        "this build has no driver for ZooKeeper; use sqlite:///path/meta.db");
  }
  co_return co_await metadata::OpenSqliteStore(
      {.path = uri.database_path, .operation_timeout = timeout}, env.executor, env.clock);
}

}  // namespace stele::shell
