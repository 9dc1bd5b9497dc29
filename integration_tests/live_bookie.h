// A `stele bookie` process for tests that do bad things to it, what they look at, and a client that
// must not notice.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "common/real/raw_peer.h"
#include "common/seams/transport.h"
#include "common/wire/bookie_messages.h"
#include "integration_tests/child_process.h"

namespace stele::integration {

// The path of the stele program, a data dependency of the test.
std::string SteleProgram();

class LiveBookie {
 public:
  struct Options {
    std::vector<std::string> settings;  // key=value, as lines of bk_server.conf
    int64_t descriptors = 0;            // at most so many files and sockets; 0: the test's limit
  };

  // Starts it on a free port, with data and an embedded metadata store in a new directory, and
  // waits until it serves. Aborts the test when it does not.
  explicit LiveBookie(Options options);
  LiveBookie(const LiveBookie&) = delete;
  LiveBookie& operator=(const LiveBookie&) = delete;
  // Kills it and removes its directory.
  ~LiveBookie();

  Endpoint endpoint() const { return endpoint_; }
  // The admin port, from what the running process said. Its host is empty when it is off.
  Endpoint http_endpoint() const { return EndpointOf("admin port"); }
  // That of gRPC, likewise.
  Endpoint grpc_endpoint() const { return EndpointOf("gRPC port"); }
  const std::string& directory() const { return directory_; }
  bool IsRunning() { return process_->IsRunning(); }
  void Signal(int signal) { process_->Signal(signal); }

  // What the process has in memory now, and how many files and sockets.
  int64_t resident_bytes() const;
  int64_t descriptors() const;

  // SIGTERM; the exit code.
  int Stop();
  // SIGKILL.
  void Kill();
  // Starts it again and sends SIGTERM after `delay`, whatever it is doing; the exit code.
  int StartAndStop(absl::Duration delay);
  // Starts it again, on another port. False when it ended instead of serving; then exit_code().
  bool Start();
  int exit_code() const { return exit_code_; }

  // All output so far.
  std::string log() const;
  // How often this kind of bad input came to the process that was stopped last.
  int64_t BadInputs(const std::string& reason) const;

 private:
  Endpoint EndpointOf(const std::string& port) const;
  std::string ready_file() const { return directory_ + "/ready"; }
  void Launch();

  const Options options_;
  std::string directory_;
  Endpoint endpoint_;
  std::unique_ptr<ChildProcess> process_;
  int exit_code_ = -1;
};

// One frame with its length before it.
std::string FrameOf(wire::Request request,
                    wire::ProtocolVersion version = wire::ProtocolVersion::kV3,
                    uint64_t txn_id = 1);
// The next frame without its length; empty when the connection ends instead.
std::string ReceiveFrame(real::RawPeer& peer);
// The next reply; adds a failure when there is none that can be decoded.
wire::Reply ReceiveReply(real::RawPeer& peer,
                         wire::ProtocolVersion version = wire::ProtocolVersion::kV3);
// One request on a connection of its own.
wire::Reply CallOnce(const Endpoint& to, wire::Request request,
                     wire::ProtocolVersion version = wire::ProtocolVersion::kV3);

// Appends to a ledger of its own, all the time, one entry after the other, on one connection.
class HealthyWriter {
 public:
  explicit HealthyWriter(const Endpoint& to);
  ~HealthyWriter();

  // Returns after one more append was acknowledged that had not been when it was called. False: the
  // writer's connection has failed, or nothing was acknowledged for long.
  bool AwaitProgress();

 private:
  void Run();

  real::RawPeer peer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t begun_ = 0;
  int64_t acknowledged_ = 0;
  bool failed_ = false;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace stele::integration
