#include <utility>

#include "common/base/try.h"
#include "metadata/zookeeper/c_session.h"
#include "metadata/zookeeper/zookeeper_store.h"
#include "metadata/zookeeper/zookeeper_store_internal.h"

namespace stele::metadata {

absl::StatusOr<std::unique_ptr<MetadataStore>> MakeZooKeeperStore(ZooKeeperStoreOptions options,
                                                                  Executor* executor,
                                                                  Clock* clock) {
  STELE_TRY(std::string connect_string, ToCConnectString(options.servers));
  CSessionOptions session_options{.connect_string = std::move(connect_string),
                                  .session_timeout = options.session_timeout,
                                  .log = options.log};
  return MakeZooKeeperStoreOn(
      [executor, session_options = std::move(session_options)](ZooKeeperSessionListener* listener) {
        return BeginCSession(session_options, executor, listener);
      },
      std::move(options), executor, clock);
}

}  // namespace stele::metadata
