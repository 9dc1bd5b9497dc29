#include "autorecovery/recover.h"

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

Task<absl::StatusOr<MarkedLedgers>> MarkLedgersOf(Env env, metadata::MetadataStore* store,
                                                  metadata::Cluster cluster, BookieId bookie) {
  STELE_CO_TRY_OK(co_await CheckBookiesAreDown(env, store, cluster, {bookie}));
  metadata::LedgerManager ledgers(env, store, cluster.layout);
  STELE_CO_TRY(const std::vector<Reference> references, co_await ReferencesTo(&ledgers, bookie));
  metadata::UnderreplicatedQueue queue(env, store, metadata::ClusterPaths(cluster.layout.root()),
                                       "stele", {.give_up_at = env.clock->Now() + absl::Hours(1)});
  STELE_CO_TRY_OK(co_await queue.Start());
  MarkedLedgers marked{.ledgers = static_cast<int64_t>(references.size())};
  for (const Reference& reference : references) {
    STELE_CO_TRY(const bool is_new, co_await queue.Mark(reference.ledger, {bookie}));
    marked.marked += is_new ? 1 : 0;
  }
  co_return marked;
}

}  // namespace stele::autorecovery
