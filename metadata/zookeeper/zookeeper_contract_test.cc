#include <memory>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "integration_tests/zookeeper_server.h"
#include "metadata/contract/metadata_store_contract.h"
#include "metadata/drivers/testing/real_metadata_world.h"
#include "metadata/zookeeper/zookeeper_store.h"

namespace stele::metadata {
namespace {

Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> Give(
    absl::StatusOr<std::unique_ptr<MetadataStore>> store) {
  co_return std::move(store);
}

class ZooKeeperWorld : public RealMetadataWorld {
 public:
  Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> Open() override {
    return Give(MakeZooKeeperStore({.servers = Server()->connect_string()}, executor(), clock()));
  }
  std::string root() override { return root_; }

 private:
  // One server for all tests.
  static integration::ZooKeeperServer* Server() {
    static integration::ZooKeeperServer server;
    return &server;
  }
  static std::string NextRoot() {
    static int last = 0;
    return StrCat("/contract/", ++last);
  }

  const std::string root_ = NextRoot();
};

std::unique_ptr<MetadataWorld> MakeZooKeeperWorld() { return std::make_unique<ZooKeeperWorld>(); }

INSTANTIATE_TEST_SUITE_P(ZooKeeper, MetadataStoreContract,
                         testing::Values(MetadataWorldKind{"Server", MakeZooKeeperWorld}),
                         MetadataWorldName());

}  // namespace
}  // namespace stele::metadata
