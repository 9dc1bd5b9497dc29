// RepairCluster: a simulated cluster with auditors and replication workers in processes of their
// own, and a way to ask each bookie directly what it has.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "autorecovery/auto_recovery.h"
#include "autorecovery/cluster_check.h"
#include "autorecovery/internal/testing/counting_store.h"
#include "autorecovery/references.h"
#include "client/client.h"
#include "common/base/ids.h"
#include "common/quorum/write_set.h"
#include "metadata/autorecovery_records.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/ledger_manager.h"
#include "metadata/underreplicated_queue.h"
#include "simulation/cluster.h"

namespace stele::autorecovery {

class RepairCluster {
 public:
  explicit RepairCluster(simulation::ClusterOptions options);
  RepairCluster(uint64_t seed, int bookie_count)
      : RepairCluster(
            simulation::ClusterOptions{.bookies = bookie_count, .scheduler = {.seed = seed}}) {}
  ~RepairCluster();

  simulation::Cluster& cluster() { return cluster_; }
  simulation::World& world() { return cluster_.world(); }
  client::Client& client() { return *client_; }
  static BookieId Id(int bookie) { return BookieId("b" + std::to_string(bookie) + ":3181"); }

  // No delay, no storm guard, short waits.
  static AutorecoveryOptions QuickOptions();

  // Auditor and worker in a new process.
  void StartAutorecovery(const std::string& name, AutorecoveryOptions options = QuickOptions());
  AutoRecovery& autorecovery(const std::string& name) { return **processes_.at(name).running; }
  // On the metadata store, since the start.
  int64_t OperationsOf(const std::string& name) { return processes_.at(name).store->operations(); }
  CountingStore* store(const std::string& name) { return processes_.at(name).store; }
  simulation::SimProcess* process(const std::string& name) { return processes_.at(name).process; }
  void CrashAutorecovery(const std::string& name);
  void StopAutorecovery(const std::string& name);

  // A ledger with so many entries; closed, or left open by a writer that is kept.
  LedgerId WriteLedger(quorum::Replication replication, int64_t entries);
  client::WriteHandle OpenLedger(quorum::Replication replication, int64_t entries);
  static std::string PayloadOf(LedgerId ledger, int64_t entry);
  void Append(client::WriteHandle& writer, int64_t first, int64_t count);

  metadata::LedgerMetadata Metadata(LedgerId ledger);
  // Which of the ledger's bookies is number `index` of the fragment.
  int BookieAt(LedgerId ledger, size_t fragment, BookieIndex index);
  static int NumberOf(const BookieId& bookie);

  // Runs until there is no task, no lock, and nothing being repaired.
  void RunUntilRepaired();
  size_t CountTasks();
  size_t CountLocks();
  std::optional<metadata::RepairTask> FindTask(LedgerId ledger);
  bool Mark(LedgerId ledger, std::vector<BookieId> replicas);

  // Every entry up to the end is on every bookie that metadata names for it, with a right digest
  // and the bytes that were written; no bookie is named twice. Asks the bookies themselves.
  //   except   named, but not asked: it is known to be down
  void ExpectFullyReplicated(LedgerId ledger, std::vector<BookieId> except = {});

  // Makes metadata name another bookie, behind everybody's back: one that has nothing, as a bookie
  // that was wiped has nothing.
  void NameInstead(LedgerId ledger, BookieIndex index, const BookieId& bookie);
  // The same for its end: the ledger is closed with so many entries, whatever bookies have of it.
  void CloseByHand(LedgerId ledger, int64_t entries);

  CheckReport Check(CheckDepth depth);
  std::vector<Reference> ReferencesTo(const BookieId& bookie);

  metadata::AutorecoverySettings& settings() { return *settings_; }
  metadata::AutorecoveryRecords& records() { return *records_; }
  metadata::MetadataStore* store() { return store_; }

  // Runs the world until `task`, started in the process of the test, has ended.
  template <typename T>
  T Run(Task<T> task) {
    return RunIn(admin_, std::move(task));
  }
  // The same in another process: for what belongs to it.
  template <typename T>
  T RunIn(simulation::SimProcess* process, Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    process->Spawn(Keep(std::move(task), result));
    cluster_.RunUntil([&] { return result->has_value(); });
    return *std::move(*result);
  }

 private:
  struct Process {
    simulation::SimProcess* process = nullptr;
    std::unique_ptr<AutoRecovery*> running;
    CountingStore* store = nullptr;
  };
  template <typename T>
  static Task<void> Keep(Task<T> task, std::shared_ptr<std::optional<T>> result) {
    *result = co_await std::move(task);
  }

  std::unique_ptr<ClusterCheck> OpenCheck();

  simulation::Cluster cluster_;
  client::Client* client_;
  simulation::SimProcess* admin_;
  metadata::MetadataStore* store_;
  std::unique_ptr<metadata::UnderreplicatedQueue> queue_;
  std::unique_ptr<metadata::AutorecoverySettings> settings_;
  std::unique_ptr<metadata::AutorecoveryRecords> records_;
  std::unique_ptr<metadata::LedgerManager> ledgers_;
  std::map<std::string, Process> processes_;
};

}  // namespace stele::autorecovery
