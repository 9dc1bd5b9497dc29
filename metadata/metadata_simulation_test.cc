// Several processes on one metadata server that loses requests, replies and sessions, one seed
// after the other. First everything may fail; then the server is healed and all must come right.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/bookie_registration.h"
#include "metadata/bookie_registry.h"
#include "metadata/cas_loop.h"
#include "metadata/cluster_init.h"
#include "metadata/ledger_manager.h"
#include "simulation/world.h"

namespace stele::metadata {
namespace {

using simulation::SimProcess;
using simulation::World;

constexpr int kProcesses = 3;
// Each lost write that is left over from the faults costs its caller some ten seconds.
constexpr absl::Duration kHealTime = absl::Minutes(30);
constexpr uint64_t kSeeds = 6;

class FaultyWorld {
 public:
  explicit FaultyWorld(uint64_t seed) : world_({.seed = seed}), faults_(seed) {
    for (int i = 0; i < kProcesses; ++i) {
      const std::string name = StrCat("p", i);
      processes_.push_back(world_.AddProcess(world_.AddMachine(name), name));
      stores_.push_back(world_.NewMetadataStore(processes_.back()));
    }
    absl::Status made;
    EXPECT_TRUE(
        world_.RunToEnd(processes_[0], Initialize(stores_[0].get(), env(0).random, &made)).ok());
    EXPECT_TRUE(made.ok());
  }
  ~FaultyWorld() {
    for (SimProcess* process : processes_) process->Crash();
  }

  World& world() { return world_; }
  SimProcess* process(int i) { return processes_[static_cast<size_t>(i)]; }
  MetadataStore* store(int i) { return stores_[static_cast<size_t>(i)].get(); }
  Env env(int i) { return world_.env(process(i)); }

  // One random fault every second or so.
  void Torment(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      SimProcess* victim = process(static_cast<int>(faults_.Below(kProcesses)));
      simulation::SimMetadataServer& server = world_.metadata();
      const uint64_t kind = faults_.Below(6);
      const int writes = 1 + static_cast<int>(faults_.Below(4));
      if (kind == 0) server.LoseReplies(victim, writes);
      if (kind == 1) server.LoseRequests(victim, writes);
      if (kind == 2) server.Expire(victim);
      if (kind == 3) server.Disconnect(victim);
      if (kind == 4) server.Stop();
      RunFor(absl::Milliseconds(1 + static_cast<int64_t>(faults_.Below(2000))));
      if (kind == 3) server.Reconnect(victim);
      if (kind == 4) server.Start();
    }
  }
  void RunFor(absl::Duration duration) { EXPECT_TRUE(world_.scheduler().RunFor(duration).ok()); }

 private:
  static Task<void> Initialize(MetadataStore* store, Random* random, absl::Status* result) {
    *result = co_await InitializeCluster(store, random, "/ledgers", LayoutType::kHierarchical);
  }

  World world_;
  simulation::SimRandom faults_;
  std::vector<SimProcess*> processes_;
  std::vector<std::unique_ptr<MetadataStore>> stores_;
};

LedgerMetadata NewLedger() {
  LedgerMetadataFields fields;
  fields.replication = {.ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1};
  fields.fragments = {{EntryId(0), {BookieId("first:1")}}};
  return *LedgerMetadata::Create(fields);
}

bool Has(const LedgerMetadata& metadata, const BookieId& bookie) {
  for (const Fragment& fragment : metadata.fragments()) {
    if (fragment.ensemble[0] == bookie) return true;
  }
  return false;
}

// Adds one fragment with `bookie`, once.
LedgerUpdate AddOnce(BookieId bookie) {
  return {.needed = [=](const LedgerMetadata& now) { return !Has(now, bookie); },
          .apply =
              [=](const LedgerMetadata& now) {
                return now.WithEnsembleFrom(now.last_fragment().first_entry.Next(), {bookie});
              }};
}

// Mostly none: the work lasts through all faults, and they meet it at any step.
Task<void> Pause(LedgerManager* manager) {
  const Env& env = manager->env();
  if (env.random->Below(20) > 0) co_return;
  const auto pause = absl::Milliseconds(static_cast<int64_t>(env.random->Below(1000)));
  co_await SleepFor(env.executor, env.clock, pause);
}

Task<void> CreateMany(LedgerManager* manager, int count, std::vector<LedgerId>* created) {
  for (int i = 0; i < count; ++i) {
    co_await Pause(manager);
    const auto ledger = co_await manager->Create(NewLedger());
    EXPECT_TRUE(ledger.ok()) << ledger.status();
    if (ledger.ok()) created->push_back(ledger->id);
  }
}

Task<void> UpdateMany(LedgerManager* manager, LedgerId ledger, std::string name, int count,
                      int* done) {
  auto current = co_await manager->Read(ledger);
  for (int i = 0; i < count; ++i) {
    if (!current.ok()) co_return;
    co_await Pause(manager);
    current =
        co_await UpdateLedger(manager, ledger, *current, AddOnce(BookieId(StrCat(name, ":", i))));
    EXPECT_TRUE(current.ok()) << current.status();
    ++*done;
  }
}

Task<void> ListAll(LedgerManager* manager, std::vector<LedgerId>* listed) {
  LedgerLister lister = manager->List();
  for (;;) {
    const auto range = co_await lister.Next();
    EXPECT_TRUE(range.ok()) << range.status();
    if (!range.ok() || !range->has_value()) co_return;
    listed->insert(listed->end(), (*range)->begin(), (*range)->end());
  }
}

TEST(MetadataSimulationTest, EveryCreatedLedgerIsThereOnceAndNoOther) {
  constexpr int kEach = 80;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    FaultyWorld world(seed);
    std::vector<std::unique_ptr<LedgerManager>> managers;
    std::vector<std::vector<LedgerId>> created(kProcesses);
    for (int i = 0; i < kProcesses; ++i) {
      managers.push_back(std::make_unique<LedgerManager>(
          world.env(i), world.store(i), LedgerLayout("/ledgers", LayoutType::kHierarchical)));
      world.process(i)->Spawn(
          CreateMany(managers.back().get(), kEach, &created[static_cast<size_t>(i)]));
    }
    world.Torment(20);
    world.RunFor(kHealTime);
    std::set<LedgerId> distinct;
    for (const std::vector<LedgerId>& one : created) distinct.insert(one.begin(), one.end());
    EXPECT_EQ(distinct.size(), static_cast<size_t>(kProcesses * kEach));
    std::vector<LedgerId> listed;
    EXPECT_TRUE(world.world().RunToEnd(world.process(0), ListAll(managers[0].get(), &listed)).ok());
    EXPECT_EQ(listed, std::vector<LedgerId>(distinct.begin(), distinct.end()));
  }
}

