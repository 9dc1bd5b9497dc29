// TestCluster: fake bookies, a metadata server and clients in the simulator. Tests stand outside
// and call the public API as another thread would, with futures.
//   TestCluster cluster;
//   cluster.AddBookies(3);                            // b1, b2, b3
//   Client& client = cluster.NewClient("writer");
//   WriteHandle writer = cluster.Get(client.CreateLedger().Create(UseFuture())).value();
#pragma once

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "client/testing/fake_bookie.h"
#include "client/testing/gated_store.h"
#include "common/base/ids.h"
#include "metadata/ledger_manager.h"
#include "metadata/ledger_metadata.h"
#include "simulation/world.h"

namespace stele::client {

class TestCluster {
 public:
  explicit TestCluster(uint64_t seed = 1);
  ~TestCluster();

  // Bookies b<n>, registered as writable.
  void AddBookies(int count);
  FakeBookie& bookie(const BookieId& id) { return *bookies_.at(id.value()).bookie; }
  FakeBookie& bookie(int number) { return bookie(Id(number)); }
  static BookieId Id(int number);
  void Unregister(const BookieId& id);
  void Register(const BookieId& id);
  // No connection gets through to it, and those that there are end.
  void Kill(const BookieId& id);
  void Revive(const BookieId& id);

  // A client in a process of its own.
  Client& NewClient(const std::string& name, ClientOptions options = {});
  GatedStore& store(const std::string& client) { return *clients_.at(client).store; }
  simulation::SimProcess* process(const std::string& client) { return clients_.at(client).process; }
  simulation::World& world() { return world_; }
  // The process ends without a word.
  void Crash(const std::string& client);

  // Runs the world until the future has its value, for two minutes of its time at most.
  template <typename T>
  T Get(std::future<T> future) {
    RunUntil([&] { return IsReady(future); });
    return future.get();
  }
  template <typename T>
  static bool IsReady(const std::future<T>& future) {
    return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  void RunUntil(absl::FunctionRef<bool()> done);
  void RunFor(absl::Duration duration);
  MonotonicTime Now() { return world_.scheduler().Now(); }

  // The metadata as it is stored, read and written by nobody's client.
  metadata::Versioned<metadata::LedgerMetadata> ReadMetadata(LedgerId id);
  metadata::Ensemble LastEnsemble(LedgerId id) {
    return ReadMetadata(id).value.last_fragment().ensemble;
  }
  void WriteMetadata(LedgerId id, metadata::LedgerMetadata value);
  LedgerId CreateMetadata(metadata::LedgerMetadata value);
  // An open ledger with one fragment on these bookies.
  LedgerId CreateLedger(quorum::Replication replication, std::vector<int> bookies);

  // Puts an entry on a bookie behind everybody's back, as a writer of this ledger would have.
  void Store(const BookieId& bookie, LedgerId ledger, int64_t entry, int64_t lac,
             int64_t length_bytes, const std::string& payload);
  // "0-41": the entries that a bookie has, in runs.
  std::string EntriesOf(const BookieId& bookie, LedgerId ledger);

 private:
  struct BookieProcess {
    simulation::SimProcess* process;
    std::unique_ptr<FakeBookie> bookie;
    std::unique_ptr<metadata::MetadataStore> store;
  };
  struct ClientProcess {
    simulation::SimProcess* process;
    GatedStore* store;
    Client* client;
  };

  template <typename T>
  T Run(Task<T> task);
  metadata::Cluster cluster();

  simulation::World world_;
  simulation::SimProcess* admin_;
  std::unique_ptr<metadata::MetadataStore> admin_store_;
  std::unique_ptr<metadata::LedgerManager> ledgers_;
  std::map<std::string, BookieProcess> bookies_;
  std::map<std::string, ClientProcess> clients_;
};

}  // namespace stele::client
