// The text form of a scenario.
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/history/words.h"
#include "simulation/swarm/scenario.h"

namespace stele::simulation {
namespace {

using history::ParseNumber;
using history::TakeWord;

constexpr std::pair<Role, std::string_view> kRoleNames[] = {
    {Role::kWriter, "writer"},
    {Role::kCallerIds, "caller-ids"},
    {Role::kDeferredSync, "deferred-sync"},
    {Role::kTailer, "tailer"},
    {Role::kReader, "reader"},
    {Role::kRecoverer, "recoverer"},
    {Role::kDeleter, "deleter"},
    {Role::kLogClient, "log-client"},
    {Role::kIntruder, "intruder"},
    {Role::kAutorecovery, "autorecovery"},
};
static_assert(std::size(kRoleNames) == kRoles);
constexpr std::pair<FaultKind, std::string_view> kFaults[] = {
    {FaultKind::kCrash, "crash"},
    {FaultKind::kPower, "power"},
    {FaultKind::kPowerAll, "power-all"},
    {FaultKind::kRestartLoop, "restart-loop"},
    {FaultKind::kLose, "lose"},
    {FaultKind::kPartition, "partition"},
    {FaultKind::kOneWay, "one-way"},
    {FaultKind::kIsolate, "isolate"},
    {FaultKind::kReset, "reset"},
    {FaultKind::kStoreCut, "store-cut"},
    {FaultKind::kStoreDown, "store-down"},
    {FaultKind::kStoreFlap, "store-flap"},
    {FaultKind::kStoreLoseReply, "store-lose-reply"},
    {FaultKind::kStoreLoseRequest, "store-lose-request"},
    {FaultKind::kExpire, "expire"},
    {FaultKind::kStoreSlow, "store-slow"},
    {FaultKind::kWatchLate, "watch-late"},
    {FaultKind::kStoreErrs, "store-errs"},
    {FaultKind::kPause, "pause"},
    {FaultKind::kZombie, "zombie"},
    {FaultKind::kHalfOpen, "half-open"},
    {FaultKind::kSlowLink, "slow-link"},
    {FaultKind::kShutWindow, "shut-window"},
    {FaultKind::kSwizzle, "swizzle"},
    {FaultKind::kFlakyLink, "flaky-link"},
    {FaultKind::kDiskFull, "disk-full"},
    {FaultKind::kDiskSync, "disk-sync"},
    {FaultKind::kDiskSyncShows, "disk-sync-shows"},
    {FaultKind::kDiskWrite, "disk-write"},
    {FaultKind::kDiskRead, "disk-read"},
    {FaultKind::kDiskTorn, "disk-torn"},
    {FaultKind::kDescriptors, "descriptors"},
    {FaultKind::kDiskStall, "disk-stall"},
    {FaultKind::kDiskSlow, "disk-slow"},
    {FaultKind::kDiskUneven, "disk-uneven"},
    {FaultKind::kRot, "rot"},
    {FaultKind::kBadSector, "bad-sector"},
    {FaultKind::kMisdirectedRead, "misdirected-read"},
    {FaultKind::kLostWrite, "lost-write"},
    {FaultKind::kMisdirectedWrite, "misdirected-write"},
    {FaultKind::kWipe, "wipe"},
    {FaultKind::kSetBack, "set-back"},
    {FaultKind::kWallClock, "wall-clock"},
    {FaultKind::kClockRate, "clock-rate"},
    {FaultKind::kCollect, "collect"},
    {FaultKind::kStop, "stop"},
};
static_assert(std::size(kFaults) == kFaultKinds);

template <typename Table>
auto FindIn(const Table& table, std::string_view name) -> decltype(&table[0].first) {
  for (const auto& [value, known] : table) {
    if (known == name) return &value;
  }
  return nullptr;
}

// "key=number", one of the fields.
template <typename... Fields>
bool ParseFields(std::string_view line, Fields... fields) {
  while (!line.empty()) {
    const std::string_view word = TakeWord(&line);
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    const bool known = ((key == fields.first && ParseNumber(value, fields.second)) || ...);
    if (!known) return false;
  }
  return true;
}

template <typename T>
std::pair<std::string_view, T*> Field(std::string_view key, T* value) {
  return {key, value};
}

bool ParseActor(std::string_view line, Scenario* scenario) {
  Actor actor;
  const Role* role = FindIn(kRoleNames, TakeWord(&line));
  if (role == nullptr || !ParseNumber(TakeWord(&line), &actor.number)) return false;
  actor.role = *role;
  scenario->actors.push_back(actor);
  Actor& to = scenario->actors.back();
  return ParseFields(line, Field("at", &to.at_ms), Field("operations", &to.operations),
                     Field("window", &to.window), Field("size", &to.size_max_bytes),
                     Field("flags", &to.flags));
}

bool ParseFault(std::string_view line, Scenario* scenario) {
  const FaultKind* kind = FindIn(kFaults, TakeWord(&line));
  if (kind == nullptr) return false;
  scenario->faults.push_back({.kind = *kind});
  Fault& to = scenario->faults.back();
  return ParseFields(line, Field("at", &to.at_ms), Field("for", &to.for_ms), Field("a", &to.a),
                     Field("b", &to.b), Field("calls", &to.calls));
}

bool ParseLine(std::string_view line, Scenario* scenario) {
  const std::string_view key = TakeWord(&line);
  if (key == "seed") return ParseNumber(line, &scenario->seed);
  if (key == "profile") {
    scenario->profile = line;
    return !line.empty();
  }
  if (key == "bookies") return ParseNumber(line, &scenario->bookies);
  if (key == "duration") return ParseNumber(line, &scenario->duration_ms);
  if (key == "timeouts") return ParseNumber(line, &scenario->timeouts_percent);
  if (key == "losses") return ParseNumber(line, &scenario->losses_max);
  if (key == "small") return ParseNumber(line, &scenario->small_bookies);
  if (key == "java") return ParseNumber(line, &scenario->java_bookies);
  if (key == "extents") return ParseNumber(line, &scenario->extents);
  if (key == "actor") return ParseActor(line, scenario);
  return key == "fault" && ParseFault(line, scenario);
}

}  // namespace

std::string_view NameOf(Role role) { return kRoleNames[static_cast<size_t>(role)].second; }
std::string_view NameOf(FaultKind kind) { return kFaults[static_cast<size_t>(kind)].second; }

std::string ToText(const Scenario& scenario) {
  std::string text =
      StrCat("seed ", scenario.seed, "\nprofile ", scenario.profile, "\nbookies ", scenario.bookies,
             "\nduration ", scenario.duration_ms, "\ntimeouts ", scenario.timeouts_percent,
             "\nlosses ", scenario.losses_max, "\nsmall ", scenario.small_bookies, "\n");
  if (scenario.java_bookies > 0) text += StrCat("java ", scenario.java_bookies, "\n");
  if (scenario.extents > 0) text += StrCat("extents ", scenario.extents, "\n");
  for (const Actor& actor : scenario.actors) {
    text += StrCat("actor ", NameOf(actor.role), " ", actor.number, " at=", actor.at_ms,
                   " operations=", actor.operations, " window=", actor.window,
                   " size=", actor.size_max_bytes, " flags=", actor.flags, "\n");
  }
  for (const Fault& fault : scenario.faults) {
    text += StrCat("fault ", NameOf(fault.kind), " at=", fault.at_ms, " for=", fault.for_ms,
                   " a=", fault.a, " b=", fault.b);
    text += fault.calls == 0 ? "\n" : StrCat(" calls=", fault.calls, "\n");
  }
  return text;
}

absl::StatusOr<Scenario> ParseScenario(std::string_view text) {
  Scenario scenario;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    if (!ParseLine(line, &scenario)) {
      return MakeError(ErrorCode::kInvalidArgument, StrCat("line ", number, ": ", line));
    }
  }
  return scenario;
}

}  // namespace stele::simulation
