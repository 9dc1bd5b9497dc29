// LedgerCell: what a handle believes about its ledger's metadata. Never goes back to an older
// version.
#pragma once

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/cas_loop.h"
#include "metadata/ledger_manager.h"

namespace stele::client {

class LedgerCell {
 public:
  // `ledgers` outlives the cell's tasks.
  LedgerCell(metadata::LedgerManager* ledgers, LedgerId id,
             metadata::Versioned<metadata::LedgerMetadata> current, absl::Duration timeout)
      : ledgers_(ledgers),
        id_(id),
        value_(std::make_shared<const metadata::LedgerMetadata>(std::move(current.value))),
        version_(current.version),
        timeout_(timeout) {}

  LedgerId id() const { return id_; }
  const metadata::LedgerMetadata& value() const { return *value_; }
  // The same, kept by those who go on with it while the cell moves on.
  std::shared_ptr<const metadata::LedgerMetadata> snapshot() const { return value_; }
  metadata::Version version() const { return version_; }

  // Changes the metadata by compare-and-swap; see metadata/cas_loop.h for `update`. Ok: value()
  // needs no update any more, by our hand or by another's; look at it. The cell outlives the task.
  Task<absl::Status> Update(metadata::LedgerUpdate update);

  // Reads the metadata again.
  Task<absl::Status> Refresh();

  // Takes what a watch has brought. False when it is not newer.
  bool Take(metadata::Versioned<metadata::LedgerMetadata> seen);

 private:
  metadata::LedgerManager* ledgers_;
  const LedgerId id_;
  std::shared_ptr<const metadata::LedgerMetadata> value_;
  metadata::Version version_;
  const absl::Duration timeout_;
};

}  // namespace stele::client
