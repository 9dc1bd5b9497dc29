#include "client/testing/test_cluster.h"

#include <optional>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/wire/entry_packet.h"
#include "metadata/cluster_init.h"

namespace stele::client {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);
constexpr char kRoot[] = "/ledgers";
constexpr uint16_t kBookiePort = 3181;

std::string HostOf(const BookieId& id) { return id.value().substr(0, id.value().find(':')); }

template <typename T>
Task<void> StoreResult(Task<T> task, std::optional<T>* result) {
  *result = co_await std::move(task);
}

Task<void> NewClientIn(Env env, metadata::MetadataStore* store, ClientOptions options,
                       std::unique_ptr<Client>* client) {
  auto cluster = co_await metadata::OpenCluster(store, kRoot, std::nullopt);
  STELE_CHECK(cluster.ok());
  auto connected = co_await Client::Connect(env, store, *std::move(cluster), options);
  STELE_CHECK(connected.ok());
  *client = *std::move(connected);
}

}  // namespace

template <typename T>
T TestCluster::Run(Task<T> task) {
  std::optional<T> result;
  STELE_CHECK(world_.RunToEnd(admin_, StoreResult<T>(std::move(task), &result)).ok());
  return *std::move(result);
}

TestCluster::TestCluster(uint64_t seed) : world_({.seed = seed}) {
  admin_ = world_.AddProcess(world_.AddMachine("admin"), "admin");
  admin_store_ = world_.NewMetadataStore(admin_);
  STELE_CHECK(Run(metadata::InitializeCluster(admin_store_.get(), admin_->random(), kRoot,
                                              metadata::LayoutType::kHierarchical))
                  .ok());
  ledgers_ = std::make_unique<metadata::LedgerManager>(
      world_.env(admin_), admin_store_.get(),
      metadata::LedgerLayout(kRoot, metadata::LayoutType::kHierarchical));
}

TestCluster::~TestCluster() {
  for (auto& [name, client] : clients_) {
    if (client.process->alive()) client.process->Crash();
  }
}

BookieId TestCluster::Id(int number) { return BookieId(StrCat("b", number, ":", kBookiePort)); }

void TestCluster::AddBookies(int count) {
  for (int i = 0; i < count; ++i) {
    const BookieId id = Id(static_cast<int>(bookies_.size()) + 1);
    const std::string host = HostOf(id);
    simulation::SimProcess* process = world_.AddProcess(world_.AddMachine(host), host);
    bookies_[id.value()] = {
        process, std::make_unique<FakeBookie>(world_.env(process), Endpoint{host, kBookiePort}),
        world_.NewMetadataStore(process)};
    Register(id);
  }
}

void TestCluster::Register(const BookieId& id) {
  STELE_CHECK(Run(admin_store_->Create(StrCat(kRoot, "/available/", id.value()), "",
                                       metadata::NodeKind::kPersistent))
                  .ok());
  RunFor(absl::Milliseconds(20));
}

void TestCluster::Unregister(const BookieId& id) {
  STELE_CHECK(
      Run(admin_store_->Delete(StrCat(kRoot, "/available/", id.value()), metadata::kAnyVersion))
          .ok());
  RunFor(absl::Milliseconds(20));
}

void TestCluster::Kill(const BookieId& id) {
  bookie(id).SetScript([](const wire::Request&) { return FakeBookie::kHangUp; });
  for (const auto& [name, client] : clients_) {
    world_.network().ResetConnections(name, HostOf(id));
  }
}

void TestCluster::Revive(const BookieId& id) { bookie(id).SetScript(nullptr); }

Client& TestCluster::NewClient(const std::string& name, ClientOptions options) {
  simulation::SimProcess* process = world_.AddProcess(world_.AddMachine(name), name);
  GatedStore* store = process->Own(
      std::make_unique<GatedStore>(process->executor(), world_.NewMetadataStore(process)));
  std::unique_ptr<Client> client;
  STELE_CHECK(
      world_.RunToEnd(process, NewClientIn(world_.env(process), store, options, &client)).ok());
  clients_[name] = {process, store, process->Own(std::move(client))};
  return *clients_[name].client;
}

void TestCluster::Crash(const std::string& client) { clients_.at(client).process->Crash(); }

void TestCluster::RunUntil(absl::FunctionRef<bool()> done) {
  const absl::Status status = world_.scheduler().RunUntil(done, Now() + kPatience);
  if (!status.ok()) CheckFailed(__FILE__, __LINE__, status.ToString());
}

void TestCluster::RunFor(absl::Duration duration) {
  STELE_CHECK(world_.scheduler().RunFor(duration).ok());
}

metadata::Versioned<metadata::LedgerMetadata> TestCluster::ReadMetadata(LedgerId id) {
  auto read = Run(ledgers_->Read(id));
  STELE_CHECK(read.ok());
  return *std::move(read);
}

void TestCluster::WriteMetadata(LedgerId id, metadata::LedgerMetadata value) {
  STELE_CHECK(Run(ledgers_->Update(id, std::move(value), ReadMetadata(id).version)).ok());
}

LedgerId TestCluster::CreateMetadata(metadata::LedgerMetadata value) {
  auto created = Run(ledgers_->Create(std::move(value)));
  STELE_CHECK(created.ok());
  return created->id;
}

LedgerId TestCluster::CreateLedger(quorum::Replication replication, std::vector<int> bookies) {
  metadata::LedgerMetadataFields fields;
  fields.replication = replication;
  metadata::Ensemble ensemble;
  for (int number : bookies) ensemble.push_back(Id(number));
  fields.fragments = {{EntryId(0), std::move(ensemble)}};
  return CreateMetadata(metadata::LedgerMetadata::Create(std::move(fields)).value());
}

void TestCluster::Store(const BookieId& bookie_id, LedgerId ledger, int64_t entry, int64_t lac,
                        int64_t length_bytes, const std::string& payload) {
  const wire::Digester digester(DigestType::kCrc32);
  FakeBookie::Ledger& stored = bookie(bookie_id).ledger(ledger);
  stored.master_key = wire::MakeMasterKey("");
  stored.max_lac = std::max(stored.max_lac, EntryId(lac));
  stored.entries[EntryId(entry)] = wire::MakeEntryPacket(
      {ledger, EntryId(entry), EntryId(lac), length_bytes}, payload, digester);
}

std::string TestCluster::EntriesOf(const BookieId& bookie_id, LedgerId ledger) {
  std::string text;
  std::optional<int64_t> first;
  int64_t last = 0;
  auto flush = [&] {
    if (!first.has_value()) return;
    if (!text.empty()) text += ",";
    text += *first == last ? StrCat(*first) : StrCat(*first, "-", last);
  };
  for (const auto& [entry, packet] : bookie(bookie_id).ledger(ledger).entries) {
    if (first.has_value() && entry.value() == last + 1) {
      last = entry.value();
      continue;
    }
    flush();
    first = last = entry.value();
  }
  flush();
  return text;
}

}  // namespace stele::client
