// BookieWorld: one bookie in a simulated world, a peer to talk to it, and the ways in which both
// can suffer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bookie/bookie.h"
#include "bookie/testing/wire_client.h"
#include "common/observe/log.h"
#include "simulation/world.h"

namespace stele::bookie {

// Keeps the lines, for tests that look for one.
class MemoryLog final : public observe::Log {
 public:
  void Write(observe::LogLevel level, std::string_view message,
             std::initializer_list<observe::LogField> fields) override;
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

class BookieWorld {
 public:
  explicit BookieWorld(uint64_t seed, BookieOptions options = DefaultOptions());

  // Small files and short intervals, one journal and one ledger directory.
  static BookieOptions DefaultOptions();

  // Starts the bookie's process (again). Its status is that of Bookie::Start.
  absl::Status Start();
  absl::Status Stop();
  // SIGKILL: what was written to files stays.
  void Kill();
  // The power fails: what was not durable may be gone.
  void PowerCut();

  Bookie* bookie() { return bookie_; }
  const std::optional<absl::Status>& fatal() const { return fatal_; }
  BookieOptions& options() { return options_; }
  MemoryLog& log() { return log_; }
  simulation::World& world() { return world_; }
  simulation::SimMachine* machine() { return machine_; }
  simulation::SimProcess* process() { return process_; }
  simulation::SimProcess* peer() { return peer_; }
  Env peer_env() { return world_.env(peer_); }

  // Runs a task of the peer to its end.
  void Run(Task<void> task);
  // One request on a connection of its own.
  wire::Reply Call(wire::ProtocolVersion version, wire::Request request);
  wire::ReplyCode CodeOfCall(wire::Request request) {
    return Call(wire::ProtocolVersion::kV3, std::move(request)).code;
  }
  // The payload of an entry that is served and good; else the name of the code.
  std::string PayloadOfRead(const LedgerRequests& requests, int64_t entry,
                            wire::ProtocolVersion version = wire::ProtocolVersion::kV3);
  Endpoint endpoint() const { return {"bookie", 3181}; }

 private:
  simulation::World world_;
  simulation::SimMachine* machine_;
  simulation::SimMachine* peer_machine_;
  simulation::SimProcess* process_;
  simulation::SimProcess* peer_;
  BookieOptions options_;
  MemoryLog log_;
  Bookie* bookie_ = nullptr;  // in the process
  std::optional<absl::Status> fatal_;
};

}  // namespace stele::bookie
