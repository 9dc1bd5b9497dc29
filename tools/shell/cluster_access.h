// What several commands ask of the cluster of a session.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "autorecovery/cluster_check.h"
#include "autorecovery/references.h"
#include "metadata/bookie_registry.h"
#include "metadata/metadata_store.h"
#include "tools/shell/session.h"

namespace stele::shell {

// A ClusterCheck of the session's cluster, closed at the end.
class Checker {
 public:
  static absl::StatusOr<std::unique_ptr<Checker>> Open(Session& session);
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;
  ~Checker();

  autorecovery::ClusterCheck* operator->() const { return check_.get(); }
  autorecovery::ClusterCheck* get() const { return check_.get(); }

 private:
  explicit Checker(Session& session) : session_(session) {}
  Session& session_;
  std::unique_ptr<autorecovery::ClusterCheck> check_;
};

// Knows who is registered.
absl::StatusOr<std::unique_ptr<metadata::BookieRegistry>> OpenRegistry(Session& session);

// What a bookie has registered, writable or read-only.
//   kInvalidArgument   that is no bookie id
//   kNoSuchKey         it is not registered
absl::StatusOr<metadata::Node> ReadRegistration(Session& session, const BookieId& bookie);

// Shows how far it has got.
absl::StatusOr<int64_t> CountLedgers(Session& session, const metadata::Cluster& cluster);

// Errors: autorecovery::ReferencesTo.
absl::StatusOr<std::vector<autorecovery::Reference>> ReferencesTo(Session& session,
                                                                  const BookieId& bookie);

}  // namespace stele::shell
