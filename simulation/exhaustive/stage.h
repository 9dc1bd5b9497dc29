// Stage: a small cluster on which a script plays. Bookies that die are started again, as by a
// supervisor; what applications are told goes to the oracle. A script stands outside; its calls
// return when there is an answer, or when the process that asked has died. Nothing that fails ends
// a script: after it, Reckon() heals the world and looks whether all that was promised is kept.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "bookie/bookie.h"
#include "client/client.h"
#include "common/observe/log.h"
#include "simulation/exhaustive/injector.h"
#include "simulation/exhaustive/oracle.h"
#include "simulation/world.h"

namespace stele::simulation {

struct StageOptions {
  uint64_t seed = 1;
  int bookies = 4;
  // Changes the small and quick options that bookies and clients have here.
  std::function<void(bookie::BookieOptions*)> tune_bookie = nullptr;
  std::function<void(client::ClientOptions*)> tune_client = nullptr;
};

// A process of an application.
struct Actor {
  SimProcess* process = nullptr;
  client::Client* client = nullptr;
  // Its handles, by ledger.
  std::map<LedgerId, client::WriteHandle> writers;
  std::map<LedgerId, client::ReadHandle> readers;
  // Nobody is there: it could not connect, or it has died.
  bool gone() const { return client == nullptr || !process->alive(); }
};

struct CreateOptions {
  quorum::Replication replication = {
      .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};
  bool caller_ids = false;
  bool deferred_sync = false;
  std::optional<LedgerId> id = std::nullopt;
};

class Stage {
 public:
  // All bookies serve. The injector must outlive the stage.
  Stage(StageOptions options, Injector* injector);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage();

  World& world() { return world_; }

  // ---- Applications
  Actor* Connect(const std::string& name);
  // Kills the process.
  void Kill(Actor* actor);

  // Null when it failed.
  LedgerOracle* Create(Actor* actor, CreateOptions options = {});
  // Appends so many entries at once, and waits for the answers.
  void Append(Actor* actor, LedgerOracle* ledger, int count);
  // Does not wait.
  void StartAppends(Actor* actor, LedgerOracle* ledger, int count);
  void AwaitAppends(Actor* actor);
  // With ids of the caller, in this order.
  void AppendAt(Actor* actor, LedgerOracle* ledger, std::vector<int64_t> entries);
  absl::Status Force(Actor* actor, LedgerOracle* ledger);
  absl::Status Close(Actor* actor, LedgerOracle* ledger);
  absl::Status Recover(Actor* actor, LedgerOracle* ledger);
  // Several at once.
  void RecoverTogether(std::vector<Actor*> actors, LedgerOracle* ledger);
  // Without recovery.
  absl::Status OpenForReading(Actor* actor, LedgerOracle* ledger);
  // Everything up to the LAC, which is asked for first.
  absl::Status ReadAll(Actor* actor, LedgerOracle* ledger);
  void WaitForEntry(Actor* actor, LedgerOracle* ledger, EntryId entry);
  absl::Status Delete(Actor* actor, LedgerOracle* ledger);

  // ---- Bookies, by number from 1
  void KillBookie(int bookie);
  void PowerCutBookie(int bookie);
  // Ends it in order, and starts it again.
  void RestartBookie(int bookie);
  // Leaves it dead until Reckon().
  void KeepDown(int bookie) { nodes_.at(bookie).is_kept_down = true; }
  void AddBookie(int bookie);
  void AwaitAllServing();
  // Two passes, more than a grace period apart when gc_interval is shorter than a second.
  void CollectGarbage(int bookie, std::optional<bookie::CompactionKind> compact = std::nullopt);

  void RunFor(absl::Duration duration);

  // Heals the world and checks that all promises are kept, also after all bookies have lost their
  // power at once. Call once, at the end.
  void Reckon();

  // What went wrong; empty: all is well.
  const std::vector<std::string>& faults() const { return faults_; }

 private:
  struct Node {
    SimMachine* machine = nullptr;
    SimProcess* process = nullptr;
    bookie::Bookie* bookie = nullptr;
    bool has_failed = false;  // it could not start, or not go on
    bool is_restarting = false;
    bool is_kept_down = false;
    std::string why;
  };

  void Boot(int bookie);
  static Task<void> RunBookie(Env env, Node* node, metadata::MetadataStore* store,
                              bookie::BookieOptions options, observe::Log* log);
  bookie::BookieOptions OptionsOf(int bookie) const;
  // Between two steps: finishes a power cut, and starts again what has died.
  void Supervise();
  // Runs until it is so. False after kPatience.
  bool RunUntil(absl::FunctionRef<bool()> done);
  // Waits for the answer to a call of the actor. Nothing when the actor has died, or after
  // kPatience, which is a fault.
  template <typename T>
  bool AwaitAnswer(Actor* actor, const std::shared_ptr<std::optional<T>>& answer,
                   std::string_view call);
  void Fault(std::string text) { faults_.push_back(std::move(text)); }
  client::WriteHandle* WriterOf(Actor* actor, LedgerOracle* ledger);
  // Runs a task of the actor's process to its end.
  void RunTask(Actor* actor, Task<void> task);
  // Until it is true, a few times: what was healed needs a while before it works again.
  void TryForAWhile(absl::FunctionRef<bool()> attempt);
  void CheckLedger(Actor* actor, LedgerOracle* ledger);
  // Every entry has an ack quorum of good copies where the metadata say.
  void CheckCopies(Actor* actor, LedgerOracle* ledger);
  // Fences the ledger on every bookie of its last ensemble; and looks that it stays fenced.
  void FenceEverywhere(Actor* actor, LedgerOracle* ledger);
  void CheckFences(Actor* actor);
  void CheckOldWriters();
  void CheckNewLedger(Actor* actor);

  StageOptions options_;
  Injector* injector_;
  std::vector<std::string> faults_;
  class SilentLog;
  std::unique_ptr<observe::Log> log_;
  World world_;
  std::map<int, Node> nodes_;
  std::vector<std::unique_ptr<Actor>> actors_;
  absl::flat_hash_map<Actor*, std::shared_ptr<int>> appends_pending_;
  std::vector<std::unique_ptr<LedgerOracle>> ledgers_;
  absl::flat_hash_map<LedgerOracle*, CreateOptions> created_with_;
  std::vector<std::pair<LedgerOracle*, BookieId>> fenced_;  // who has said so
  std::optional<std::string> power_cut_;                    // the host that is losing its power
};

}  // namespace stele::simulation
