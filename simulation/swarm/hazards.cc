#include "simulation/swarm/hazards.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::simulation {
namespace {

// Below it are the directories of a bookie.
constexpr char kData[] = "/data";
// What a supervisor waits before it starts a bookie again that ended by itself.
constexpr absl::Duration kSupervisorPause = absl::Seconds(2);
// Watches are late by this much at most.
constexpr absl::Duration kWatchDelayMax = absl::Seconds(5);
// Of frames on a flaky link: their connection breaks behind them.
constexpr uint64_t kFlakyThousandths = 150;
// A bookie whose disk is set back is away for so long.
constexpr absl::Duration kShortDown = absl::Milliseconds(100);
// A process that is to stop in order and does not is killed.
constexpr absl::Duration kStopPatience = absl::Seconds(30);

Task<void> StopBookie(bookie::Bookie* bookie, std::function<void()> stopped) {
  (void)co_await bookie->Stop();
  stopped();
}

Task<void> CollectGarbage(bookie::Bookie* bookie, int64_t compact) {
  std::optional<bookie::CompactionKind> kind;
  if (compact == 1) kind = bookie::CompactionKind::kMinor;
  if (compact == 2) kind = bookie::CompactionKind::kMajor;
  (void)co_await bookie->CollectGarbage(kind);
}

}  // namespace

Hazards::Hazards(Stage* stage, Cluster* cluster, ActorControl* actors, WireWatch* watch)
    : stage_(stage),
      cluster_(cluster),
      actors_(actors),
      watch_(watch),
      triggers_(&cluster->world().scheduler()) {
  for (int bookie = 1; bookie <= stage->scenario().bookies; ++bookie) {
    nodes_[bookie];
    first_day_[bookie] = SnapshotOf(bookie);
  }
}

void Hazards::Schedule(const Scenario& scenario) {
  for (const Fault& fault : scenario.faults) {
    After(absl::Milliseconds(fault.at_ms), [this, &fault] { StrikeInTime(fault); });
  }
}

void Hazards::StrikeSoon(const Fault& fault) {
  After(absl::Milliseconds(fault.at_ms), [this, fault] { Strike(fault); });
}

void Hazards::StrikeInTime(const Fault& fault) {
  SimProcess* process = ProcessOf(fault.a);
  if (fault.calls == 0 || process == nullptr) return Strike(fault);
  if (!healed_) triggers_.Add(process, fault.calls, [this, &fault] { Strike(fault); });
}

void Hazards::After(absl::Duration delay, absl::AnyInvocable<void()> job) {
  Scheduler& scheduler = cluster_->world().scheduler();
  scheduler.CallAfter(scheduler.world(), delay, [job = std::move(job)]() mutable { job(); });
}

void Hazards::Strike(const Fault& fault) {
  if (healed_ || !Apply(fault)) return;
  FaultCounts& counts = cluster_->world().scheduler().faults();
  counts.Count(StrCat("swarm.", NameOf(fault.kind)));
  if (fault.calls > 0) counts.Count("swarm: in the middle of something");
  for (const int64_t number : {fault.a, fault.b}) {
    if (IsBookie(number)) watch_->MarkDisturbed(HostOf(number));
  }
  stage_->Note(
      StrCat(NameOf(fault.kind), " a=", fault.a, " b=", fault.b, " for ", fault.for_ms, " ms"));
}

bool Hazards::Apply(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kCrash:
    case FaultKind::kPower:
    case FaultKind::kPowerAll:
    case FaultKind::kRestartLoop:
    case FaultKind::kLose:
    case FaultKind::kPause:
    case FaultKind::kWallClock:
    case FaultKind::kClockRate:
    case FaultKind::kCollect:
    case FaultKind::kStop: return ApplyToProcess(fault);
    case FaultKind::kPartition:
    case FaultKind::kOneWay:
    case FaultKind::kIsolate:
    case FaultKind::kReset:
    case FaultKind::kZombie:
    case FaultKind::kHalfOpen:
    case FaultKind::kSlowLink:
    case FaultKind::kShutWindow:
    case FaultKind::kSwizzle:
    case FaultKind::kFlakyLink: return ApplyToNetwork(fault);
    case FaultKind::kStoreCut:
    case FaultKind::kStoreDown:
    case FaultKind::kStoreFlap:
    case FaultKind::kStoreLoseReply:
    case FaultKind::kStoreLoseRequest:
    case FaultKind::kExpire:
    case FaultKind::kStoreSlow:
    case FaultKind::kWatchLate:
    case FaultKind::kStoreErrs: return ApplyToStore(fault);
    default: return IsDestructive(fault.kind) ? Damage(fault) : ApplyToDisk(fault);
  }
}

