// The store on any kind of session: MakeZooKeeperStore() gives it the C client's, tests others.
#pragma once

#include <memory>

#include "metadata/zookeeper/zookeeper_session.h"
#include "metadata/zookeeper/zookeeper_store.h"

namespace stele::metadata {

// Begins the first session. `servers` and `log` of the options are not looked at.
std::unique_ptr<MetadataStore> MakeZooKeeperStoreOn(ZooKeeperSessionFactory factory,
                                                    ZooKeeperStoreOptions options,
                                                    Executor* executor, Clock* clock);

}  // namespace stele::metadata
