#include "simulation/swarm/hazards.h"

#include <functional>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::simulation {
namespace {

// What a supervisor waits before it starts a bookie again that ended by itself.
constexpr absl::Duration kSupervisorPause = absl::Seconds(2);
// A process that is to stop in order and does not is killed.
constexpr absl::Duration kStopPatience = absl::Seconds(30);

bool TakeOne(int* count, uint64_t* failed) {
  if (*count == 0) return false;
  --*count;
  ++*failed;
  return true;
}

Task<void> StopBookie(bookie::Bookie* bookie, std::function<void()> stopped) {
  (void)co_await bookie->Stop();
  stopped();
}

// With the compaction that moves the most.
Task<void> CollectGarbage(bookie::Bookie* bookie) {
  (void)co_await bookie->CollectGarbage(bookie::CompactionKind::kMajor);
}

}  // namespace

absl::Status ScriptedDisk::BeforeOperation(const FileRequest& request) {
  int* count = nullptr;
  switch (request.operation) {
    case FileOperation::kSync:
    case FileOperation::kSyncDirectory: count = &fail_syncs; break;
    case FileOperation::kWrite:
    case FileOperation::kTruncate: count = &fail_writes; break;
    case FileOperation::kRead: count = &fail_reads; break;
    default: return absl::OkStatus();
  }
  if (!TakeOne(count, &failed)) return absl::OkStatus();
  return MakeError(ErrorCode::kIoError, StrCat(request.path, ": the disk failed"));
}

Hazards::Hazards(Stage* stage, Cluster* cluster, ActorControl* actors)
    : stage_(stage), cluster_(cluster), actors_(actors) {
  for (int bookie = 1; bookie <= stage->scenario().bookies; ++bookie) {
    cluster_->machine(bookie)->disk().set_faults(&nodes_[bookie].disk);
  }
}

void Hazards::Schedule(const Scenario& scenario) {
  for (const Fault& fault : scenario.faults) {
    After(absl::Milliseconds(fault.at_ms), [this, &fault] { Strike(fault); });
  }
}

void Hazards::After(absl::Duration delay, absl::AnyInvocable<void()> job) {
  Scheduler& scheduler = cluster_->world().scheduler();
  scheduler.CallAfter(scheduler.world(), delay, [job = std::move(job)]() mutable { job(); });
}

void Hazards::Strike(const Fault& fault) {
  if (healed_ || !Apply(fault)) return;
  ++effects_[static_cast<size_t>(fault.kind)];
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
    case FaultKind::kWallClock:
    case FaultKind::kCollect:
    case FaultKind::kStop: return ApplyToProcess(fault);
    case FaultKind::kPartition:
    case FaultKind::kOneWay:
    case FaultKind::kIsolate:
    case FaultKind::kReset: return ApplyToNetwork(fault);
    case FaultKind::kStoreCut:
    case FaultKind::kStoreDown:
    case FaultKind::kStoreLoseReply:
    case FaultKind::kStoreLoseRequest:
    case FaultKind::kExpire: return ApplyToStore(fault);
    case FaultKind::kDiskFull:
    case FaultKind::kDiskSync:
    case FaultKind::kDiskWrite:
    case FaultKind::kDiskRead: return ApplyToDisk(fault);
  }
  return false;
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
        // In the middle of the start, in which a bookie spends some tens of milliseconds.
        After(down_for + absl::Milliseconds(20 * i + 5 * i * i), [this, bookie] {
          if (!healed_) Down(bookie, false, absl::Milliseconds(1));
        });
      }
      return Down(bookie, false, down_for);
    case FaultKind::kLose:
      if (nodes_.at(bookie).lost) return false;
      Down(bookie, false, down_for);
      nodes_.at(bookie).lost = true;
      return true;
    case FaultKind::kStop: StopInOrder(bookie, down_for); return true;
    case FaultKind::kWallClock: {
      SimProcess* process = ProcessOf(fault.a);
      if (process == nullptr) return false;
      process->set_wall_offset(absl::Seconds(fault.b));
      return true;
    }
    case FaultKind::kCollect:
      if (!IsBookie(fault.a) || cluster_->bookie(bookie) == nullptr) return false;
      cluster_->process(bookie)->Spawn(CollectGarbage(cluster_->bookie(bookie)));
      return true;
    default: return false;
  }
}

