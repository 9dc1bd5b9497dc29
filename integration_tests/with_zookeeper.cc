// Runs a command with a ZooKeeper server beside it, and STELE_METADATA naming a cluster there. For
// tests that are scripts. Usage: with_zookeeper COMMAND...; the exit code is the command's.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/strings.h"
#include "integration_tests/child_process.h"
#include "integration_tests/zookeeper_server.h"

int main(int argc, char** argv) {
  using stele::integration::ChildProcess;
  if (argc < 2) {
    std::fprintf(stderr, "usage: with_zookeeper COMMAND...\n");
    return 2;
  }
  const stele::integration::ZooKeeperServer server;
  const auto command =
      ChildProcess::Start({.argv = std::vector<std::string>(argv + 1, argv + argc),
                           .environment = {stele::StrCat("STELE_METADATA=zk+hierarchical://",
                                                         server.connect_string(), "/ledgers")}});
  while (const auto line = command->ReadLine(absl::Minutes(10))) std::puts(line->c_str());
  return command->Wait();
}
