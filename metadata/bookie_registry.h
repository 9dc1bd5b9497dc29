// BookieRegistry: which bookies are up, and where, as a client sees it.
//
// What it knows survives an outage of the metadata store: lists and addresses are kept until the
// store says otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "common/seams/transport.h"
#include "metadata/cluster_paths.h"
#include "metadata/metadata_store.h"
#include "metadata/signal.h"

namespace stele::metadata {

struct BookieSet {
  uint64_t generation = 0;  // grows with each change
  // Sorted; no bookie is in both. One that is switching counts as read-only.
  std::vector<BookieId> writable;
  std::vector<BookieId> read_only;
  // Registrations under names that are no bookie ids, which are not believed. Apache's clients hang
  // on them: somebody should remove them.
  std::vector<std::string> invalid_names;

  bool IsUp(const BookieId& bookie) const;
};

// Belongs to one shard. Its tasks do not outlive it.
class BookieRegistry {
 public:
  // `env` (executor, clock, random) and `store` must outlive it.
  BookieRegistry(Env env, MetadataStore* store, ClusterPaths paths);

  // Lists the bookies, and from then on follows. Await once, before the rest.
  //   kConfig  the cluster is not initialised;  or an error of the store
  Task<absl::Status> Start();

  const BookieSet& bookies() const { return bookies_; }
  // Completes when bookies().generation is not `seen`.
  Task<void> WaitForChange(uint64_t seen);

  // Where to connect to a bookie that is registered, writable or read-only. Mostly from memory.
  //   kConnectionLost       it is not registered
  //   kCorruptData          its registration has no usable address
  //   kMetadataUnavailable, kStopped  nothing is known about it, and the store cannot be asked
  Task<absl::StatusOr<Endpoint>> Resolve(BookieId bookie);
  // The address did not answer: ask the store again.
  void Forget(const BookieId& bookie) { addresses_.erase(bookie); }

  // All bookies that ever joined and were not removed: those with a cookie. Sorted.
  Task<absl::StatusOr<std::vector<BookieId>>> AllBookies();

 private:
  struct Address {
    std::optional<Endpoint> endpoint;
    uint64_t changes = 0;  // that the watches have told of
    uint64_t read_at = 0;  // the count when `endpoint` was read
    std::unique_ptr<Watch> writable_watch;
    std::unique_ptr<Watch> read_only_watch;
  };

  Task<void> Follow();
  Task<absl::Status> List();
  Task<absl::StatusOr<std::vector<std::string>>> ChildrenOrNone(std::string path);
  void Accept(BookieSet bookies);
  std::shared_ptr<Address> AddressOf(const BookieId& bookie);
  // The registration; kNoSuchKey when there is none.
  Task<absl::StatusOr<Node>> ReadRegistration(BookieId bookie);

  Env env_;
  MetadataStore* store_;
  ClusterPaths paths_;
  BookieSet bookies_;
  std::map<BookieId, std::shared_ptr<Address>> addresses_;
  Notification accepted_;
  Signal changed_;
  std::unique_ptr<Watch> writable_watch_;
  std::unique_ptr<Watch> read_only_watch_;
  TaskScope tasks_;
};

}  // namespace stele::metadata