TEST(MetadataSimulationTest, EveryUpdateIsAppliedOnce) {
  constexpr int kEach = 40;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    FaultyWorld world(seed);
    std::vector<std::unique_ptr<LedgerManager>> managers;
    for (int i = 0; i < kProcesses; ++i) {
      managers.push_back(std::make_unique<LedgerManager>(
          world.env(i), world.store(i), LedgerLayout("/ledgers", LayoutType::kHierarchical)));
    }
    std::vector<LedgerId> ledger;
    EXPECT_TRUE(
        world.world().RunToEnd(world.process(0), CreateMany(managers[0].get(), 1, &ledger)).ok());
    int done = 0;
    for (int i = 0; i < kProcesses; ++i) {
      world.process(i)->Spawn(UpdateMany(managers[static_cast<size_t>(i)].get(), ledger[0],
                                         StrCat("w", i), kEach, &done));
    }
    world.Torment(20);
    world.RunFor(kHealTime);
    EXPECT_EQ(done, kProcesses * kEach);
    std::map<BookieId, int> times;
    Version version = 0;
    const auto look = [](LedgerManager* manager, LedgerId id, std::map<BookieId, int>* count,
                         Version* at) -> Task<void> {
      const auto now = co_await manager->Read(id);
      EXPECT_TRUE(now.ok());
      for (const Fragment& fragment : now->value.fragments()) ++(*count)[fragment.ensemble[0]];
      *at = now->version;
    };
    EXPECT_TRUE(
        world.world()
            .RunToEnd(world.process(0), look(managers[0].get(), ledger[0], &times, &version))
            .ok());
    EXPECT_EQ(times.size(), static_cast<size_t>(1 + kProcesses * kEach));
    for (const auto& [bookie, count] : times) EXPECT_EQ(count, 1) << bookie.value();
    EXPECT_EQ(version, kProcesses * kEach);
  }
}

TEST(MetadataSimulationTest, RegistrationsAndTheRegistryConverge) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    FaultyWorld world(seed);
    int lost = 0;
    std::vector<std::unique_ptr<BookieRegistration>> bookies;
    const auto registered = [](BookieRegistration* bookie, BookieMode mode) -> Task<void> {
      (co_await bookie->Register(mode)).IgnoreError();
    };
    for (int i = 0; i + 1 < kProcesses; ++i) {
      const BookieServiceInfo info{.endpoints = {{.id = "bookie",
                                                  .port = 3181,
                                                  .host = StrCat("host", i),
                                                  .protocol = kBookieProtocol}}};
      bookies.push_back(std::make_unique<BookieRegistration>(
          world.env(i), world.store(i), ClusterPaths("/ledgers"), BookieId(StrCat("b", i)), info,
          BookieRegistrationOptions{.old_registration = OldRegistration::kTakeOver},
          [&lost](absl::Status) { ++lost; }));
      world.process(i)->Spawn(registered(bookies.back().get(), BookieMode::kWritable));
    }
    constexpr int kClient = kProcesses - 1;
    BookieRegistry registry(world.env(kClient), world.store(kClient), ClusterPaths("/ledgers"));
    const auto start = [](BookieRegistry* one) -> Task<void> {
      EXPECT_TRUE((co_await one->Start()).ok());
    };
    EXPECT_TRUE(world.world().RunToEnd(world.process(kClient), start(&registry)).ok());
    world.Torment(10);
    world.process(1)->Spawn(registered(bookies[1].get(), BookieMode::kReadOnly));
    world.Torment(10);
    world.RunFor(kHealTime);
    EXPECT_EQ(registry.bookies().writable, std::vector<BookieId>{BookieId("b0")});
    EXPECT_EQ(registry.bookies().read_only, std::vector<BookieId>{BookieId("b1")});
    EXPECT_EQ(lost, 0);
  }
}

}  // namespace
}  // namespace stele::metadata