bool Hazards::ApplyToNetwork(const Fault& fault) {
  SimNetwork& network = cluster_->world().network();
  const std::string a = HostOf(fault.a);
  if (a.empty()) return false;
  const absl::Duration time = absl::Milliseconds(fault.for_ms);
  if (fault.kind == FaultKind::kIsolate) {
    std::vector<std::string> others;
    for (const auto& [number, node] : nodes_) others.push_back(HostOf(number));
    for (const Actor& actor : stage_->scenario().actors) others.push_back(HostOf(actor.number));
    for (const std::string& other : others) {
      if (other != a) network.Partition(a, other);
    }
    After(time, [&network, a, others] {
      for (const std::string& other : others) network.Heal(a, other);
    });
    return true;
  }
  const std::string b = HostOf(fault.b);
  if (b.empty() || a == b) return false;
  if (fault.kind == FaultKind::kReset) {
    network.ResetConnections(a, b);
    return true;
  }
  if (fault.kind == FaultKind::kOneWay) {
    network.Block(a, b);
    After(time, [&network, a, b] { network.Unblock(a, b); });
    return true;
  }
  network.Partition(a, b);
  After(time, [&network, a, b] { network.Heal(a, b); });
  return true;
}

bool Hazards::ApplyToStore(const Fault& fault) {
  SimMetadataServer& store = cluster_->world().metadata();
  const absl::Duration time = absl::Milliseconds(fault.for_ms);
  if (fault.kind == FaultKind::kStoreDown) {
    store.Stop();
    After(time, [&store] { store.Start(); });
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
    case FaultKind::kStoreLoseReply: store.LoseReplies(process, count); return true;
    case FaultKind::kStoreLoseRequest: store.LoseRequests(process, count); return true;
    case FaultKind::kExpire: store.Expire(process); return true;
    default: return false;
  }
}

bool Hazards::ApplyToDisk(const Fault& fault) {
  const auto found = nodes_.find(static_cast<int>(fault.a));
  if (found == nodes_.end()) return false;
  ScriptedDisk& faults = found->second.disk;
  SimDisk& disk = cluster_->machine(found->first)->disk();
  switch (fault.kind) {
    case FaultKind::kDiskFull:
      disk.set_size_bytes(disk.used_bytes() + 1'000);
      After(absl::Milliseconds(fault.for_ms),
            [&disk] { disk.set_size_bytes(SimDiskOptions().size_bytes); });
      return true;
    case FaultKind::kDiskSync: ++faults.fail_syncs; return true;
    case FaultKind::kDiskWrite: faults.fail_writes += static_cast<int>(fault.b); return true;
    case FaultKind::kDiskRead: faults.fail_reads += static_cast<int>(fault.b); return true;
    default: return false;
  }
}

// ---- Bookies

bool Hazards::Down(int bookie, bool power, absl::Duration down_for) {
  Node& node = nodes_.at(bookie);
  if (!node.up) return false;
  node.up = false;
  ++node.deaths;
  power ? cluster_->PowerCut(bookie) : cluster_->Kill(bookie);
  After(down_for, [this, bookie, deaths = node.deaths] {
    if (nodes_.at(bookie).deaths == deaths) Up(bookie);
  });
  return true;
}

void Hazards::Up(int bookie) {
  Node& node = nodes_.at(bookie);
  if (node.up || node.lost) return;
  node.up = true;
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
    if (nodes_.at(bookie).deaths == deaths) Down(bookie, false, down_for);
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
  World& world = cluster_->world();
  world.network().HealAll();
  world.metadata().Start();
  for (auto& [number, node] : nodes_) {
    world.metadata().Reconnect(cluster_->process(number));
    cluster_->machine(number)->disk().set_size_bytes(SimDiskOptions().size_bytes);
    node.disk.fail_syncs = node.disk.fail_writes = node.disk.fail_reads = 0;
    Up(number);
  }
  for (const Actor& actor : stage_->scenario().actors) {
    SimProcess* process = actors_->process(actor.number);
    if (process == nullptr) continue;
    world.metadata().Reconnect(process);
    if (!process->alive()) actors_->Restart(actor.number);
  }
}

int Hazards::lost() const {
  int count = 0;
  for (const auto& [number, node] : nodes_) count += node.lost ? 1 : 0;
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
