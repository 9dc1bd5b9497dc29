// A cluster of real processes: ZooKeeper, and bookies of which each is Apache's or ours. A bookie
// keeps its configuration file and its directories when its kind changes.
#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "integration_tests/child_process.h"
#include "integration_tests/java/driver.h"
#include "integration_tests/zookeeper_server.h"

namespace stele::integration {

enum class BookieKind { kStele, kJava };

class Cluster {
 public:
  struct Options {
    std::vector<BookieKind> bookies;
    // Who makes the cluster's nodes in ZooKeeper.
    BookieKind initialised_by = BookieKind::kStele;
    std::string layout = "hierarchical";
    // More lines of each bookie's configuration.
    std::vector<std::string> configuration;
  };

  // Waits until all bookies are registered.
  explicit Cluster(Options options);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster();

  const std::string& metadata_uri() const { return uri_; }
  const std::string& directory() const { return directory_; }
  ZooKeeperServer& zookeeper() { return *zookeeper_; }
  size_t size() const { return bookies_.size(); }
  std::string bookie_id(size_t index) const;
  std::string config_path(size_t index) const;
  std::string journal_directory(size_t index) const;
  std::string ledger_directory(size_t index) const;
  std::string log_path(size_t index) const;

  // More lines of its configuration, from its next start on, in place of those of the call before.
  void Configure(size_t index, const std::vector<std::string>& lines);
  // Waits until it is registered, as writable or as read-only.
  void Start(size_t index, BookieKind kind);
  void Start(size_t index) { Start(index, bookies_[index].kind); }
  // As a crash, with SIGKILL; and as an operator, with SIGTERM, until it has ended.
  void Kill(size_t index);
  void Stop(size_t index);
  // The process stands still and keeps its connections.
  void Pause(size_t index) { bookies_[index].process->Signal(SIGSTOP); }
  void Resume(size_t index) { bookies_[index].process->Signal(SIGCONT); }
  bool IsRunning(size_t index) { return bookies_[index].process != nullptr; }
  void StartAllThatAreDown();

  std::unique_ptr<Driver> Connect(ClientKind kind, std::vector<std::string> settings = {});

  // An auditor and a replication worker. `arguments` are for ours.
  std::unique_ptr<ChildProcess> StartAutorecovery(BookieKind kind,
                                                  std::vector<std::string> arguments = {});

  struct Output {
    int exit_code;
    std::string text;  // standard output and error
  };
  // A bookie, once, until it ends: one that does not start.
  Output RunBookie(size_t index, BookieKind kind);
  // `stele ARGUMENTS`, and a command of Apache's `bookkeeper shell`, with the configuration of
  // bookie 0.
  Output RunStele(const std::vector<std::string>& arguments);
  Output RunShell(const std::vector<std::string>& arguments);

 private:
  struct Bookie {
    BookieKind kind;
    uint16_t port;
    std::unique_ptr<ChildProcess> process;
    std::string old_session;  // that held the registration before the process was started
  };
  std::vector<std::string> CommandOf(size_t index, BookieKind kind) const;
  void Launch(size_t index);
  void WaitUntilRegistered(size_t index);
  // The ZooKeeper session that holds the bookie's registration; empty when there is none.
  std::string RegisteredBy(size_t index) const;
  Output Run(std::vector<std::string> argv);

  const Options options_;
  std::string directory_;
  std::unique_ptr<ZooKeeperServer> zookeeper_;
  std::string uri_;
  std::vector<Bookie> bookies_;
  int drivers_ = 0;
  int runs_ = 0;
};

}  // namespace stele::integration
