#include "simulation/cluster.h"

#include <utility>

#include "autorecovery/peer_copies.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cluster_init.h"

namespace stele::simulation {
namespace {

constexpr char kRoot[] = "/ledgers";
// Virtual time after which a test that waits is stuck.
constexpr absl::Duration kPatience = absl::Minutes(10);

Task<void> Initialize(Env env, metadata::MetadataStore* store, absl::Status* result) {
  *result = co_await metadata::InitializeCluster(store, env.random, kRoot,
                                                 metadata::LayoutType::kHierarchical);
}

using FailureHandler = std::function<void(const absl::Status&)>;

Task<void> RunBookie(Env env, SimProcess* process, metadata::MetadataStore* store,
                     bookie::BookieOptions options, observe::Log* log, bookie::Bookie** bookie,
                     FailureHandler on_failure) {
  auto cluster = co_await metadata::OpenCluster(store, kRoot, std::nullopt);
  if (!cluster.ok()) {
    on_failure(cluster.status());
    co_return;
  }
  auto* peers = process->Own(std::make_unique<autorecovery::PeerCopies>(
      env, store, *std::move(cluster), options.id, client::ClientOptions{}));
  options.entry_source = [peers](LedgerId ledger, EntryId entry) {
    return peers->Fetch(ledger, entry);
  };
  auto started = co_await bookie::Bookie::Start(env, store, std::move(options), log, on_failure);
  if (started.ok()) {
    *bookie = process->Own(*std::move(started));
  } else {
    on_failure(started.status());
  }
}

Task<void> ConnectClient(Env env, metadata::MetadataStore* store, client::ClientOptions options,
                         std::unique_ptr<client::Client>* client) {
  auto connected = co_await Cluster::Connect(env, store, options);
  STELE_CHECK(connected.ok());
  *client = *std::move(connected);
}

}  // namespace

Cluster::Cluster(ClusterOptions cluster_options)
    : options_(std::move(cluster_options)),
      world_(options_.scheduler, options_.network, options_.metadata) {
  SimProcess* admin = world_.AddProcess(world_.AddMachine("admin"), "admin");
  metadata::MetadataStore* store = admin->Own(world_.NewMetadataStore(admin));
  absl::Status made = absl::UnknownError("did not end");
  STELE_CHECK(world_.RunToEnd(admin, Initialize(world_.env(admin), store, &made)).ok());
  STELE_CHECK(made.ok());
  for (int i = 1; i <= options_.bookies; ++i) {
    const std::string host = StrCat("b", i);
    Node& node = nodes_[i];
    node.machine = world_.AddMachine(host);
    node.process = world_.AddProcess(node.machine, host);
    node.bookie = std::make_unique<bookie::Bookie*>(nullptr);
    StartBookie(i);
  }
  RunUntil([this] {
    for (const auto& [number, node] : nodes_) {
      if (*node.bookie == nullptr && failures_.empty()) return false;
    }
    return true;
  });
}

Cluster::~Cluster() {
  for (auto& [name, process] : clients_) {
    if (process->alive()) process->Crash();
  }
  for (auto& [number, node] : nodes_) {
    if (node.process->alive()) node.process->Crash();
  }
}

bookie::BookieOptions Cluster::OptionsOf(int bookie) const {
  bookie::BookieOptions options;
  const std::string host = StrCat("b", bookie);
  options.id = BookieId(StrCat(host, ":", kBookiePort));
  options.listen = {host, kBookiePort};
  options.advertised = {host, kBookiePort};
  options.journal_directories = {"/data/journal"};
  options.ledger_directories = {"/data/ledgers"};
  options.journal_size_max_bytes = 8 << 20;
  options.entry_log_size_max_bytes = 1 << 20;
  options.memtable_max_bytes = 256 << 10;
  options.flush_interval = absl::Seconds(1);
  if (options_.adjust_bookie) options_.adjust_bookie(bookie, &options);
  return options;
}

void Cluster::StartBookie(int bookie) {
  Node& node = nodes_.at(bookie);
  metadata::MetadataStore* store = node.process->Own(world_.NewMetadataStore(node.process));
  observe::Log* log = options_.log != nullptr ? options_.log : &log_;
  Env env = world_.env(node.process);
  if (options_.adjust_env) options_.adjust_env(bookie, node.process, &env);
  node.process->Spawn(
      RunBookie(env, node.process, store, OptionsOf(bookie), log, node.bookie.get(),
                [this, bookie](const absl::Status& why) { OnFailure(bookie, why); }));
}

void Cluster::OnFailure(int bookie, const absl::Status& why) {
  failures_.push_back(StrCat("b", bookie, ":", kBookiePort, ": ", ToStd(why.message())));
  if (options_.on_failure) options_.on_failure(bookie, why);
}

void Cluster::Kill(int bookie) {
  *nodes_.at(bookie).bookie = nullptr;
  nodes_.at(bookie).process->Crash();
}

void Cluster::PowerCut(int bookie) {
  *nodes_.at(bookie).bookie = nullptr;
  world_.PowerCut(nodes_.at(bookie).machine);
}

void Cluster::Restart(int bookie) {
  nodes_.at(bookie).process->Restart();
  StartBookie(bookie);
}

Task<absl::StatusOr<std::unique_ptr<client::Client>>> Cluster::Connect(
    Env env, metadata::MetadataStore* store, client::ClientOptions options) {
  STELE_CO_TRY(metadata::Cluster found, co_await metadata::OpenCluster(store, kRoot, std::nullopt));
  co_return co_await client::Client::Connect(env, store, std::move(found), options);
}

client::Client& Cluster::NewClient(const std::string& name, client::ClientOptions options) {
  SimProcess* process = world_.AddProcess(world_.AddMachine(name), name);
  metadata::MetadataStore* store = process->Own(world_.NewMetadataStore(process));
  std::unique_ptr<client::Client> client;
  STELE_CHECK(
      world_.RunToEnd(process, ConnectClient(world_.env(process), store, options, &client)).ok());
  clients_[name] = process;
  return *process->Own(std::move(client));
}

void Cluster::CrashClient(const std::string& name) { clients_.at(name)->Crash(); }

void Cluster::RunUntil(absl::FunctionRef<bool()> done) {
  const absl::Status status =
      world_.scheduler().RunUntil(done, world_.scheduler().Now() + kPatience);
  if (!status.ok()) CheckFailed(__FILE__, __LINE__, status.ToString());
}

void Cluster::RunFor(absl::Duration duration) {
  STELE_CHECK(world_.scheduler().RunFor(duration).ok());
}

}  // namespace stele::simulation
