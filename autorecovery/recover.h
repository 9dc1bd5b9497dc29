// Recovering bookies that are down, now: all ledgers that name them are marked for the replication
// workers, which repair them as what an auditor marks. `stele recover` and BookKeeper's HTTP paths
// order it.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

//   kMetadataConflict   one is up: it can be drained
//   errors of the store
Task<absl::Status> CheckBookiesAreDown(Env env, metadata::MetadataStore* store,
                                       metadata::Cluster cluster, std::vector<BookieId> bookies);

struct MarkedLedgers {
  int64_t ledgers = 0;  // that name it
  int64_t marked = 0;   // that were not marked before
};

// Reads the metadata of all ledgers once, for however many bookies. What `env` points to, and
// `store`, outlive the task.
//   errors   CheckBookiesAreDown; kCorruptData as ReferencesTo; of the store, also after some were
//            marked: the same again marks the rest
Task<absl::StatusOr<std::map<BookieId, MarkedLedgers>>> MarkLedgersOf(
    Env env, metadata::MetadataStore* store, metadata::Cluster cluster,
    std::vector<BookieId> bookies);

}  // namespace stele::autorecovery
