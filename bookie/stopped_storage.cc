#include "bookie/stopped_storage.h"

#include <set>
#include <utility>

#include "common/base/try.h"

namespace stele::bookie {

Task<absl::StatusOr<StoppedStorage>> OpenStoppedStorage(
    Env env, std::vector<std::string> ledger_directories,
    std::vector<std::string> index_directories) {
  StoppedStorage stopped;
  std::set<std::string> directories(ledger_directories.begin(), ledger_directories.end());
  directories.insert(index_directories.begin(), index_directories.end());
  for (const std::string& directory : directories) {
    STELE_CO_TRY(auto lock, co_await env.files->LockDirectory(directory));
    stopped.locks.push_back(std::move(lock));
  }
  stopped.tombstones = co_await Tombstones::Open(env.files, ledger_directories);
  const Tombstones* const tombstones = stopped.tombstones.get();
  STELE_CO_TRY(
      stopped.storage,
      co_await OpenLedgerStorage(
          env, {.is_deleted = [tombstones](LedgerId id) { return tombstones->Contains(id); },
                .ledger_directories = std::move(ledger_directories),
                .index_directories = std::move(index_directories)}));
  co_return stopped;
}

}  // namespace stele::bookie