bool Hazards::ApplyToProcess(const Fault& fault) {
  const absl::Duration down_for = absl::Milliseconds(fault.for_ms);
  const int bookie = static_cast<int>(fault.a);
  switch (fault.kind) {
    case FaultKind::kCrash:
      if (IsBookie(fault.a)) return Down(bookie, false, down_for);
      if (ProcessOf(fault.a) == nullptr || !ProcessOf(fault.a)->alive()) return false;
      actors_->Crash(fault.a);
      After(down_for, [this, number = fault.a] { actors_->Restart(number); });
      return true;
    case FaultKind::kPower: return Down(bookie, true, down_for);
    case FaultKind::kPowerAll:
      for (auto& [number, node] : nodes_) Down(number, true, down_for);
      return true;
    case FaultKind::kRestartLoop:
      for (int64_t i = 0; i < fault.b; ++i) {
        // In the middle of the start, in which a bookie spends some tens of milliseconds, and when
        // it has just begun to serve.
        After(down_for + absl::Milliseconds(20 * (i + 1) * (5 * i * i + 1)), [this, bookie, i] {
          if (!healed_) Down(bookie, i % 2 == 0, absl::Milliseconds(1));
        });
      }
      return Down(bookie, false, down_for);
    case FaultKind::kLose:
      if (nodes_.at(bookie).lost) return false;
      Down(bookie, false, down_for);
      nodes_.at(bookie).lost = true;
      return true;
    case FaultKind::kStop: StopInOrder(bookie, down_for); return true;
    case FaultKind::kPause: {
      SimProcess* process = ProcessOf(fault.a);
      if (process == nullptr || !process->alive() || process->paused()) return false;
      World& world = cluster_->world();
      world.Pause(process);
      After(down_for, [&world, process] {
        if (process->paused()) world.Resume(process);
      });
      return true;
    }
    case FaultKind::kWallClock:
    case FaultKind::kClockRate: {
      SimProcess* process = ProcessOf(fault.a);
      if (process == nullptr) return false;
      if (fault.kind == FaultKind::kClockRate) {
        process->set_clock_rate(std::max<int64_t>(1, fault.b));
      } else {
        process->set_wall_offset(absl::Seconds(fault.b));
      }
      return true;
    }
    case FaultKind::kCollect:
      if (!IsBookie(fault.a) || cluster_->bookie(bookie) == nullptr) return false;
      cluster_->process(bookie)->Spawn(CollectGarbage(cluster_->bookie(bookie), fault.b));
      return true;
    default: return false;
  }
}

std::vector<std::string> Hazards::OthersThan(const std::string& host) {
  std::vector<std::string> others;
  for (const auto& [number, node] : nodes_) others.push_back(HostOf(number));
  for (const Actor& actor : stage_->scenario().actors) others.push_back(HostOf(actor.number));
  std::erase(others, host);
  return others;
}

bool Hazards::ApplyToNetwork(const Fault& fault) {
  SimNetwork& network = cluster_->world().network();
  const std::string a = HostOf(fault.a);
  if (a.empty()) return false;
  const absl::Duration time = absl::Milliseconds(fault.for_ms);
  switch (fault.kind) {
    case FaultKind::kIsolate: {
      const std::vector<std::string> others = OthersThan(a);
      for (const std::string& other : others) network.Partition(a, other);
      After(time, [&network, a, others] {
        for (const std::string& other : others) network.Heal(a, other);
      });
      return true;
    }
    case FaultKind::kSwizzle: {
      std::vector<SimNetwork::DirectedLink> links;
      for (const std::string& other : OthersThan(a)) {
        links.emplace_back(a, other);
        links.emplace_back(other, a);
      }
      network.SwizzleClog(std::move(links), time);
      return true;
    }
    case FaultKind::kShutWindow:
      network.ShutWindow(a);
      After(time, [&network, a] { network.OpenWindow(a); });
      return true;
    default: {
      const std::string b = HostOf(fault.b);
      return !b.empty() && a != b && ApplyToLink(fault, a, b);
    }
  }
}

