#include "bookie/index_repair.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/tombstones.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

class NoPace final : public BackgroundPace {
 public:
  Task<absl::Status> Spend(uint64_t) override { co_return absl::OkStatus(); }
};

Task<absl::StatusOr<std::vector<LedgerId>>> FindUncertain(LedgerStorage* storage) {
  std::vector<LedgerId> uncertain;
  NoPace pace;
  for (const LedgerId ledger : storage->Ledgers()) {
    // What cannot be read is told by the load.
    (co_await storage->CheckIndex(ledger, &pace)).IgnoreError();
    const auto state = co_await storage->Load(ledger);
    if (state.ok() && (*state)->uncertain) uncertain.push_back(ledger);
  }
  co_return uncertain;
}

}  // namespace

Task<absl::StatusOr<IndexRepairReport>> RepairIndexes(Env env, IndexRepairOptions options) {
  std::set<std::string> directories(options.ledger_directories.begin(),
                                    options.ledger_directories.end());
  directories.insert(options.index_directories.begin(), options.index_directories.end());
  std::vector<std::unique_ptr<DirectoryLock>> locks;
  for (const std::string& directory : directories) {
    STELE_CO_TRY(auto lock, co_await env.files->LockDirectory(directory));
    locks.push_back(std::move(lock));
  }
  const auto tombstones = co_await Tombstones::Open(env.files, options.ledger_directories);
  STELE_CO_TRY(const auto storage,
               co_await OpenLedgerStorage(
                   env, {.is_deleted = [&](LedgerId id) { return tombstones->Contains(id); },
                         .ledger_directories = options.ledger_directories,
                         .index_directories = options.index_directories}));
  IndexRepairReport report{.without_index = storage->StrayLedgers()};
  STELE_CO_TRY(report.uncertain, co_await FindUncertain(storage.get()));
  std::vector<LedgerId> lost = report.without_index;
  lost.insert(lost.end(), report.uncertain.begin(), report.uncertain.end());
  for (const LedgerId ledger : options.ledgers) {
    if (std::find(lost.begin(), lost.end(), ledger) != lost.end()) continue;
    co_return MakeError(ErrorCode::kInvalidArgument,
                        StrCat("ledger ", ledger.value(), " has lost nothing"));
  }
  if (!options.ledgers.empty()) lost = options.ledgers;
  NoPace pace;
  STELE_CO_TRY(report.locations_found, co_await storage->RecoverIndexes(std::move(lost), &pace));
  STELE_CO_TRY_OK(co_await storage->Close());
  co_return report;
}

}  // namespace stele::bookie
