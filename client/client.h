// Client: the way into a cluster of bookies.
//
//   Task<absl::Status> CopyGreeting(Client& client, std::string password) {
//     STELE_CO_TRY(WriteHandle writer, co_await client.CreateLedger()
//         .Replication({.ensemble_size = 5, .write_quorum_size = 3, .ack_quorum_size = 2})
//         .Password(password).Create());
//     STELE_CO_TRY(EntryId last, co_await writer.Append(Buffer::CopyOf("hello")));
//     STELE_CO_TRY(ReadHandle reader,
//                  co_await client.OpenLedger(writer.id()).Password(password).Recover().Open());
//     STELE_CO_TRY(std::vector<Entry> entries, co_await reader.Read(EntryId(0), last));
//     ...
#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/builders.h"
#include "client/client_options.h"
#include "client/entry.h"
#include "client/read_handle.h"
#include "client/tail_stream.h"
#include "client/write_handle.h"
#include "common/async/launch.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/ledger_metadata.h"

namespace stele::metadata {
class MetadataStore;
struct Cluster;
}  // namespace stele::metadata

namespace stele::client {

class ClientCore;
class ClientEdge;

// The ledger ids of a cluster, ascending.
using LedgerIds = std::vector<LedgerId>;

// Belongs to one shard: it is made and destroyed there, not inside a callback of its own. Its calls
// and those of its handles come from any thread (see WriteHandle). Handles may outlive it; they
// then fail with kStopped.
class Client {
 public:
  // Finds the bookies of the cluster.
  //   env, store   of the client's shard; they outlive it and all handles' pending calls
  //   cluster      see metadata/cluster_init.h
  //   errors       kConfig               the cluster is not initialised
  //                kMetadataUnavailable
  static Task<absl::StatusOr<std::unique_ptr<Client>>> Connect(Env env,
                                                               metadata::MetadataStore* store,
                                                               metadata::Cluster cluster,
                                                               ClientOptions options);
  // Abandons whatever is under way. Futures that wait get kStopped; callbacks are not called.
  ~Client();

  // A new ledger and its writer.
  CreateLedgerBuilder CreateLedger();

  // A reader of a ledger.
  OpenLedgerBuilder OpenLedger(LedgerId id);

  // Deletes the ledger's metadata; the bookies collect the entries later. Ok when there is none. A
  // writer is not told.
  //   errors   kInvalidArgument   the id is below 0
  //            kMetadataUnavailable   EffectOf() tells
  Task<absl::Status> DeleteLedger(LedgerId id);
  std::future<absl::Status> DeleteLedger(LedgerId id, UseFuture);
  void DeleteLedger(LedgerId id, StatusCallback done);

  // All ledgers. Those made or deleted meanwhile may be missing or not.
  Task<absl::StatusOr<LedgerIds>> ListLedgers();
  std::future<absl::StatusOr<LedgerIds>> ListLedgers(UseFuture);
  void ListLedgers(Callback<LedgerIds> done);

  // What the cluster knows about a ledger now.
  //   errors   kNoSuchLedgerMetadata, kCorruptData, kMetadataUnavailable
  Task<absl::StatusOr<metadata::LedgerMetadata>> ReadMetadata(LedgerId id);
  std::future<absl::StatusOr<metadata::LedgerMetadata>> ReadMetadata(LedgerId id, UseFuture);
  void ReadMetadata(LedgerId id, Callback<metadata::LedgerMetadata> done);

  // Fails everything pending with kStopped and accepts nothing more. Ledgers that are open stay
  // open. Completes when nothing runs any more; destroy the client then.
  Task<absl::Status> Close();
  std::future<absl::Status> Close(UseFuture);
  void Close(StatusCallback done);

 private:
  explicit Client(std::unique_ptr<ClientCore> core, Executor* executor);

  std::unique_ptr<ClientCore> core_;
  std::shared_ptr<ClientEdge> edge_;
};

}  // namespace stele::client
