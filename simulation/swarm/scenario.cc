// Drawing a scenario from a seed: shapes are ugly on purpose.
#include "simulation/swarm/scenario.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_random.h"

namespace stele::simulation {
namespace {

struct Profile {
  std::string_view name;
  int share;  // of a thousand seeds
};
constexpr Profile kProfiles[] = {
    {"swarm", 480}, {"calm", 50},   {"crash", 90},  {"disk", 80},   {"meta", 70},
    {"net", 70},    {"damage", 40}, {"clock", 10},  {"repair", 50}, {"liveness", 40},
    {"beyond", 20}, {"mixed", 0},   {"extents", 0},
};

// A class of faults is on or off as a whole; `profile` always has it, the others by chance.
struct FaultClass {
  std::string_view profile;
  std::vector<FaultKind> kinds;
};

const std::vector<FaultClass>& FaultClasses() {
  static const auto* const kClasses = new std::vector<FaultClass>{
      {"crash", {FaultKind::kCrash}},
      {"crash", {FaultKind::kPower, FaultKind::kPowerAll}},
      {"crash", {FaultKind::kRestartLoop, FaultKind::kStop}},
      {"crash", {FaultKind::kPause}},
      {"disk", {FaultKind::kDiskFull, FaultKind::kDiskTorn, FaultKind::kDescriptors}},
      {"disk", {FaultKind::kDiskSync, FaultKind::kDiskSyncShows}},
      {"disk", {FaultKind::kDiskWrite, FaultKind::kDiskRead}},
      {"disk", {FaultKind::kDiskStall, FaultKind::kDiskSlow}},
      {"disk", {FaultKind::kRot, FaultKind::kBadSector, FaultKind::kMisdirectedRead}},
      {"damage", {FaultKind::kLostWrite, FaultKind::kMisdirectedWrite}},
      {"damage", {FaultKind::kLose, FaultKind::kWipe}},
      {"net", {FaultKind::kPartition, FaultKind::kIsolate}},
      {"net", {FaultKind::kOneWay, FaultKind::kSwizzle}},
      {"net", {FaultKind::kReset, FaultKind::kHalfOpen}},
      {"net", {FaultKind::kZombie}},
      {"net", {FaultKind::kSlowLink, FaultKind::kShutWindow}},
      {"meta", {FaultKind::kStoreCut, FaultKind::kStoreDown, FaultKind::kStoreFlap}},
      {"meta", {FaultKind::kStoreLoseReply, FaultKind::kStoreLoseRequest}},
      {"meta", {FaultKind::kExpire}},
      {"meta", {FaultKind::kStoreSlow, FaultKind::kWatchLate}},
      {"clock", {FaultKind::kWallClock, FaultKind::kClockRate}},
      {"collect", {FaultKind::kCollect}},
      {"net", {FaultKind::kFlakyLink}},
      {"meta", {FaultKind::kStoreErrs}},
      {"crash", {FaultKind::kDiskUneven}},
  };
  return *kClasses;
}

// Between low and high, each order of magnitude as likely as the other.
int64_t LogUniform(SimRandom& random, int64_t low, int64_t high) {
  int doublings = 0;
  while (low << (doublings + 1) <= high) ++doublings;
  const int64_t base = low << random.Below(static_cast<uint64_t>(doublings) + 1);
  const int64_t result = base + static_cast<int64_t>(random.Below(static_cast<uint64_t>(base) + 1));
  return std::min(result, high);
}

std::string DrawProfile(SimRandom& random) {
  uint64_t left = random.Below(1000);
  for (const Profile& profile : kProfiles) {
    if (left < static_cast<uint64_t>(profile.share)) return std::string(profile.name);
    left -= static_cast<uint64_t>(profile.share);
  }
  return "swarm";
}

int DrawBookies(SimRandom& random) {
  const uint64_t kind = random.Below(10);
  if (kind < 4) return 3;
  if (kind < 8) return 4 + static_cast<int>(random.Below(3));
  return 7 + static_cast<int>(random.Below(6));
}

int64_t DrawSize(SimRandom& random) {
  constexpr int64_t kSizes[] = {0, 24, 100, 511, 1'000, 4'096, 20'000, 120'000};
  // Most are small.
  if (random.Chance(7, 10)) return kSizes[random.Below(5)];
  return kSizes[random.Below(std::size(kSizes))];
}

Actor DrawActor(SimRandom& random, Role role, int number, int64_t duration_ms) {
  Actor actor{.role = role, .number = number};
  actor.at_ms = static_cast<int64_t>(random.Below(static_cast<uint64_t>(duration_ms) / 4 + 1));
  actor.operations = LogUniform(random, 20, 3'000);
  actor.window = LogUniform(random, 1, 200);
  actor.size_max_bytes = DrawSize(random);
  // Large payloads cost the most, and show the least.
  if (actor.size_max_bytes > 10'000) {
    actor.operations = std::min<int64_t>(actor.operations, 200);
    actor.window = std::min<int64_t>(actor.window, 16);
  }
  for (uint64_t flag = 1; flag <= Actor::kNamesLedgers; flag <<= 1) {
    if (random.Chance(1, 3)) actor.flags |= flag;
  }
  return actor;
}

void DrawActors(SimRandom random, Scenario* scenario) {
  const auto add = [&](Role role, uint64_t at_least, uint64_t spread) {
    const uint64_t count = at_least + random.Below(spread + 1);
    for (uint64_t i = 0; i < count; ++i) {
      const int number = kFirstActor + static_cast<int>(scenario->actors.size());
      scenario->actors.push_back(DrawActor(random, role, number, scenario->duration_ms));
    }
  };
  add(Role::kWriter, 1, 2);
  // Each feature is on in two of three runs.
  if (random.Chance(1, 2)) add(Role::kCallerIds, 1, 0);
  if (random.Chance(1, 2)) add(Role::kDeferredSync, 1, 0);
  if (random.Chance(2, 3)) add(Role::kTailer, 1, 1);
  if (random.Chance(2, 3)) add(Role::kReader, 1, 1);
  if (random.Chance(2, 3)) add(Role::kRecoverer, 1, 2);
  if (random.Chance(1, 2)) add(Role::kDeleter, 1, 0);
  if (random.Chance(1, 2)) add(Role::kLogClient, 1, 2);
  if (random.Chance(1, 3)) add(Role::kIntruder, 1, 0);
  const bool repairs = scenario->profile == "repair";
  if (repairs || random.Chance(1, 3)) add(Role::kAutorecovery, 1, 2);
}

// Apache's bookies among ours, and writers that close as its client does. All of it is drawn from
// streams of its own.
void DrawMixed(SimRandom random, Scenario* scenario) {
  scenario->losses_max = 0;  // damage would excuse what is looked for
  scenario->java_bookies =
      1 + static_cast<int>(random.Below(static_cast<uint64_t>(scenario->bookies)));
  for (Actor& actor : scenario->actors) {
    const bool only_writes = actor.role == Role::kWriter || actor.role == Role::kCallerIds ||
                             actor.role == Role::kDeferredSync;
    if (only_writes && random.Chance(2, 3)) actor.flags |= Actor::kClosesAsJava;
  }
  // Somebody has to come between a writer and its end.
  for (uint64_t count = 1 + random.Below(3); count > 0; --count) {
    const int number = kFirstActor + static_cast<int>(scenario->actors.size());
    scenario->actors.push_back(DrawActor(random, Role::kRecoverer, number, scenario->duration_ms));
  }
}

// Bookies whose index is in extents, or is converted to and fro.
void DrawExtents(SimRandom random, Scenario* scenario) {
  scenario->extents = random.Chance(2, 3) ? 1 : 2;
}

bool OnlyBookies(FaultKind kind) {
  switch (kind) {
    case FaultKind::kPower:
    case FaultKind::kLose:
    case FaultKind::kRestartLoop:
    case FaultKind::kCollect:
    case FaultKind::kStop: return true;
    default: return kind >= FaultKind::kDiskFull && kind <= FaultKind::kSetBack;
  }
}

// A bookie, or any process: mostly one of those that the fault concerns.
int64_t DrawTarget(SimRandom& random, const Scenario& scenario, FaultKind kind) {
  // Metadata is written by clients.
  const bool of_clients =
      kind == FaultKind::kStoreLoseReply || kind == FaultKind::kStoreLoseRequest;
  if (OnlyBookies(kind) || random.Chance(of_clients ? 1 : 4, 6)) {
    return 1 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(scenario.bookies)));
  }
  return scenario.actors[random.Below(scenario.actors.size())].number;
}

int64_t DrawSecond(SimRandom& random, const Scenario& scenario, const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kPartition:
    case FaultKind::kOneWay:
    case FaultKind::kReset:
    case FaultKind::kZombie:
    case FaultKind::kHalfOpen:
    case FaultKind::kSlowLink:
    case FaultKind::kFlakyLink: {
      const int64_t other = DrawTarget(random, scenario, fault.kind);
      return other != fault.a ? other : (fault.a == 1 ? 2 : 1);
    }
    case FaultKind::kStoreLoseReply:
    case FaultKind::kStoreLoseRequest: return LogUniform(random, 1, 12);
    case FaultKind::kDiskWrite:
    case FaultKind::kDiskRead:
    case FaultKind::kDescriptors:
    case FaultKind::kRot:
    case FaultKind::kBadSector:
    case FaultKind::kMisdirectedRead:
    case FaultKind::kLostWrite:
    case FaultKind::kMisdirectedWrite:
    case FaultKind::kRestartLoop: return 1 + static_cast<int64_t>(random.Below(3));
    case FaultKind::kWallClock: return static_cast<int64_t>(random.Below(172'800)) - 86'400;
    case FaultKind::kClockRate: return 500 + static_cast<int64_t>(random.Below(1'500));
    case FaultKind::kCollect: return static_cast<int64_t>(random.Below(3));
    case FaultKind::kSetBack: return static_cast<int64_t>(random.Below(2));
    case FaultKind::kStoreSlow:
    case FaultKind::kDiskSlow: return LogUniform(random, 2, 200);
    case FaultKind::kDiskUneven: return LogUniform(random, 2, 500);
    case FaultKind::kStoreErrs: return LogUniform(random, 50, 900);
    case FaultKind::kStoreFlap: return LogUniform(random, 20, 15'000);
    default: return 0;
  }
}

// Draws the faults of a scenario. Things that break one by one, far apart, are survived easily, and
// so are those that break while nobody works: half of them come soon after an actor has begun, a
// third in the middle of what their victim does, and storms bring several at once.
class FaultDrawer {
 public:
  FaultDrawer(Scenario* scenario, SimRandom random)
      : scenario_(scenario),
        random_(std::move(random)),
        victim_(1 + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(scenario->bookies)))) {
  }

  void Draw() {
    for (size_t i = 0; i < FaultClasses().size(); ++i) {
      const FaultClass& group = FaultClasses()[i];
      SimRandom stream = random_.Child(StrCat(group.profile, "/", i));
      if (!IsEnabled(group, stream)) continue;
      enabled_.push_back(&group);
      // How many: log-uniform, so that most runs have few of a class and some have very many.
      const int64_t count = LogUniform(stream, 1, 24);
      for (int64_t k = 0; k < count; ++k) Add(stream, group, DrawMoment(stream), kLongestMs);
    }
    DrawStorms(random_.Child("storms"));
    DrawSetBacks(random_.Child("set back"));
    std::ranges::stable_sort(scenario_->faults, {}, &Fault::at_ms);
  }

 private:
  static constexpr int64_t kLongestMs = 60'000;
  static constexpr int64_t kLongestInStormMs = 10'000;

  bool IsEnabled(const FaultClass& group, SimRandom& stream) const {
    const std::string& profile = scenario_->profile;
    const bool destructive = IsDestructive(group.kinds[0]);
    const bool loses = group.kinds[0] == FaultKind::kLose;
    if (profile == "beyond") {
      // What a disk lies about no bookie can know, and nobody can report.
      if (destructive) return group.kinds[0] != FaultKind::kLostWrite;
      return stream.Chance(1, 10);
    }
    if (destructive && scenario_->losses_max == 0) return false;
    if (group.profile == profile || (loses && profile == "repair")) return true;
    const bool many = profile == "swarm" || profile == "liveness" || profile == "repair" ||
                      profile == "mixed" || profile == "extents";
    return many ? stream.Chance(1, 2) : stream.Chance(1, 10);
  }

  int64_t DrawMoment(SimRandom& stream) const {
    const int64_t end = scenario_->duration_ms;
    if (stream.Chance(1, 2)) {
      return kFirstMs + static_cast<int64_t>(stream.Below(static_cast<uint64_t>(end)));
    }
    const Actor& actor = scenario_->actors[stream.Below(scenario_->actors.size())];
    return std::min(end, actor.at_ms + LogUniform(stream, 10, kLongestMs));
  }

  //   eye   0, or the one bookie that all faults of bookies strike
  void Add(SimRandom& stream, const FaultClass& group, int64_t at_ms, int64_t longest_ms,
           int64_t eye = 0) {
    Fault fault;
    fault.kind = group.kinds[stream.Below(group.kinds.size())];
    fault.at_ms = at_ms;
    fault.for_ms = LogUniform(stream, 1, longest_ms);
    fault.a = DrawTarget(stream, *scenario_, fault.kind);
    if (eye != 0 && fault.a <= scenario_->bookies) fault.a = eye;
    fault.b = DrawSecond(stream, *scenario_, fault);
    if (stream.Chance(1, 3)) fault.calls = LogUniform(stream, 1, 400);
    const bool within_budget = scenario_->profile != "beyond";
    if (IsDestructive(fault.kind) && within_budget) fault.a = victim_;
    if (fault.kind == FaultKind::kLose && within_budget && std::exchange(lost_, true)) return;
    scenario_->faults.push_back(fault);
    if (fault.kind == FaultKind::kDiskUneven) AddPowerCut(stream, fault);
  }

  // What the order of writes was good for shows when the power fails in the midst of it.
  void AddPowerCut(SimRandom& stream, const Fault& uneven) {
    scenario_->faults.push_back({.kind = FaultKind::kPower,
                                 .at_ms = uneven.at_ms + LogUniform(stream, 1, uneven.for_ms),
                                 .for_ms = LogUniform(stream, 1, kLongestInStormMs),
                                 .a = uneven.a,
                                 .calls = LogUniform(stream, 1, 400)});
  }

  void DrawStorms(SimRandom stream) {
    if (enabled_.empty() || stream.Chance(1, 2)) return;
    for (int64_t left = LogUniform(stream, 1, 8); left > 0; --left) {
      const int64_t begin = DrawMoment(stream);
      const int64_t length = LogUniform(stream, 1, 4'000);
      const int64_t eye =
          stream.Chance(1, 2) ? DrawTarget(stream, *scenario_, FaultKind::kPower) : 0;
      for (uint64_t count = 2 + stream.Below(5); count > 0; --count) {
        const FaultClass& group = *enabled_[stream.Below(enabled_.size())];
        const auto at = static_cast<int64_t>(stream.Below(static_cast<uint64_t>(length)));
        Add(stream, group, begin + at, kLongestInStormMs, eye);
      }
    }
  }

  // Apart from the classes, so that storms are what they were.
  void DrawSetBacks(SimRandom stream) {
    const FaultClass set_backs{"damage", {FaultKind::kSetBack}};
    if (!IsEnabled(set_backs, stream)) return;
    for (int64_t left = LogUniform(stream, 1, 4); left > 0; --left) {
      Add(stream, set_backs, DrawMoment(stream), kLongestMs);
    }
  }

  // The cluster stands by then.
  static constexpr int64_t kFirstMs = 500;

  Scenario* scenario_;
  SimRandom random_;
  const int64_t victim_;  // the one bookie that may be destroyed
  bool lost_ = false;
  std::vector<const FaultClass*> enabled_;
};

}  // namespace

bool IsDestructive(FaultKind kind) {
  return kind == FaultKind::kLose || (kind >= FaultKind::kRot && kind <= FaultKind::kSetBack);
}

const std::vector<std::string>& Profiles() {
  static const auto* const kNames = [] {
    auto* names = new std::vector<std::string>;
    for (const Profile& profile : kProfiles) names->emplace_back(profile.name);
    return names;
  }();
  return *kNames;
}

absl::StatusOr<Scenario> DrawScenario(uint64_t seed, std::string_view profile) {
  SimRandom random = SimRandom(seed).Child("scenario");
  Scenario scenario{.seed = seed};
  scenario.profile = DrawProfile(random);
  if (!profile.empty()) {
    if (std::ranges::find(Profiles(), profile) == Profiles().end()) {
      return MakeError(ErrorCode::kInvalidArgument, StrCat("no such profile: ", profile));
    }
    scenario.profile = profile;
  }
  scenario.bookies = DrawBookies(random);
  scenario.duration_ms = LogUniform(random, 20'000, 600'000);
  scenario.timeouts_percent = random.Chance(1, 2) ? 100 : LogUniform(random, 10, 1'000);
  // These are about bookies that are away.
  const bool about_losses = scenario.profile == "repair" || scenario.profile == "liveness";
  if (about_losses) scenario.bookies = std::max(scenario.bookies, 4);
  scenario.losses_max = (about_losses || random.Chance(1, 2)) && scenario.bookies > 3 ? 1 : 0;
  scenario.small_bookies = random.Chance(1, 2) ? 1 : 0;
  if (scenario.small_bookies == 0 && random.Child("late flushes").Chance(1, 2)) {
    scenario.small_bookies = 2;
  }
  DrawActors(random.Child("actors"), &scenario);
  if (scenario.profile == "mixed") DrawMixed(random.Child("mixed"), &scenario);
  if (scenario.profile == "extents") DrawExtents(random.Child("extents"), &scenario);
  if (scenario.profile != "calm") FaultDrawer(&scenario, random.Child("faults")).Draw();
  return scenario;
}

}  // namespace stele::simulation
