#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/strings.h"
#include "metadata/contract/metadata_store_contract.h"
#include "metadata/drivers/testing/real_metadata_world.h"
#include "metadata/sqlite/sqlite_store.h"

namespace stele::metadata {
namespace {

class SqliteWorld : public RealMetadataWorld {
 public:
  SqliteWorld() {
    std::string pattern = StrCat(std::getenv("TEST_TMPDIR"), "/contract-XXXXXX");
    directory_ = mkdtemp(pattern.data());
  }
  ~SqliteWorld() override { std::filesystem::remove_all(directory_); }

  Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> Open() override {
    return OpenSqliteStore(
        {.path = directory_ + "/meta.db", .poll_interval = absl::Milliseconds(5)}, executor(),
        clock());
  }

 private:
  std::string directory_;
};

std::unique_ptr<MetadataWorld> MakeSqliteWorld() { return std::make_unique<SqliteWorld>(); }

INSTANTIATE_TEST_SUITE_P(Sqlite, MetadataStoreContract,
                         testing::Values(MetadataWorldKind{"File", MakeSqliteWorld}),
                         MetadataWorldName());

}  // namespace
}  // namespace stele::metadata
