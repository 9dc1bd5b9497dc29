#include "integration_tests/zookeeper_server.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/stable_hash.h"
#include "common/base/strings.h"

// LeakSanitizer asks for it. The C client forgets what it has received and not passed on when a
// session is closed: a watch event, a reply to what was abandoned. A few bytes for each session.
extern "C" const char* __lsan_default_suppressions();   // NOLINT
extern "C" const char* __lsan_default_suppressions() {  // NOLINT
  return "leak:libzookeeper_mt.so\n";
}

namespace stele::integration {
namespace {

constexpr int kStartAttempts = 5;
constexpr absl::Duration kStartPatience = absl::Seconds(60);

sockaddr_in LoopbackAddress(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

std::string MakeDirectory() {
  const char* parent = std::getenv("TEST_TMPDIR");
  std::string pattern = StrCat(parent == nullptr ? "/tmp" : parent, "/zookeeper-XXXXXX");
  STELE_CHECK(mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

}  // namespace

uint16_t PickFreePort() {
  // Below the ports that the system gives to outgoing connections: else somebody's connection may
  // take the port before the server does, or whoever tries to connect before the server listens may
  // be given that very port, and be connected to itself.
  constexpr uint64_t kFirst = 10'000;
  constexpr uint64_t kCount = 20'000;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  uint64_t draw =
      static_cast<uint64_t>(absl::GetCurrentTimeNanos()) ^ (static_cast<uint64_t>(getpid()) << 40);
  while (true) {
    draw = StableHash(draw + 1);
    const auto port = static_cast<uint16_t>(kFirst + draw % kCount);
    const sockaddr_in address = LoopbackAddress(port);
    if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      close(listener);
      return port;
    }
    STELE_CHECK_OP(errno, ==, EADDRINUSE);
  }
}

ZooKeeperServer::ZooKeeperServer(Options options) : options_(options), directory_(MakeDirectory()) {
  for (int attempt = 0; attempt < kStartAttempts; ++attempt) {
    port_ = PickFreePort();
    StartProcess();
    if (WaitUntilServing()) return;
  }
  std::fprintf(stderr, "ZooKeeper does not start; see %s/log\n", directory_.c_str());
  std::abort();
}

ZooKeeperServer::~ZooKeeperServer() {
  process_.reset();
  std::filesystem::remove_all(directory_);
}

std::string ZooKeeperServer::connect_string() const { return StrCat("127.0.0.1:", port_); }

void ZooKeeperServer::StartProcess() {
  const std::string config = directory_ + "/zoo.cfg";
  std::ofstream(config) << "dataDir=" << directory_ << "/data\n"
                        << "clientPort=" << port_ << "\n"
                        << "clientPortAddress=127.0.0.1\n"
                        << "tickTime=" << absl::ToInt64Milliseconds(options_.tick) << "\n"
                        << "maxClientCnxns=0\n"
                        << "admin.enableServer=false\n"
                        << "4lw.commands.whitelist=*\n";
  process_ = ChildProcess::Start(
      {.argv =
           {"/usr/bin/java",
            // A server that lives for seconds: start fast, stay small, and let one core suffice.
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx256m",
            "-Dzookeeper.forceSync=no", "-cp",
            "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar",
            "org.apache.zookeeper.server.ZooKeeperServerMain", config},
       .output_path = directory_ + "/log"});
}

bool ZooKeeperServer::WaitUntilServing() {
  const absl::Time give_up = absl::Now() + kStartPatience;
  while (absl::Now() < give_up && process_->IsRunning()) {
    // "ruok" is answered before the server accepts sessions; "srvr" tells when it does.
    if (Ask("srvr").find("Mode: standalone") != std::string::npos) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

void ZooKeeperServer::Kill() { process_.reset(); }

void ZooKeeperServer::Restart() {
  STELE_CHECK(process_ == nullptr);
  StartProcess();
  STELE_CHECK(WaitUntilServing());
}

void ZooKeeperServer::Pause() { process_->Signal(SIGSTOP); }

void ZooKeeperServer::Resume() { process_->Signal(SIGCONT); }

std::string ZooKeeperServer::Ask(const std::string& command) const {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // A server that is just starting may take the connection and never answer.
  const timeval limit = {.tv_sec = 0, .tv_usec = 300'000};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  const sockaddr_in address = LoopbackAddress(port_);
  std::string answer;
  if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      send(connection, command.data(), command.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(command.size())) {
    char bytes[4096];
    ssize_t size;
    while ((size = recv(connection, bytes, sizeof(bytes), 0)) > 0) {
      answer.append(bytes, static_cast<size_t>(size));
    }
  }
  close(connection);
  return answer;
}

}  // namespace stele::integration
