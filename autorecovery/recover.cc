#include "autorecovery/recover.h"

#include <map>
#include <utility>
#include <vector>

#include "autorecovery/references.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_registry.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_manager.h"
#include "metadata/underreplicated_queue.h"

namespace stele::autorecovery {

Task<absl::Status> CheckBookiesAreDown(Env env, metadata::MetadataStore* store,
                                       metadata::Cluster cluster, std::vector<BookieId> bookies) {
  metadata::BookieRegistry registry(env, store, metadata::ClusterPaths(cluster.layout.root()));
  STELE_CO_TRY_OK(co_await registry.Start());
  for (const BookieId& bookie : bookies) {
    if (!registry.bookies().IsUp(bookie)) continue;
    co_return MakeError(ErrorCode::kMetadataConflict,
                        StrCat("bookie ", bookie.value(),
                               " is up: stop it first, or move its ledgers with stele node drain"));
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::map<BookieId, MarkedLedgers>>> MarkLedgersOf(
    Env env, metadata::MetadataStore* store, metadata::Cluster cluster,
    std::vector<BookieId> bookies) {
  STELE_CO_TRY_OK(co_await CheckBookiesAreDown(env, store, cluster, bookies));
  metadata::LedgerManager ledgers(env, store, cluster.layout);
  STELE_CO_TRY(const References references, co_await FindReferences(&ledgers, bookies));
  STELE_CO_TRY_OK(CheckAllAreReadable(references));
  std::map<LedgerId, std::vector<BookieId>> missing;
  for (const auto& [bookie, named] : references.of) {
    for (const Reference& reference : named) missing[reference.ledger].push_back(bookie);
  }
  metadata::UnderreplicatedQueue queue(env, store, metadata::ClusterPaths(cluster.layout.root()),
                                       "stele", {.give_up_at = env.clock->Now() + absl::Hours(1)});
  STELE_CO_TRY_OK(co_await queue.Start());
  std::map<BookieId, MarkedLedgers> marked;
  for (const BookieId& bookie : bookies) marked[bookie];
  for (const auto& [ledger, replicas] : missing) {
    STELE_CO_TRY(const bool is_new, co_await queue.Mark(ledger, replicas));
    for (const BookieId& bookie : replicas) {
      ++marked[bookie].ledgers;
      marked[bookie].marked += is_new ? 1 : 0;
    }
  }
  co_return marked;
}

}  // namespace stele::autorecovery
