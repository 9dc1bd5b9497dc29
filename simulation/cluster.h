// Cluster: real bookies, real clients and one metadata server in one simulated world, each in a
// process and on a machine of its own. Tests stand outside and use the public API with futures.
#pragma once

#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "bookie/bookie.h"
#include "client/client.h"
#include "common/observe/log.h"
#include "simulation/world.h"

namespace stele::simulation {

// Counts lines; what a whole cluster says is read in a failing run only.
class ClusterLog final : public observe::Log {
 public:
  void Write(observe::LogLevel level, std::string_view message,
             std::initializer_list<observe::LogField> fields) override {
    ++lines_;
  }
  int64_t lines() const { return lines_; }

 private:
  int64_t lines_ = 0;
};

class Cluster {
 public:
  // Starts bookies 1 .. bookie_count ("b1:3181", ...).
  Cluster(uint64_t seed, int bookie_count);
  ~Cluster();

  World& world() { return world_; }

  // The bookie's process ends; what it wrote to its files stays, or (power) only what was durable.
  void Kill(int bookie);
  void PowerCut(int bookie);
  // Begins to start it again; it serves after a while.
  void Restart(int bookie);
  bool IsServing(int bookie) const { return *nodes_.at(bookie).bookie != nullptr; }
  // Why a bookie could not start or go on, if one could not.
  const std::vector<std::string>& failures() const { return failures_; }

  // A client in a new process.
  client::Client& NewClient(const std::string& name, client::ClientOptions options = {});
  void CrashClient(const std::string& name);

  // Runs the world until the future has its value; fails the process when nothing goes on.
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

  uint64_t trace_hash() { return world_.scheduler().trace().hash(); }

 private:
  struct Node {
    SimMachine* machine = nullptr;
    SimProcess* process = nullptr;
    // Outlives the process's lives; null while it does not serve.
    std::unique_ptr<bookie::Bookie*> bookie;
  };

  static bookie::BookieOptions OptionsOf(int bookie);
  void StartBookie(int bookie);

  World world_;
  ClusterLog log_;
  std::map<int, Node> nodes_;
  std::map<std::string, SimProcess*> clients_;
  std::vector<std::string> failures_;
};

}  // namespace stele::simulation
