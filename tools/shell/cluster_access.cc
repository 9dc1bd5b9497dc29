#include "tools/shell/cluster_access.h"

#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_id.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_lister.h"
#include "metadata/ledger_manager.h"

namespace stele::shell {

using autorecovery::ClusterCheck;

namespace {

Task<absl::StatusOr<int64_t>> Count(metadata::LedgerLister lister, Progress* progress) {
  int64_t count = 0;
  for (;;) {
    STELE_CO_TRY(const std::optional<metadata::LedgerRange> range, co_await lister.Next());
    if (!range.has_value()) co_return count;
    count += static_cast<int64_t>(range->size());
    progress->Update(count);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checker>> Checker::Open(Session& session) {
  STELE_TRY(metadata::Cluster cluster, session.FindCluster());
  STELE_TRY(client::ClientOptions options, session.Complete({}));
  std::unique_ptr<Checker> checker(new Checker(session));
  STELE_TRY(checker->check_,
            session.shard().RunUntil(ClusterCheck::Open(session.env(), session.store(),
                                                        std::move(cluster), std::move(options))));
  return checker;
}

Checker::~Checker() {
  if (check_ != nullptr) session_.shard().RunUntil(check_->Close());
}

absl::StatusOr<std::unique_ptr<metadata::BookieRegistry>> OpenRegistry(Session& session) {
  auto registry = std::make_unique<metadata::BookieRegistry>(
      session.env(), session.store(), metadata::ClusterPaths(session.uri().root));
  STELE_TRY_OK(session.shard().RunUntil(registry->Start()));
  return registry;
}

absl::StatusOr<metadata::Node> ReadRegistration(Session& session, const BookieId& bookie) {
  if (!metadata::IsValidBookieId(bookie.value())) {
    return MakeError(ErrorCode::kInvalidArgument, StrCat(bookie.value(), " is no bookie id"));
  }
  const metadata::ClusterPaths paths(session.uri().root);
  for (const std::string& path : {paths.Writable(bookie), paths.ReadOnly(bookie)}) {
    absl::StatusOr<metadata::Node> node = session.shard().RunUntil(session.store()->Get(path));
    if (CodeOf(node.status()) != ErrorCode::kNoSuchKey) return node;
  }
  return MakeError(ErrorCode::kNoSuchKey, StrCat("bookie ", bookie.value(), " is not registered"));
}

absl::StatusOr<int64_t> CountLedgers(Session& session, const metadata::Cluster& cluster) {
  Progress progress(session.env().clock, "counting ledgers", 0, "ledgers");
  return session.shard().RunUntil(
      Count(metadata::LedgerLister(session.store(), cluster.layout), &progress));
}

absl::StatusOr<std::vector<autorecovery::Reference>> ReferencesTo(Session& session,
                                                                  const BookieId& bookie) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  metadata::LedgerManager ledgers(session.env(), session.store(), cluster.layout);
  return session.shard().RunUntil(autorecovery::ReferencesTo(&ledgers, bookie));
}

}  // namespace stele::shell
