// LedgerWatch: follows the metadata of one ledger.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/ledger_metadata.h"
#include "metadata/metadata_store.h"
#include "metadata/signal.h"

namespace stele::metadata {

class LedgerWatch {
 public:
  // `env` (executor, clock) and `store` must outlive it.
  LedgerWatch(Env env, MetadataStore* store, LedgerId ledger, std::string path);

  // Waits for metadata of a greater version than all before; the first call gives what is there.
  // Nothing: the ledger was deleted, or is not there; the watch is over. Versions between two calls
  // are passed over. Await one call before the next, and within the watch's life.
  //   kCorruptData  it cannot be understood; the next call waits for the next change
  //   kStopped      the store is closing
  // While the store cannot be reached it waits.
  Task<absl::StatusOr<std::optional<Versioned<LedgerMetadata>>>> Next();

 private:
  Env env_;
  MetadataStore* store_;
  LedgerId ledger_;
  std::string path_;
  std::optional<Version> seen_;
  Signal changed_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace stele::metadata