bool Hazards::ApplyToLink(const Fault& fault, const std::string& a, const std::string& b) {
  SimNetwork& network = cluster_->world().network();
  const absl::Duration time = absl::Milliseconds(fault.for_ms);
  switch (fault.kind) {
    case FaultKind::kReset: network.ResetConnections(a, b); return true;
    case FaultKind::kZombie: network.ResetWithZombies(a, b, time); return true;
    case FaultKind::kHalfOpen:
      network.HalfOpen(a, b, SimNetwork::Silence::kUntilItSends);
      return true;
    case FaultKind::kOneWay:
      network.Block(a, b);
      After(time, [&network, a, b] { network.Unblock(a, b); });
      return true;
    case FaultKind::kPartition:
      network.Partition(a, b);
      After(time, [&network, a, b] { network.Heal(a, b); });
      return true;
    case FaultKind::kSlowLink: {
      // All of it grows with how long it lasts.
      const LinkConditions slow{.delay_tail = time / 100,
                                .spikes = 20,
                                .stalls = 50,
                                .bytes_per_second = 200'000,
                                .zombies = 300,
                                .zombie_delay_max = time};
      network.SetConditions(a, b, slow);
      network.SetConditions(b, a, slow);
      After(time, [&network, a, b] {
        network.SetConditions(a, b, {});
        network.SetConditions(b, a, {});
      });
      return true;
    }
    case FaultKind::kFlakyLink:
      network.SetConditions(a, b, {.resets = kFlakyThousandths});
      network.SetConditions(b, a, {.resets = kFlakyThousandths});
      After(time, [&network, a, b] {
        network.SetConditions(a, b, {});
        network.SetConditions(b, a, {});
      });
      return true;
    default: return false;
  }
}

bool Hazards::ApplyToStore(const Fault& fault) {
  SimMetadataServer& store = cluster_->world().metadata();
  const absl::Duration time = absl::Milliseconds(fault.for_ms);
  if (fault.kind == FaultKind::kStoreDown) {
    store.Stop();
    After(time, [&store] { store.Start(); });
    return true;
  }
  if (fault.kind == FaultKind::kStoreSlow) {
    store.set_slowness(std::max<int64_t>(1, fault.b));
    After(time, [&store] { store.set_slowness(1); });
    return true;
  }
  if (fault.kind == FaultKind::kWatchLate) {
    store.set_watch_delay_max(std::min(time, kWatchDelayMax));
    return true;
  }
  SimProcess* process = ProcessOf(fault.a);
  if (process == nullptr) return false;
  const int count = static_cast<int>(fault.b);
  switch (fault.kind) {
    case FaultKind::kStoreCut:
      store.Disconnect(process);
      After(time, [&store, process] { store.Reconnect(process); });
      return true;
    case FaultKind::kStoreFlap: {
      const absl::Duration period = absl::Milliseconds(fault.b);
      Flap(process, period, std::max(time, 6 * period));
      return true;
    }
    case FaultKind::kStoreLoseReply: store.LoseReplies(process, count); return true;
    case FaultKind::kStoreLoseRequest: store.LoseRequests(process, count); return true;
    case FaultKind::kExpire: store.Expire(process); return true;
    case FaultKind::kStoreErrs:
      store.FailReads(process, static_cast<uint64_t>(fault.b));
      After(time, [&store, process] { store.FailReads(process, 0); });
      return true;
    default: return false;
  }
}

void Hazards::Flap(SimProcess* process, absl::Duration period, absl::Duration left) {
  if (healed_) return;
  SimMetadataServer& store = cluster_->world().metadata();
  store.Disconnect(process);
  After(period, [this, &store, process, period, left] {
    store.Reconnect(process);
    if (left <= 2 * period) return;
    After(period, [this, process, period, left] { Flap(process, period, left - 2 * period); });
  });
}

