// ClientCore: one client: its bookies, its metadata, its handles. On its shard.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client_options.h"
#include "client/internal/bookie_memory.h"
#include "client/internal/client_context.h"
#include "client/internal/ledger_reader.h"
#include "client/internal/ledger_writer.h"
#include "client/internal/placement_policy.h"
#include "client/internal/wire_bookie_client.h"
#include "common/async/launch.h"
#include "common/async/launch_queue.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/digest_type.h"
#include "common/quorum/write_set.h"
#include "metadata/bookie_registry.h"
#include "metadata/cluster_init.h"
#include "metadata/ledger_manager.h"
#include "metadata/metadata_store.h"

namespace stele::client {

struct CreateSpec {
  quorum::Replication replication{3, 2, 2};
  DigestType digest_type = DigestType::kCrc32;
  std::string password;
  std::map<std::string, std::string> custom_metadata;
  std::optional<LedgerId> id;  // none: generated
  LedgerWriter::Mode mode;
};

struct OpenSpec {
  LedgerId id;
  std::string password;
  bool recover = false;
};

// A handle's state, which the client holds too: it is let go on the shard, by Release or by the
// client's end, whatever thread the user's handle dies on.
template <typename State>
struct Held {
  uint64_t number = 0;
  std::shared_ptr<State> state;
};

class ClientCore {
 public:
  // What `env` points to, and `store`, outlive this object.
  ClientCore(const Env& env, metadata::MetadataStore* store, metadata::Cluster cluster,
             ClientOptions options);
  // Abandons what is under way.
  ~ClientCore();

  Task<absl::Status> Start();

  const std::shared_ptr<LaunchQueue>& queue() { return queue_; }
  ClientContext& context() { return context_; }
  metadata::LedgerManager& ledgers() { return ledgers_; }
  metadata::BookieRegistry& registry() { return registry_; }
  // Operations that users wait for.
  TaskScope& operations() { return operations_; }

  Task<absl::StatusOr<Held<LedgerWriter>>> Create(CreateSpec spec);
  Task<absl::StatusOr<Held<LedgerReader>>> Open(OpenSpec spec);
  Task<absl::StatusOr<Held<LedgerWriter>>> Claim(OpenSpec spec);
  void Release(const Held<LedgerWriter>& held) { writers_.erase(held.number); }
  void Release(const Held<LedgerReader>& held) { readers_.erase(held.number); }
  Task<absl::Status> Delete(LedgerId id);
  Task<absl::StatusOr<metadata::Versioned<metadata::LedgerMetadata>>> ReadMetadata(LedgerId id);
  Task<absl::StatusOr<std::vector<LedgerId>>> ListLedgers();

  // Ends everything: appends, reads and other operations fail with kStopped; ledgers that are open
  // stay open.
  Task<absl::Status> Close();
  // The same, whether or not anybody waits for it.
  void StartClose(StatusCallback done);

 private:
  Task<void> FollowBookies();
  metadata::RetryOptions Retry() const;
  // A writer of a ledger whose metadata we have just written.
  absl::StatusOr<Held<LedgerWriter>> MakeWriter(
      LedgerId id, metadata::Versioned<metadata::LedgerMetadata> metadata, std::string password,
      LedgerWriter::Mode mode);
  absl::StatusOr<metadata::LedgerMetadata> NewMetadata(const CreateSpec& spec);

  const Env env_;
  std::shared_ptr<LaunchQueue> queue_;
  metadata::LedgerManager ledgers_;
  metadata::BookieRegistry registry_;
  std::unique_ptr<Random> placement_random_;
  PlacementPolicy placement_;
  BookieMemory slow_bookies_;
  BookieMemory bookies_without_batches_;
  WireBookieClient bookies_;
  ClientContext context_;
  uint64_t handles_made_ = 0;
  std::map<uint64_t, std::shared_ptr<LedgerWriter>> writers_;
  std::map<uint64_t, std::shared_ptr<LedgerReader>> readers_;
  bool is_closed_ = false;
  TaskScope background_;
  TaskScope closing_;
  TaskScope operations_;
};

}  // namespace stele::client
