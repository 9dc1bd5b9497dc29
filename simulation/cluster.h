// Cluster: real bookies, real clients and one metadata server in one simulated world, each in a
// process and on a machine of its own. Tests stand outside and use the public API with futures.
#pragma once

#include <chrono>
#include <functional>
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

inline constexpr uint16_t kBookiePort = 3181;

struct ClusterOptions {
  int bookies = 3;
  SchedulerOptions scheduler;
  SimNetworkOptions network;
  SimMetadataOptions metadata;
  // May change what a bookie is told at each of its starts.
  std::function<void(int bookie, bookie::BookieOptions* options)> adjust_bookie;
  // May put something between a bookie and the world, at each start of its process.
  std::function<void(int bookie, SimProcess* process, Env* env)> adjust_env;
  // Of the bookies; null: counted only. Outlives the cluster.
  observe::Log* log = nullptr;
  // A bookie could not start, or cannot go on. It may be killed, though not from within this call.
  std::function<void(int bookie, const absl::Status& why)> on_failure;
};

class Cluster {
 public:
  // Starts bookies 1 .. options.bookies ("b1:3181", ...), and waits until they serve or one cannot.
  explicit Cluster(ClusterOptions options);
  Cluster(uint64_t seed, int bookie_count)
      : Cluster(ClusterOptions{.bookies = bookie_count, .scheduler = {.seed = seed}}) {}
  ~Cluster();

  World& world() { return world_; }

  // The bookie's process ends; what it wrote to its files stays, or (power) only what was durable.
  void Kill(int bookie);
  void PowerCut(int bookie);
  // Begins to start it again; it serves after a while.
  void Restart(int bookie);
  bool IsServing(int bookie) const { return *nodes_.at(bookie).bookie != nullptr; }
  SimProcess* process(int bookie) { return nodes_.at(bookie).process; }
  SimMachine* machine(int bookie) { return nodes_.at(bookie).machine; }
  // Null while it does not serve.
  bookie::Bookie* bookie(int number) { return *nodes_.at(number).bookie; }
  // Why a bookie could not start or go on, if one could not.
  const std::vector<std::string>& failures() const { return failures_; }

  // Connects a client; for code that runs in a process of its own.
  //   store   of the process
  static Task<absl::StatusOr<std::unique_ptr<client::Client>>> Connect(
      Env env, metadata::MetadataStore* store, client::ClientOptions options);
  // A client in a new process.
  client::Client& NewClient(const std::string& name, client::ClientOptions options = {});
  SimProcess* client_process(const std::string& name) { return clients_.at(name); }
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

  bookie::BookieOptions OptionsOf(int bookie) const;
  void StartBookie(int bookie);
  void OnFailure(int bookie, const absl::Status& why);

  const ClusterOptions options_;
  World world_;
  ClusterLog log_;
  std::map<int, Node> nodes_;
  std::map<std::string, SimProcess*> clients_;
  std::vector<std::string> failures_;
};

}  // namespace stele::simulation
