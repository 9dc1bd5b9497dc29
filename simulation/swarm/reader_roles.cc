// Roles that read, recover and delete, and what all roles draw.
#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "simulation/swarm/roles.h"

namespace stele::simulation {
namespace {

// Of the reads of one call.
constexpr int64_t kRangeMax = 50;

Task<void> FollowTail(RoleContext context, RecordedReader* reader, int64_t* done) {
  EntryId expected(0);
  client::TailStream stream = reader->Tail(expected);
  while (context.goes_on() && *done < context.actor.operations) {
    ++*done;
    const auto more = co_await reader->Next(&stream, expected);
    if (more.ok()) {
      if (!*more) co_return;
      expected = expected.Next();
      continue;
    }
    if (CodeOf(more.status()) == ErrorCode::kNoSuchLedgerMetadata) co_return;
    co_await context.Think(absl::Seconds(5));
    if (context.Chance(1, 10)) co_return;
  }
}

Task<void> PollForEntries(RoleContext context, RecordedReader* reader, int64_t* done) {
  EntryId next(0);
  for (int64_t silent = 0; context.goes_on() && silent < 20 && *done < context.actor.operations;) {
    ++*done;
    if (context.Chance(1, 3)) {
      (void)co_await reader->Wait(next, absl::Seconds(2));
    } else {
      (void)co_await reader->ReadLac();
    }
    const EntryId last = reader->last_add_confirmed();
    if (last < next) {
      if (reader->is_closed()) co_return;
      ++silent;
      co_await context.Think(absl::Seconds(2));
      continue;
    }
    silent = 0;
    ++*done;
    const EntryId end = std::min(last, EntryId(next.value() + kRangeMax));
    if ((co_await reader->Read(next, end)).ok()) next = end.Next();
    co_await context.Think(absl::Milliseconds(200));
  }
}

Task<void> ReadSomewhere(RoleContext context, RecordedReader* reader) {
  const EntryId last = reader->last_add_confirmed();
  if (context.Has(Actor::kUnconfirmed) && context.Chance(1, 4)) {
    const EntryId first(static_cast<int64_t>(context.Below(last.value() + 3)));
    (void)co_await reader->ReadUnconfirmed(first, EntryId(first.value() + 2));
    co_return;
  }
  if (last.IsNone()) co_return;
  const EntryId first(static_cast<int64_t>(context.Below(last.value() + 1)));
  if (context.Chance(1, 3)) {
    (void)co_await reader->ReadBatch(first, static_cast<int32_t>(context.Below(20)),
                                     static_cast<int64_t>(context.Below(50'000)));
    co_return;
  }
  const int64_t count = 1 + static_cast<int64_t>(context.Below(kRangeMax));
  (void)co_await reader->Read(first, std::min(last, EntryId(first.value() + count - 1)));
}

}  // namespace

// ---- What all roles draw

Task<void> RoleContext::Think(absl::Duration longest) const {
  const int64_t most = std::max<int64_t>(1, absl::ToInt64Milliseconds(longest));
  int64_t ms = 1;
  while (ms < most && random->Chance(3, 4)) ms *= 2;
  co_await Pause(std::min(ms, most));
}

Task<void> RoleContext::Pause(int64_t ms) const {
  // In slices, so that nobody thinks on when the play has ended.
  constexpr int64_t kSliceMs = 2'000;
  for (; ms > 0 && goes_on(); ms -= kSliceMs) {
    co_await SleepFor(caller.env.executor, caller.env.clock,
                      absl::Milliseconds(std::min(ms, kSliceMs)));
  }
}

size_t RoleContext::DrawSize() const {
  if (actor.size_max_bytes == 0) return 0;
  const auto most = static_cast<uint64_t>(actor.size_max_bytes);
  if (Chance(1, 8)) return most;
  if (Chance(1, 8)) return std::min<uint64_t>(most, Below(60));
  return Below(most + 1);
}

quorum::Replication RoleContext::DrawReplication() const {
  const Scenario& scenario = stage().scenario();
  const int lowest = scenario.losses_max + 1;
  quorum::Replication replication;
  const int most = std::min(scenario.bookies - scenario.losses_max, 7);
  replication.ensemble_size = lowest + static_cast<int>(Below(most - lowest + 1));
  replication.write_quorum_size =
      lowest + static_cast<int>(Below(replication.ensemble_size - lowest + 1));
  replication.ack_quorum_size =
      lowest + static_cast<int>(Below(replication.write_quorum_size - lowest + 1));
  return replication;
}

std::optional<LedgerId> RoleContext::PickLedger() const {
  const std::vector<KnownLedger>& ledgers = stage().ledgers();
  if (ledgers.empty()) return std::nullopt;
  const size_t back =
      Chance(1, 2) ? Below(std::min<size_t>(ledgers.size(), 4)) : Below(ledgers.size());
  return ledgers[ledgers.size() - 1 - back].id;
}

// ---- The roles

Task<void> PlayTailer(RoleContext context) {
  int64_t done = 0;
  while (context.goes_on() && done < context.actor.operations) {
    const std::optional<LedgerId> ledger = context.PickLedger();
    if (!ledger.has_value()) {
      co_await context.Think(absl::Seconds(1));
      continue;
    }
    ++done;
    auto opened = co_await OpenRecorded(context.caller, *ledger, false);
    if (opened.ok()) {
      // A ledger that nobody can recover any more has no end to wait for.
      const bool may_follow = context.stage().scenario().profile != "beyond";
      if (context.Chance(1, 2) && may_follow) {
        co_await FollowTail(context, &*opened, &done);
      } else {
        co_await PollForEntries(context, &*opened, &done);
      }
    }
    co_await context.Think(absl::Seconds(2));
  }
}

Task<void> PlayReader(RoleContext context) {
  int64_t done = 0;
  while (context.goes_on() && done < context.actor.operations) {
    co_await context.Think(absl::Seconds(3));
    const std::optional<LedgerId> ledger = context.PickLedger();
    if (!ledger.has_value()) continue;
    if (context.Chance(1, 10)) (void)co_await ReadMetadataRecorded(context.caller, *ledger);
    auto opened = co_await OpenRecorded(context.caller, *ledger, false);
    ++done;
    if (!opened.ok()) continue;
    const int64_t reads = 1 + static_cast<int64_t>(context.Below(20));
    for (int64_t i = 0; i < reads && context.goes_on(); ++i, ++done) {
      co_await ReadSomewhere(context, &*opened);
      if (context.Chance(1, 5)) (void)co_await opened->ReadLac();
      co_await context.Think(absl::Milliseconds(500));
    }
  }
}

Task<void> PlayRecoverer(RoleContext context) {
  // Several at once on one ledger.
  constexpr int64_t kOpensMax = 200;
  for (int64_t opens = 0; context.goes_on() && opens < kOpensMax; ++opens) {
    co_await context.Think(absl::Seconds(30));
    const std::optional<LedgerId> ledger = context.PickLedger();
    if (!ledger.has_value()) continue;
    auto opened = co_await OpenRecorded(context.caller, *ledger, true);
    if (!opened.ok() || opened->last_add_confirmed().IsNone()) continue;
    RecordedReader reader = *std::move(opened);
    const EntryId last = reader.last_add_confirmed();
    (void)co_await reader.Read(EntryId(std::max<int64_t>(0, last.value() - kRangeMax)), last);
  }
}

Task<void> PlayDeleter(RoleContext context) {
  for (int64_t deletes = 0; context.goes_on() && deletes < context.actor.operations; ++deletes) {
    co_await context.Think(absl::Seconds(context.Has(Actor::kIdles) ? 60 : 5));
    // What is deleted once the reckoning has begun would be looked for there.
    if (!context.goes_on()) co_return;
    // Not everything: somebody has to be left.
    if (context.stage().ledgers().size() < 3 || context.Chance(1, 2)) continue;
    const std::optional<LedgerId> ledger = context.PickLedger();
    if (context.stage().IsNamed(*ledger)) continue;
    (void)co_await DeleteRecorded(context.caller, *ledger);
    if (context.Chance(1, 4)) (void)co_await DeleteRecorded(context.caller, *ledger);
  }
}

}  // namespace stele::simulation
