// Scenario: everything that one run of the swarm does, as plain data: who works, what breaks, and
// when. It is drawn from a seed, or read from a file; the run itself draws only what the scenario
// leaves open (delays, the order of jobs, think times), from streams that are named after its
// parts, so that taking one part away leaves the others as they were.
//
//   # the text form; times in milliseconds of virtual time from the begin
//   seed 17
//   profile crash
//   bookies 4
//   duration 60000
//   timeouts 100                               all time limits, in percent of their defaults
//   losses 1                                   bookies that may be lost for good at any time
//   actor writer 3 at=0 operations=400 window=8 size=700 flags=1
//   fault power at=12000 for=3500 a=2 calls=30    at the 30th call that a makes from then on
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace stele::simulation {

// What a client process does. Each has a process of its own.
enum class Role {
  kWriter,        // creates, appends, closes or leaves open; again
  kCallerIds,     // appends under ids of its own, permuted, with duplicates
  kDeferredSync,  // forces now and then
  kTailer,        // follows a ledger
  kReader,        // ranges and batches of any ledger
  kRecoverer,     // opens with recovery; those of one group at the same time, the same ledger
  kDeleter,       // deletes some
  kLogClient,     // a log over a list of ledgers, taken over by fencing
  kIntruder,      // sends bytes that no client would
  kAutorecovery,  // auditor and replication worker
};

inline constexpr int kRoles = static_cast<int>(Role::kAutorecovery) + 1;

struct Actor {
  Role role = Role::kWriter;
  int number = 0;  // names the process and its random stream
  int64_t at_ms = 0;
  int64_t operations = 100;    // about so many calls
  int64_t window = 1;          // calls in flight
  int64_t size_max_bytes = 0;  // of payloads
  uint64_t flags = 0;          // see Flag
  friend bool operator==(const Actor&, const Actor&) = default;

  enum Flag : uint64_t {
    kExplicitLac = 1,     // the client tells its LAC while idle
    kDelayChange = 2,     // it replaces bookies late
    kLeavesOpen = 4,      // a writer that does not close
    kIdles = 8,           // long pauses between bursts
    kUnconfirmed = 16,    // a reader that also reads beyond the LAC
    kSmallLedgers = 32,   // rolls after a few entries
    kNoSpeculation = 64,  // reads one replica after the other
    kSpreads = 128,       // a writer whose appends come one by one, over the whole play
    kSmallDebts = 256,    // bookies may owe the client little
    kNamesLedgers = 512,  // a writer that chooses ids of ledgers, as others do too
    // Drawn in profile `mixed` only.
    kClosesAsJava = 1024,  // a writer that closes over a recovery
  };
};

// What breaks. `a` and `b` are bookies from 1 on, or actors from 101 on.
enum class FaultKind {
  kCrash,           // a ends and starts again after `for`
  kPower,           // the same, and what was not synced may be lost
  kPowerAll,        // all bookies at once
  kRestartLoop,     // a starts and dies again, by turns with its power, a few times
  kLose,            // bookie a never comes back
  kPartition,       // nothing between a and b
  kOneWay,          // nothing from a to b
  kIsolate,         // a hears nobody, and nobody hears a
  kReset,           // all connections between a and b
  kStoreCut,        // a does not reach the metadata store
  kStoreDown,       // nobody does
  kStoreFlap,       // a loses the store and finds it again, every `b` milliseconds
  kStoreLoseReply,  // of a's next `b` writes
  kStoreLoseRequest,
  kExpire,         // a's session ends
  kStoreSlow,      // the metadata store takes `b` times as long
  kWatchLate,      // its watches fire up to `for` later
  kStoreErrs,      // of what a reads there, `b` in a thousand end with an error
  kPause,          // a stands still, and does not know
  kZombie,         // of connections of a to b: what a has sent arrives up to `for` later
  kHalfOpen,       // a knows that its connections to b are gone, b does not
  kSlowLink,       // between a and b: long delays, stalls, little bandwidth
  kShutWindow,     // a reads nothing from the network
  kSwizzle,        // links of a are blocked one by one, and unblocked in another order
  kFlakyLink,      // connections between a and b break after a few frames, again and again
  kDiskFull,       // of bookie a
  kDiskSync,       // its next sync fails, once; what that covered goes with the next power cut
  kDiskSyncShows,  // the same, and reads show the old content
  kDiskWrite,      // its next `b` writes fail
  kDiskRead,       // its next `b` reads fail
  kDiskTorn,       // its next write is torn, and the disk is full
  kDescriptors,    // its next `b` files cannot be opened
  kDiskStall,      // nothing ends on the disk for a while
  kDiskSlow,       // it takes `b` times as long
  kDiskUneven,     // an operation takes up to `b` milliseconds more, and is overtaken by others
  // Damage: the disk says that all is well. Of one bookie only, and only within losses_max.
  kRot,               // bits flip in `b` sectors
  kBadSector,         // the next `b` reads meet sectors that cannot be read any more
  kMisdirectedRead,   // `b` reads give another place
  kLostWrite,         // `b` writes get lost
  kMisdirectedWrite,  // `b` writes land elsewhere
  kWipe,              // bookie a comes back with an empty disk
  kSetBack,           // ... with its disk as it was `for` before; `b` 1: as it was on its first day
  kWallClock,         // of a jumps by `b` seconds
  kClockRate,         // the clocks of a run at `b` thousandths of the true time
  kCollect,           // bookie a collects garbage now; `b` 1, 2: then compacts, minor or major
  kStop,              // bookie a is stopped in order, and starts again after `for`
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::kStop) + 1;

struct Fault {
  FaultKind kind = FaultKind::kCrash;
  int64_t at_ms = 0;
  int64_t for_ms = 0;
  int64_t a = 0;
  int64_t b = 0;
  // 0: it strikes at its time. Else when the process a has made so many calls through its seams
  // (files, frames, connections, metadata) since then: in the middle of what it does.
  int64_t calls = 0;
  friend bool operator==(const Fault&, const Fault&) = default;
};

// Whether it takes a bookie, or a part of what it holds, away for good.
bool IsDestructive(FaultKind kind);

inline constexpr int kFirstActor = 101;

struct Scenario {
  uint64_t seed = 1;
  std::string profile = "swarm";
  int bookies = 3;
  int64_t duration_ms = 60'000;  // of the first act
  int64_t timeouts_percent = 100;
  int losses_max = 0;  // ledgers are written with ack quorums above it
  // 0: the usual sizes. 1: the bookies' files, caches and queues are as small as they can be.
  // 2: the usual sizes, and what the journals protect is flushed late.
  int small_bookies = 0;
  // So many bookies, from the first on, behave as Apache's (simulation/java_bookie.h).
  int java_bookies = 0;
  // How bookies keep their indexes: 0 files, 1 extents, 2 the one or the other, drawn at each
  // start.
  int extents = 0;
  std::vector<Actor> actors;
  std::vector<Fault> faults;
  friend bool operator==(const Scenario&, const Scenario&) = default;
};

// The names of profiles, in the order of the spec. `mixed` and `extents` are run when they are
// asked for.
const std::vector<std::string>& Profiles();

// The scenario of a seed. An empty profile: drawn too.
//   errors   kInvalidArgument   no such profile
absl::StatusOr<Scenario> DrawScenario(uint64_t seed, std::string_view profile);

std::string_view NameOf(Role role);
std::string_view NameOf(FaultKind kind);

std::string ToText(const Scenario& scenario);
//   errors   kInvalidArgument, with the number of the line
absl::StatusOr<Scenario> ParseScenario(std::string_view text);

}  // namespace stele::simulation
