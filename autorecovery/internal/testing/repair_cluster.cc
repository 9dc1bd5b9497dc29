#include "autorecovery/internal/testing/repair_cluster.h"

#include <algorithm>
#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "autorecovery/internal/bookie_answers.h"
#include "client/internal/bookie_client.h"
#include "client/internal/client_core.h"
#include "client/internal/ledger_keys.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cluster_init.h"

namespace stele::autorecovery {
namespace {

constexpr char kRoot[] = "/ledgers";

Task<absl::Status> Begin(Env env, metadata::MetadataStore* store, AutorecoveryOptions options,
                         std::unique_ptr<AutoRecovery>* into) {
  STELE_CO_TRY(metadata::Cluster cluster,
               co_await metadata::OpenCluster(store, kRoot, std::nullopt));
  STELE_CO_TRY(*into,
               co_await AutoRecovery::Start(env, store, std::move(cluster), std::move(options)));
  co_return absl::OkStatus();
}

Task<void> RunAutorecovery(Env env, simulation::SimProcess* process, metadata::MetadataStore* store,
                           AutorecoveryOptions options, AutoRecovery** running) {
  std::unique_ptr<AutoRecovery> started;
  const absl::Status status = co_await Begin(env, store, std::move(options), &started);
  STELE_CHECK(status.ok());
  *running = process->Own(std::move(started));
}

Task<bool> StopIt(AutoRecovery* running) {
  co_await running->Stop();
  co_return true;
}

}  // namespace

RepairCluster::RepairCluster(simulation::ClusterOptions options)
    : cluster_(std::move(options)),
      client_(&cluster_.NewClient("application")),
      admin_(world().AddProcess(world().AddMachine("operator"), "operator")),
      store_(admin_->Own(world().NewMetadataStore(admin_))) {
  const auto cluster = Run(metadata::OpenCluster(store_, kRoot, std::nullopt));
  STELE_CHECK(cluster.ok());
  const metadata::ClusterPaths paths(kRoot);
  queue_ = std::make_unique<metadata::UnderreplicatedQueue>(world().env(admin_), store_, paths,
                                                            "operator");
  settings_ = std::make_unique<metadata::AutorecoverySettings>(store_, paths);
  records_ = std::make_unique<metadata::AutorecoveryRecords>(store_, *cluster);
  ledgers_ =
      std::make_unique<metadata::LedgerManager>(world().env(admin_), store_, cluster->layout);
  STELE_CHECK(Run(queue_->Start()).ok());
}

RepairCluster::~RepairCluster() {
  for (auto& [name, process] : processes_) {
    if (process.process->alive()) process.process->Crash();
  }
  ledgers_.reset();
  queue_.reset();
  admin_->Crash();
}

AutorecoveryOptions RepairCluster::QuickOptions() {
  AutorecoveryOptions options;
  options.recovery_delay = absl::ZeroDuration();
  options.storm_percent = 100;
  options.ledger_check_interval = absl::InfiniteDuration();
  options.client.read_timeout = absl::Seconds(2);
  options.client.add_timeout = absl::Seconds(2);
  return options;
}

void RepairCluster::StartAutorecovery(const std::string& name, AutorecoveryOptions options) {
  Process& process = processes_[name];
  if (process.process == nullptr) {
    process.process = world().AddProcess(world().AddMachine(name), name);
  } else {
    process.process->Restart();
  }
  process.running = std::make_unique<AutoRecovery*>(nullptr);
  options.name = name;
  process.store = process.process->Own(
      std::make_unique<CountingStore>(world().NewMetadataStore(process.process)));
  process.process->Spawn(RunAutorecovery(world().env(process.process), process.process,
                                         process.store, std::move(options), process.running.get()));
  cluster_.RunUntil([&] { return *process.running != nullptr; });
}

void RepairCluster::CrashAutorecovery(const std::string& name) {
  processes_.at(name).process->Crash();
  *processes_.at(name).running = nullptr;
}

void RepairCluster::StopAutorecovery(const std::string& name) {
  auto stopped = std::make_shared<std::optional<bool>>();
  processes_.at(name).process->Spawn(Keep(StopIt(&autorecovery(name)), stopped));
  cluster_.RunUntil([&] { return stopped->has_value(); });
}

std::string RepairCluster::PayloadOf(LedgerId ledger, int64_t entry) {
  return StrCat("ledger ", ledger.value(), " entry ", entry, " ",
                std::string(static_cast<size_t>(entry * 37 % 500), 'p'));
}

void RepairCluster::Append(client::WriteHandle& writer, int64_t first, int64_t count) {
  std::vector<std::future<absl::StatusOr<EntryId>>> appended;
  for (int64_t entry = first; entry < first + count; ++entry) {
    appended.push_back(
        writer.Append(Buffer::FromString(PayloadOf(writer.id(), entry)), UseFuture()));
  }
  for (auto& future : appended) {
    const auto result = cluster_.Get(std::move(future));
    ASSERT_TRUE(result.ok()) << result.status();
  }
}

client::WriteHandle RepairCluster::OpenLedger(quorum::Replication replication, int64_t entries) {
  auto created = cluster_.Get(client_->CreateLedger()
                                  .Replication(replication)
                                  .Password("pw")
                                  .Digest(DigestType::kCrc32c)
                                  .Create(UseFuture()));
  STELE_CHECK(created.ok());
  Append(*created, 0, entries);
  return *std::move(created);
}

LedgerId RepairCluster::WriteLedger(quorum::Replication replication, int64_t entries) {
  client::WriteHandle writer = OpenLedger(replication, entries);
  STELE_CHECK(cluster_.Get(writer.Close(UseFuture())).ok());
  return writer.id();
}

metadata::LedgerMetadata RepairCluster::Metadata(LedgerId ledger) {
  auto read = Run(ledgers_->Read(ledger));
  STELE_CHECK(read.ok());
  return std::move(read->value);
}

int RepairCluster::NumberOf(const BookieId& bookie) { return std::stoi(bookie.value().substr(1)); }

int RepairCluster::BookieAt(LedgerId ledger, size_t fragment, BookieIndex index) {
  return NumberOf(Metadata(ledger).fragments()[fragment].ensemble[static_cast<size_t>(index)]);
}

size_t RepairCluster::CountTasks() {
  const auto tasks = Run(queue_->List(SIZE_MAX));
  STELE_CHECK(tasks.ok());
  return tasks->size();
}

size_t RepairCluster::CountLocks() {
  const auto locks = Run(queue_->Locked());
  STELE_CHECK(locks.ok());
  return locks->size();
}

std::optional<metadata::RepairTask> RepairCluster::FindTask(LedgerId ledger) {
  auto task = Run(queue_->Find(ledger));
  STELE_CHECK(task.ok());
  return *std::move(task);
}

bool RepairCluster::Mark(LedgerId ledger, std::vector<BookieId> replicas) {
  const auto marked = Run(queue_->Mark(ledger, std::move(replicas)));
  return marked.ok() && *marked;
}

void RepairCluster::RunUntilRepaired() {
  for (int seconds = 0; seconds < 600; ++seconds) {
    if (CountTasks() == 0 && CountLocks() == 0) return;
    cluster_.RunFor(absl::Seconds(1));
  }
  ADD_FAILURE() << "there are still tasks after ten minutes: " << CountTasks() << " tasks, "
                << CountLocks() << " locks";
}

namespace {

// Reads one copy of one entry from one bookie.
Task<absl::StatusOr<wire::VerifiedEntry>> ReadFrom(client::ClientCore* core,
                                                   std::shared_ptr<client::LedgerKeys> keys,
                                                   BookieId bookie, LedgerId ledger,
                                                   EntryId entry) {
  co_return co_await ReadCopy(&core->context(), keys.get(), std::move(bookie), ledger, entry);
}

}  // namespace

void RepairCluster::ExpectFullyReplicated(LedgerId ledger, std::vector<BookieId> except) {
  const metadata::LedgerMetadata metadata = Metadata(ledger);
  ASSERT_TRUE(metadata.IsClosed()) << "ledger " << ledger.value();
  const auto cluster = Run(metadata::OpenCluster(store_, kRoot, std::nullopt));
  ASSERT_TRUE(cluster.ok());
  client::ClientCore core(world().env(admin_), store_, *cluster, {});
  ASSERT_TRUE(Run(core.Start()).ok());
  const auto keys =
      std::make_shared<client::LedgerKeys>(metadata.digest_type(), *metadata.password());
  int64_t length_bytes = 0;
  for (EntryId entry(0); entry <= metadata.last_entry(); entry = entry.Next()) {
    const std::string payload = PayloadOf(ledger, entry.value());
    length_bytes += static_cast<int64_t>(payload.size());
    const metadata::Ensemble& ensemble = metadata.FragmentOf(entry).ensemble;
    const quorum::WriteSet write_set(entry, metadata.replication());
    for (int offset = 0; offset < write_set.size(); ++offset) {
      const BookieId& bookie = ensemble[static_cast<size_t>(write_set[offset])];
      if (std::find(except.begin(), except.end(), bookie) != except.end()) continue;
      const auto copy = Run(ReadFrom(&core, keys, bookie, ledger, entry));
      ASSERT_TRUE(copy.ok()) << "ledger " << ledger.value() << " entry " << entry.value() << " on "
                             << bookie.value() << ": " << copy.status();
      EXPECT_EQ(copy->payload.view(), payload);
      EXPECT_EQ(copy->header.length_bytes, length_bytes);
    }
  }
  EXPECT_EQ(metadata.length_bytes(), length_bytes);
}

void RepairCluster::NameInstead(LedgerId ledger, BookieIndex index, const BookieId& bookie) {
  const auto read = Run(ledgers_->Read(ledger));
  ASSERT_TRUE(read.ok());
  metadata::Ensemble ensemble = read->value.last_fragment().ensemble;
  ensemble[static_cast<size_t>(index)] = bookie;
  const auto changed = read->value.WithReplacedEnsemble(read->value.last_fragment().first_entry,
                                                        std::move(ensemble));
  ASSERT_TRUE(changed.ok()) << changed.status();
  ASSERT_TRUE(Run(ledgers_->Update(ledger, *changed, read->version)).ok());
}

void RepairCluster::CloseByHand(LedgerId ledger, int64_t entries) {
  const auto read = Run(ledgers_->Read(ledger));
  ASSERT_TRUE(read.ok());
  int64_t length_bytes = 0;
  for (int64_t entry = 0; entry < entries; ++entry) {
    length_bytes += static_cast<int64_t>(PayloadOf(ledger, entry).size());
  }
  const auto closed = read->value.WithClosed(EntryId(entries - 1), length_bytes);
  ASSERT_TRUE(closed.ok()) << closed.status();
  ASSERT_TRUE(Run(ledgers_->Update(ledger, *closed, read->version)).ok());
}

std::unique_ptr<ClusterCheck> RepairCluster::OpenCheck() {
  const auto cluster = Run(metadata::OpenCluster(store_, kRoot, std::nullopt));
  STELE_CHECK(cluster.ok());
  auto check = Run(ClusterCheck::Open(world().env(admin_), store_, *cluster, {}));
  STELE_CHECK(check.ok());
  return *std::move(check);
}

CheckReport RepairCluster::Check(CheckDepth depth) {
  const std::unique_ptr<ClusterCheck> check = OpenCheck();
  auto report = Run(check->CheckAll(depth, 4, [](int64_t) {}));
  STELE_CHECK(report.ok());
  return *std::move(report);
}

std::vector<Reference> RepairCluster::ReferencesTo(const BookieId& bookie) {
  auto references = Run(autorecovery::ReferencesTo(ledgers_.get(), bookie));
  STELE_CHECK(references.ok());
  return *std::move(references);
}

}  // namespace stele::autorecovery
