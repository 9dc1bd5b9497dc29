#include "integration_tests/java/cluster.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/time/clock.h"
#include "common/base/check.h"
#include "common/base/strings.h"

namespace stele::integration {
namespace {

constexpr char kStele[] = "tools/shell/stele";
constexpr absl::Duration kPatience = absl::Minutes(5);
// Sessions last 10 s, as Apache's default wishes: long enough for a slow machine, and a bookie of
// Apache's that was killed comes back when its old session has ended.
constexpr absl::Duration kTick = absl::Milliseconds(500);

std::string MakeDirectory() {
  const char* parent = std::getenv("TEST_TMPDIR");
  std::string pattern = StrCat(parent == nullptr ? "/tmp" : parent, "/cluster-XXXXXX");
  STELE_CHECK(mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

Cluster::Cluster(Options options)
    : options_(std::move(options)),
      directory_(MakeDirectory()),
      zookeeper_(std::make_unique<ZooKeeperServer>(ZooKeeperServer::Options{.tick = kTick})) {
  uri_ = StrCat("zk+", options_.layout, "://", zookeeper_->connect_string(), "/ledgers");
  std::set<uint16_t> ports;  // what was picked is free still, and may be picked again
  for (const BookieKind kind : options_.bookies) {
    uint16_t port = PickFreePort();
    while (!ports.insert(port).second) port = PickFreePort();
    bookies_.push_back({.kind = kind, .port = port, .process = nullptr, .old_session = ""});
    Configure(bookies_.size() - 1, {});
  }
  const Output made = options_.initialised_by == BookieKind::kStele
                          ? RunStele({"cluster", "init", "--metadata", uri_})
                          : RunShell({"initnewcluster"});
  if (made.exit_code != 0) {
    std::fprintf(stderr, "the cluster cannot be initialised: %s\n", made.text.c_str());
    std::abort();
  }
  for (size_t i = 0; i < size(); ++i) Launch(i);
  for (size_t i = 0; i < size(); ++i) WaitUntilRegistered(i);
}

Cluster::~Cluster() {
  bookies_.clear();
  zookeeper_.reset();
  std::filesystem::remove_all(directory_);
}

std::string Cluster::bookie_id(size_t index) const {
  return StrCat("127.0.0.1:", bookies_[index].port);
}
std::string Cluster::config_path(size_t index) const {
  return StrCat(directory_, "/bk_server-", index, ".conf");
}
std::string Cluster::journal_directory(size_t index) const {
  return StrCat(directory_, "/journal-", index);
}
std::string Cluster::ledger_directory(size_t index) const {
  return StrCat(directory_, "/ledgers-", index);
}
std::string Cluster::log_path(size_t index) const {
  return StrCat(directory_, "/bookie-", index, ".log");
}

void Cluster::Configure(size_t index, const std::vector<std::string>& lines) {
  std::filesystem::create_directories(journal_directory(index));
  std::filesystem::create_directories(ledger_directory(index));
  std::ofstream file(config_path(index));
  file << "bookiePort=" << bookies_[index].port << "\n"
       << "advertisedAddress=127.0.0.1\n"
       << "allowLoopback=true\n"
       << "metadataServiceUri=" << uri_ << "\n"
       << "journalDirectories=" << journal_directory(index) << "\n"
       << "ledgerDirectories=" << ledger_directory(index)
       << "\n"
       // A test may run on a disk that is nearly full.
       << "diskUsageThreshold=0.999\ndiskUsageWarnThreshold=0.998\n"
       << "minUsableSizeForHighPriorityWrites=1000000\n"
       << "minUsableSizeForEntryLogCreation=1000000\n"
       << "minUsableSizeForIndexFileCreation=1000000\n"
       << "httpServerEnabled=false\n";
  for (const std::string& line : options_.configuration) file << line << "\n";
  for (const std::string& line : lines) file << line << "\n";
}

std::vector<std::string> Cluster::CommandOf(size_t index, BookieKind kind) const {
  if (kind == BookieKind::kStele) return {kStele, "bookie", "--conf", config_path(index)};
  return JavaCommand("org.apache.bookkeeper.server.Main", {"--conf", config_path(index)});
}

void Cluster::Launch(size_t index) {
  Bookie& bookie = bookies_[index];
  bookie.old_session = RegisteredBy(index);
  bookie.process =
      ChildProcess::Start({.argv = CommandOf(index, bookie.kind), .output_path = log_path(index)});
}

Cluster::Output Cluster::RunBookie(size_t index, BookieKind kind) {
  STELE_CHECK(!IsRunning(index));
  return Run(CommandOf(index, kind));
}

void Cluster::WaitUntilRegistered(size_t index) {
  const absl::Time give_up = absl::Now() + kPatience;
  while (absl::Now() < give_up && bookies_[index].process->IsRunning()) {
    const std::string session = RegisteredBy(index);
    if (!session.empty() && session != bookies_[index].old_session) return;
    absl::SleepFor(absl::Milliseconds(20));
  }
  std::fprintf(stderr, "bookie %zu does not start:\n%s\n", index, ReadAll(log_path(index)).c_str());
  std::abort();
}

std::string Cluster::RegisteredBy(size_t index) const {
  // "0x1000a:" and behind it, a line each, the nodes that the session holds.
  std::istringstream lines(zookeeper_->Ask("dump"));
  const std::string writable = StrCat("\t/ledgers/available/", bookie_id(index));
  const std::string read_only = StrCat("\t/ledgers/available/readonly/", bookie_id(index));
  std::string session;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0x")) session = line;
    if (line == writable || line == read_only) return session;
  }
  return "";
}

void Cluster::Start(size_t index, BookieKind kind) {
  STELE_CHECK(!IsRunning(index));
  bookies_[index].kind = kind;
  Launch(index);
  WaitUntilRegistered(index);
}

void Cluster::Kill(size_t index) { bookies_[index].process.reset(); }

void Cluster::Stop(size_t index) {
  bookies_[index].process->Signal(SIGTERM);
  bookies_[index].process->Wait();
  bookies_[index].process.reset();
}

void Cluster::StartAllThatAreDown() {
  for (size_t i = 0; i < size(); ++i) {
    if (!IsRunning(i)) Start(i);
  }
}

std::unique_ptr<Driver> Cluster::Connect(ClientKind kind, std::vector<std::string> settings) {
  return std::make_unique<Driver>(kind, uri_, std::move(settings),
                                  StrCat(directory_, "/driver-", drivers_++, ".log"));
}

std::unique_ptr<ChildProcess> Cluster::StartAutorecovery(BookieKind kind,
                                                         std::vector<std::string> arguments) {
  std::vector<std::string> command = {kStele, "autorecovery", "--metadata", uri_};
  command.insert(command.end(), arguments.begin(), arguments.end());
  if (kind == BookieKind::kJava) {
    command = JavaCommand("org.apache.bookkeeper.replication.AutoRecoveryMain",
                          {"--conf", config_path(0)});
  }
  return ChildProcess::Start(
      {.argv = std::move(command), .output_path = StrCat(directory_, "/autorecovery-", runs_++)});
}

Cluster::Output Cluster::Run(std::vector<std::string> argv) {
  const std::string path = StrCat(directory_, "/run-", runs_++);
  const auto process = ChildProcess::Start({.argv = std::move(argv), .output_path = path});
  const int code = process->Wait();
  return {code, ReadAll(path)};
}

Cluster::Output Cluster::RunStele(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {kStele};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Run(std::move(command));
}

Cluster::Output Cluster::RunShell(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"-conf", config_path(0)};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Run(JavaCommand("org.apache.bookkeeper.bookie.BookieShell", all));
}

}  // namespace stele::integration
