// AutorecoveryService: stele.admin.v1.Autorecovery (proto/stele_admin.proto). Pure: the shard of
// `stele autorecovery` calls it, sockets are elsewhere.
#pragma once

#include "autorecovery/admin/autorecovery_operations.h"
#include "autorecovery/drain.h"
#include "common/rpc/router.h"
#include "common/seams/env.h"

namespace stele::admin::v1 {
class DrainProgress;
}  // namespace stele::admin::v1

namespace stele::autorecovery {

class AutorecoveryService {
 public:
  // Drains that are watched at the same time.
  static constexpr int kDrainsWatchedMax = 4;

  // `operations`, and what `env` points to, outlive it.
  AutorecoveryService(Env env, AutorecoveryOperations* operations)
      : env_(env), operations_(operations) {}

  // `router` does not outlive it.
  void AddTo(rpc::Router& router);

 private:
  using Stream = rpc::ReplyStream<admin::v1::DrainProgress>;

  Task<absl::Status> Drain(BookieId bookie, bool dry_run, Stream to);
  Task<absl::Status> Watch(AutorecoveryOperations::Running running, BookieId bookie, bool dry_run,
                           Stream to);
  Task<absl::Status> Follow(metadata::LedgerManager* ledgers,
                            metadata::AutorecoveryRecords* records, BookieId bookie, bool dry_run,
                            Stream to);

  const Env env_;
  AutorecoveryOperations* const operations_;
  int drains_watched_ = 0;
};

}  // namespace stele::autorecovery
