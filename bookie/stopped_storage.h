// The storage of a bookie that is stopped, for commands: nobody else has its directories meanwhile.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/tombstones.h"
#include "common/async/task.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct StoppedStorage {
  std::vector<std::unique_ptr<DirectoryLock>> locks;
  std::unique_ptr<Tombstones> tombstones;
  std::unique_ptr<LedgerStorage> storage;
};

// `current` directories. No index directories: those of the ledgers.
//   errors   kOverloaded   the bookie runs: its directories are locked
//            those of OpenLedgerStorage
Task<absl::StatusOr<StoppedStorage>> OpenStoppedStorage(Env env,
                                                        std::vector<std::string> ledger_directories,
                                                        std::vector<std::string> index_directories);

// Nobody waits for a stopped bookie.
class NoPace final : public BackgroundPace {
 public:
  Task<absl::Status> Spend(uint64_t) override { co_return absl::OkStatus(); }
};

}  // namespace stele::bookie
