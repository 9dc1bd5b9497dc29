// A real ZooKeeper server (Debian's package, standalone mode) for tests: on a port of its own, with
// its data under $TEST_TMPDIR, and gone with the object or the test.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <sys/types.h>

#include "absl/time/time.h"
#include "integration_tests/child_process.h"

namespace stele::integration {

class ZooKeeperServer {
 public:
  struct Options {
    // The server's unit of time: sessions live for 2 to 20 ticks (also the bounds of what a client
    // may ask for) and end on a multiple of it.
    absl::Duration tick = absl::Milliseconds(100);
  };

  // Starts it and waits until it serves. Aborts the test when it does not.
  explicit ZooKeeperServer(Options options);
  ZooKeeperServer() : ZooKeeperServer(Options()) {}
  ZooKeeperServer(const ZooKeeperServer&) = delete;
  ZooKeeperServer& operator=(const ZooKeeperServer&) = delete;
  // Kills it and removes its data.
  ~ZooKeeperServer();

  uint16_t port() const { return port_; }
  // "127.0.0.1:port".
  std::string connect_string() const;

  // As a crash: nothing is said to clients.
  void Kill();
  // On the same port and data, after Kill(). Waits until it serves.
  void Restart();
  // The process stops running but keeps its connections, as in a long pause.
  void Pause();
  void Resume();

  // The answer to one of the four-letter commands, such as "srvr" or "dump"; empty when there is no
  // connection.
  std::string Ask(const std::string& command) const;

 private:
  void StartProcess();
  // False when the process ended, for example since somebody took the port.
  bool WaitUntilServing();

  const Options options_;
  std::string directory_;
  uint16_t port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

// A port of 127.0.0.1 that was free a moment ago.
uint16_t PickFreePort();

}  // namespace stele::integration