bool Hazards::ApplyToDisk(const Fault& fault) {
  if (!IsBookie(fault.a)) return false;
  SimDisk& disk = cluster_->machine(static_cast<int>(fault.a))->disk();
  const absl::Duration time = absl::Milliseconds(fault.for_ms);
  const int times = static_cast<int>(fault.b);
  switch (fault.kind) {
    case FaultKind::kDiskFull:
      disk.set_size_bytes(disk.used_bytes() + 1'000);
      After(time, [&disk] { disk.set_size_bytes(SimDiskOptions().size_bytes); });
      return true;
    case FaultKind::kDiskStall: disk.StallFor(time); return true;
    case FaultKind::kDiskSlow:
      disk.set_slowness(std::max(1, times));
      After(time, [&disk] { disk.set_slowness(1); });
      return true;
    case FaultKind::kDiskUneven:
      disk.set_unevenness_max(absl::Milliseconds(fault.b));
      After(time, [&disk] { disk.set_unevenness_max(absl::ZeroDuration()); });
      return true;
    case FaultKind::kDiskSync: disk.faults().Arm(DiskFault::kSyncFails); return true;
    case FaultKind::kDiskSyncShows: disk.faults().Arm(DiskFault::kSyncFailsShows); return true;
    case FaultKind::kDiskWrite: disk.faults().Arm(DiskFault::kWriteError, times); return true;
    case FaultKind::kDiskRead: disk.faults().Arm(DiskFault::kReadError, times); return true;
    case FaultKind::kDiskTorn: disk.faults().Arm(DiskFault::kTornWrite); return true;
    case FaultKind::kDescriptors: disk.faults().Arm(DiskFault::kNoDescriptors, times); return true;
    default: return false;
  }
}

bool Hazards::Damage(const Fault& fault) {
  if (!IsBookie(fault.a)) return false;
  const int bookie = static_cast<int>(fault.a);
  const absl::Duration time = absl::Milliseconds(fault.for_ms);
  if (fault.kind == FaultKind::kSetBack) {
    return fault.b == 1 ? SetBack(bookie, first_day_.at(bookie)) : SetBackLater(bookie, time);
  }
  SimDisk& disk = cluster_->machine(bookie)->disk();
  nodes_.at(bookie).damaged = true;
  const int times = static_cast<int>(fault.b);
  switch (fault.kind) {
    case FaultKind::kRot: {
      bool any = false;
      for (int i = 0; i < times; ++i) any = disk.Rot(kData).has_value() || any;
      return any;
    }
    case FaultKind::kBadSector: disk.faults().Arm(DiskFault::kBadSector, times); return true;
    case FaultKind::kMisdirectedRead:
      disk.faults().Arm(DiskFault::kMisdirectedRead, times);
      return true;
    // No bookie can know what it was lied to about.
    case FaultKind::kLostWrite:
      watch_->MarkDamaged(HostOf(bookie));
      disk.faults().Arm(DiskFault::kLostWrite, times);
      return true;
    // Its cookies are gone: it must not serve.
    case FaultKind::kWipe:
      Down(bookie, false, absl::Milliseconds(fault.for_ms));
      nodes_.at(bookie).wiped = true;
      return disk.Wipe(kData);
    case FaultKind::kMisdirectedWrite:
      watch_->MarkDamaged(HostOf(bookie));
      disk.faults().Arm(DiskFault::kMisdirectedWrite, times);
      return true;
    default: return false;
  }
}

Hazards::Snapshot Hazards::SnapshotOf(int bookie) {
  const bookie::Bookie* serving = cluster_->bookie(bookie);
  if (serving == nullptr) return {};
  return {cluster_->machine(bookie)->disk().TakeSnapshot(), serving->Status().limbo.data_age};
}

// It starts anew in between, so that it is told from the one that it was.
bool Hazards::SetBackLater(int bookie, absl::Duration later) {
  const Snapshot snapshot = SnapshotOf(bookie);
  if (snapshot.disk == nullptr || !Down(bookie, false, kShortDown)) return false;
  After(later + kShortDown, [this, bookie, snapshot] {
    if (!healed_) SetBack(bookie, snapshot);
  });
  return true;
}

// What it was after the last raise of its age, or what has not been raised since, nobody can tell
// from what it is.
bool Hazards::SetBack(int bookie, const Snapshot& to) {
  const bookie::Bookie* serving = cluster_->bookie(bookie);
  if (to.disk == nullptr || serving == nullptr || serving->Status().limbo.data_age <= to.age)
    return false;
  if (!Down(bookie, false, kShortDown)) return false;
  nodes_.at(bookie).damaged = true;
  watch_->MarkSetBack(HostOf(bookie));
  cluster_->machine(bookie)->disk().RestoreSnapshot(to.disk);
  cluster_->world().scheduler().faults().Count("swarm: a disk is set back");
  stage_->Note(StrCat("the disk of b", bookie, " is set back to age ", to.age));
  return true;
}

// ---- Bookies

bool Hazards::Down(int bookie, bool power, absl::Duration down_for) {
  Node& node = nodes_.at(bookie);
  if (!node.up) return false;
  node.up = false;
  ++node.deaths;
  power ? cluster_->PowerCut(bookie) : cluster_->Kill(bookie);
  if (down_for == absl::InfiniteDuration()) return true;
  After(down_for, [this, bookie, deaths = node.deaths] {
    if (nodes_.at(bookie).deaths == deaths) Up(bookie);
  });
  return true;
}

void Hazards::Up(int bookie) {
  Node& node = nodes_.at(bookie);
  if (node.up || node.lost) return;
  node.up = true;
  actors_->OnBookieUp(bookie);
  cluster_->Restart(bookie);
}

void Hazards::OnBookieFailure(int bookie, const absl::Status& why) {
  stage_->Say(StrCat(stage_->now_nanoseconds(), " b", bookie,
                     " cannot go on: ", ToStd(why.message()), "\n"));
  After(absl::ZeroDuration(), [this, bookie, deaths = nodes_.at(bookie).deaths] {
    if (nodes_.at(bookie).deaths == deaths) Down(bookie, false, kSupervisorPause);
  });
}

void Hazards::StopInOrder(int bookie, absl::Duration down_for) {
  if (cluster_->bookie(bookie) == nullptr) return;
  const auto end = [this, bookie, down_for, deaths = nodes_.at(bookie).deaths] {
    // The stop may outlive the heal.
    const absl::Duration away = healed_ ? absl::ZeroDuration() : down_for;
    if (nodes_.at(bookie).deaths == deaths) Down(bookie, false, away);
  };
  cluster_->process(bookie)->Spawn(
      StopBookie(cluster_->bookie(bookie), [this, end] { After(absl::ZeroDuration(), end); }));
  After(kStopPatience, end);
}

void Hazards::PowerCycleAll() {
  for (auto& [number, node] : nodes_) Down(number, true, absl::Milliseconds(10));
}

void Hazards::HealAll() {
  healed_ = true;
  triggers_.Clear();
  World& world = cluster_->world();
  world.HealAll();
  world.network().HealAll();
  world.metadata().Start();
  for (auto& [number, node] : nodes_) {
    world.metadata().Reconnect(cluster_->process(number));
    cluster_->machine(number)->disk().set_size_bytes(SimDiskOptions().size_bytes);
    Up(number);
  }
  for (const Actor& actor : stage_->scenario().actors) {
    SimProcess* process = actors_->process(actor.number);
    if (process == nullptr) continue;
    world.metadata().Reconnect(process);
    if (!process->alive()) actors_->Restart(actor.number);
  }
}

bool Hazards::is_excused(const std::string& host) const {
  return std::ranges::any_of(nodes_, [&](const auto& node) {
    return is_excused(node.first) && cluster_->process(node.first)->name() == host;
  });
}

bool Hazards::is_gone(const std::string& host) const {
  return std::ranges::any_of(nodes_, [&](const auto& node) {
    return (node.second.lost || node.second.wiped) && cluster_->process(node.first)->name() == host;
  });
}

void Hazards::BreakAgain(int bookie, Away how, const std::string& newcomer) {
  SimNetwork& network = cluster_->world().network();
  const std::string host = HostOf(bookie);
  std::vector<std::string> others = OthersThan(host);
  others.push_back(newcomer);
  switch (how) {
    case Away::kDead: Down(bookie, false, absl::InfiniteDuration()); return;
    case Away::kPaused: {
      SimProcess* process = cluster_->process(bookie);
      if (process->alive() && !process->paused()) cluster_->world().Pause(process);
      return;
    }
    case Away::kIsolated:
    case Away::kDeaf:
    case Away::kMute:
      for (const std::string& other : others) {
        if (how != Away::kMute) network.Block(other, host);
        if (how != Away::kDeaf) network.Block(host, other);
      }
      return;
  }
}

void Hazards::Mend(int bookie) {
  SimProcess* process = cluster_->process(bookie);
  if (process->paused()) cluster_->world().Resume(process);
  cluster_->world().network().HealAll();
  Up(bookie);
}

int Hazards::excused() const {
  int count = 0;
  for (const auto& [number, node] : nodes_) count += is_excused(number) ? 1 : 0;
  return count;
}

SimProcess* Hazards::ProcessOf(int64_t number) {
  return IsBookie(number) ? cluster_->process(static_cast<int>(number)) : actors_->process(number);
}

std::string Hazards::HostOf(int64_t number) {
  SimProcess* process = ProcessOf(number);
  return process == nullptr ? "" : process->name();
}

}  // namespace stele::simulation
