// ClusterCheck: proof that every entry has its copies, or where it has not: what `stele cluster
// fsck` and `stele ledger explain` are made of. It changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "autorecovery/autorecovery_status.h"
#include "autorecovery/check_report.h"
#include "client/client_options.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

class ClusterCheck {
 public:
  // What `env` points to, and `store`, outlive it. Errors as client::Client::Connect.
  static Task<absl::StatusOr<std::unique_ptr<ClusterCheck>>> Open(Env env,
                                                                  metadata::MetadataStore* store,
                                                                  metadata::Cluster cluster,
                                                                  client::ClientOptions options);
  ~ClusterCheck();

  // Checks all ledgers, or one. A finding is looked at twice, with the metadata read anew between:
  // what is being repaired meanwhile is no finding.
  //   ledgers_in_flight_max   at the same time
  //   progress                called with the number of ledgers that are done
  //   errors                  those of the store; a ledger's own errors are findings
  Task<absl::StatusOr<CheckReport>> CheckAll(CheckDepth depth, size_t ledgers_in_flight_max,
                                             absl::AnyInvocable<void(int64_t)> progress);
  Task<absl::StatusOr<CheckReport>> CheckOne(CheckDepth depth, LedgerId ledger);

  // Where each fragment of a ledger is, and what its bookies say they have of it.
  //   kNoSuchLedgerMetadata, kCorruptData
  Task<absl::StatusOr<std::vector<FragmentState>>> Explain(LedgerId ledger);

  // One bookie's copy of an entry, as it stores it: nothing is verified.
  //   errors   kNoSuchEntry, kNoSuchLedger   it does not have it
  //            those of a bookie that does not answer, or cannot say
  Task<absl::StatusOr<Buffer>> ReadPacket(BookieId bookie, LedgerId ledger, EntryId entry);

  //   errors   those of a bookie that does not answer
  Task<absl::StatusOr<BookieSpace>> SpaceOf(BookieId bookie);

  Task<void> Close();

 private:
  class Impl;
  explicit ClusterCheck(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele::autorecovery
