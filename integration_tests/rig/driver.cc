// The applications of a tormented cluster: a process of one role, on the public client.
//
//   driver ROLE NAME=VALUE...
//     ROLE   writer, caller-id-writer, deferred-writer, tailer, reader, deleter or recoverer
//     metadata=URI history=FILE process=NAME first_number=N seed=N threads=N
//     replication=E/QW/QA digest=crc32c|crc32|mac entries=N window=N payload=BYTES pause_ms=N
//     timeout_ms=N                of one request to a bookie
//     delay_ensemble_change=1 explicit_lac_ms=N
//
// On standard input it is told: "ledger ID" (there is one to read or recover), "quit" or the end.
// It then waits for all its calls. Exit code: 0; 2: bad arguments; 3: a call did not end in time.
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "client/real.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "integration_tests/rig/roles.h"

namespace stele::rig {
namespace {

constexpr std::chrono::seconds kPatience(120);

[[noreturn]] void Refuse(const std::string& what) {
  std::fprintf(stderr, "driver: %s\n", what.c_str());
  std::exit(2);
}

class Arguments {
 public:
  Arguments(int argc, char** argv) {
    for (int i = 2; i < argc; ++i) {
      const std::string argument = argv[i];
      const size_t equals = argument.find('=');
      if (equals == std::string::npos) Refuse("expected NAME=VALUE: " + argument);
      values_[argument.substr(0, equals)] = argument.substr(equals + 1);
    }
  }
  // Takes it, so that what is left at the end is unknown.
  std::string Text(const std::string& name, const std::string& otherwise) {
    const auto found = values_.find(name);
    if (found == values_.end()) return otherwise;
    return std::move(values_.extract(found).mapped());
  }
  int64_t Number(const std::string& name, int64_t otherwise) {
    const std::string text = Text(name, std::to_string(otherwise));
    int64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
      Refuse(name + " is not a number: " + text);
    }
    return value;
  }
  void RefuseTheRest() const {
    if (!values_.empty()) Refuse("unknown argument " + values_.begin()->first);
  }

 private:
  std::map<std::string, std::string> values_;
};

RoleOptions RoleOptionsOf(Arguments& arguments) {
  RoleOptions options;
  const std::string replication = arguments.Text("replication", "3/3/2");
  if (std::sscanf(replication.c_str(), "%d/%d/%d", &options.replication.ensemble_size,
                  &options.replication.write_quorum_size,
                  &options.replication.ack_quorum_size) != 3) {
    Refuse("replication is E/QW/QA: " + replication);
  }
  const std::string digest = arguments.Text("digest", "crc32c");
  options.digest = digest == "mac"     ? DigestType::kMac
                   : digest == "crc32" ? DigestType::kCrc32
                                       : DigestType::kCrc32c;
  options.entries_max = static_cast<int>(arguments.Number("entries", options.entries_max));
  options.window_max = static_cast<int>(arguments.Number("window", options.window_max));
  options.payload_max_bytes =
      static_cast<size_t>(arguments.Number("payload", options.payload_max_bytes));
  options.pause = absl::Milliseconds(arguments.Number("pause_ms", 0));
  return options;
}

client::ClientOptions ClientOptionsOf(Arguments& arguments) {
  client::ClientOptions options;
  options.add_timeout = absl::Milliseconds(arguments.Number("timeout_ms", 1000));
  options.read_timeout = options.add_timeout;
  options.connect_timeout = options.add_timeout;
  options.speculative_read_timeout = options.add_timeout / 4;
  options.metadata_timeout = absl::Seconds(10);
  options.append_quorum_timeout = absl::Seconds(20);
  options.delay_ensemble_change = arguments.Number("delay_ensemble_change", 0) != 0;
  options.explicit_lac_interval = absl::Milliseconds(arguments.Number("explicit_lac_ms", 0));
  return options;
}

using Role = void (*)(RoleContext);

Role FindRole(const std::string& name) {
  static const std::map<std::string, Role> kRoles = {{"writer", RunWriter},
                                                     {"caller-id-writer", RunCallerIdWriter},
                                                     {"deferred-writer", RunDeferredWriter},
                                                     {"tailer", RunTailer},
                                                     {"reader", RunCatchUpReader},
                                                     {"deleter", RunDeleter},
                                                     {"recoverer", RunRecoverer}};
  const auto found = kRoles.find(name);
  if (found == kRoles.end()) Refuse("unknown role " + name);
  return found->second;
}

// The cluster may be in trouble at this very moment.
std::unique_ptr<client::Connection> Connect(const std::string& uri,
                                            const client::ClientOptions& options) {
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    auto opened = client::Connection::Open(uri, options);
    if (opened.ok()) return *std::move(opened);
    if (CodeOf(opened.status()) == ErrorCode::kConfig ||
        std::chrono::steady_clock::now() > give_up) {
      Refuse(opened.status().ToString());
    }
  }
}

void Obey(Orders& orders) {
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    long long ledger;
    if (std::sscanf(line.c_str(), "ledger %lld", &ledger) == 1) orders.Add(LedgerId(ledger));
  }
  orders.Quit();
}

int Run(int argc, char** argv) {
  if (argc < 2) Refuse("no role");
  const Role role = FindRole(argv[1]);
  Arguments arguments(argc, argv);
  const std::string uri = arguments.Text("metadata", "");
  HistoryFile history(arguments.Text("history", ""), arguments.Text("process", "driver"),
                      arguments.Number("first_number", 1));
  const auto seed = static_cast<uint64_t>(arguments.Number("seed", 1));
  const int64_t threads = arguments.Number("threads", 1);
  const RoleOptions role_options = RoleOptionsOf(arguments);
  const client::ClientOptions client_options = ClientOptionsOf(arguments);
  arguments.RefuseTheRest();

  std::unique_ptr<client::Connection> connection = Connect(uri, client_options);
  std::printf("ready\n");
  std::fflush(stdout);
  Orders orders;
  std::vector<std::thread> running;
  std::atomic<int64_t> ended = 0;
  for (int64_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      role({.client = &connection->client(),
            .history = &history,
            .orders = &orders,
            .options = role_options,
            .random = std::mt19937_64(seed * 1000 + static_cast<uint64_t>(i))});
      ++ended;
    });
  }
  Obey(orders);
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (ended < threads && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (ended < threads) {
    std::fprintf(stderr, "driver: %zu calls did not end\n", history.pending());
    _exit(3);
  }
  for (std::thread& thread : running) thread.join();
  connection.reset();
  return 0;
}

}  // namespace
}  // namespace stele::rig

int main(int argc, char** argv) { return stele::rig::Run(argc, argv); }
