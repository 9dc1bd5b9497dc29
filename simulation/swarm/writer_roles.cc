// Roles that append.
#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "common/async/notification.h"
#include "common/base/errors.h"
#include "simulation/swarm/roles.h"

namespace stele::simulation {
namespace {

// Appends in flight of one writer; shared by their callbacks.
struct Appends {
  explicit Appends(Executor* executor) : changed(executor) {}
  int64_t in_flight = 0;
  int64_t told = 0;
  bool failed = false;
  Notification changed;
};

RecordedWriter::Done CountIn(std::shared_ptr<Appends> appends,
                             std::shared_ptr<RecordedWriter> writer) {
  ++appends->in_flight;
  return [appends = std::move(appends), writer = std::move(writer)](const absl::Status& status) {
    --appends->in_flight;
    ++appends->told;
    if (!status.ok() && EffectOf(status) == Effect::kUnknown) appends->failed = true;
    appends->changed.NotifyAll();
  };
}

Task<void> WaitBelow(std::shared_ptr<Appends> appends, int64_t in_flight) {
  while (appends->in_flight >= in_flight) co_await appends->changed.Wait();
}

// How many entries the next ledger gets.
int64_t DrawEntries(const RoleContext& context) {
  if (context.Chance(1, 20)) return 0;
  const auto most = static_cast<uint64_t>(
      context.Has(Actor::kSmallLedgers) ? 20 : std::max<int64_t>(context.actor.operations, 20));
  return 1 + static_cast<int64_t>(context.Below(most));
}

absl::Duration LongestThought(const RoleContext& context) {
  return context.Has(Actor::kIdles) ? absl::Seconds(60) : absl::Seconds(1);
}

// Of one append to the next, when they are spread over the play: on average twice the half of it.
int64_t DrawGapMs(const RoleContext& context) {
  const int64_t duration_ms = context.stage().scenario().duration_ms;
  return static_cast<int64_t>(
      context.Below(static_cast<uint64_t>(2 * duration_ms / context.actor.operations + 1)));
}

// An id of its own for the next ledger, which others may choose too; or none.
std::optional<LedgerId> DrawLedgerId(const RoleContext& context) {
  if (!context.Has(Actor::kNamesLedgers) || context.Chance(1, 3)) return std::nullopt;
  return context.Chance(1, 2) ? context.stage().NewNamed() : context.stage().LastNamed();
}

// Appends `entries` in bursts, until the writer fails or the play ends.
Task<void> AppendBursts(RoleContext context, std::shared_ptr<RecordedWriter> writer,
                        std::shared_ptr<Appends> appends, int64_t entries) {
  const bool deferred = context.actor.role == Role::kDeferredSync;
  while (entries > 0 && !appends->failed && context.goes_on()) {
    if (context.Has(Actor::kSpreads)) co_await context.Pause(DrawGapMs(context));
    const auto most =
        static_cast<uint64_t>(context.Has(Actor::kSpreads) ? 1 : 3 * context.actor.window);
    int64_t burst = 1 + static_cast<int64_t>(context.Below(most));
    for (burst = std::min(burst, entries); burst > 0 && !appends->failed; --burst, --entries) {
      writer->Append(context.DrawSize(), CountIn(appends, writer));
      co_await WaitBelow(appends, context.actor.window);
    }
    if (context.Has(Actor::kSpreads)) {
      if (deferred && context.Chance(1, 20)) (void)co_await writer->Force();
      continue;
    }
    if (context.Chance(1, 2)) co_await WaitBelow(appends, 1);
    if (deferred && context.Chance(1, 3)) (void)co_await writer->Force();
    co_await context.Think(LongestThought(context));
  }
}

}  // namespace

Task<void> PlayWriter(RoleContext context) {
  auto appends_done = int64_t{0};
  while (context.goes_on() && appends_done < context.actor.operations) {
    auto created = co_await CreateRecorded(
        context.caller, {.replication = context.DrawReplication(),
                         .deferred_sync = context.actor.role == Role::kDeferredSync,
                         .id = DrawLedgerId(context)});
    ++appends_done;
    if (!created.ok()) {
      co_await context.Think(absl::Seconds(2));
      continue;
    }
    auto appends = std::make_shared<Appends>(context.caller.env.executor);
    co_await AppendBursts(context, *created, appends, DrawEntries(context));
    // Sometimes with appends under way.
    if (context.Chance(3, 4)) co_await WaitBelow(appends, 1);
    const bool leaves = context.Has(Actor::kLeavesOpen) && context.Chance(1, 2);
    if (!leaves) (void)co_await (*created)->Close();
    co_await WaitBelow(appends, 1);
    appends_done += appends->told;
  }
}

Task<void> PlayCallerIds(RoleContext context) {
  auto appends_done = int64_t{0};
  while (context.goes_on() && appends_done < context.actor.operations) {
    auto created =
        co_await CreateRecorded(context.caller, {.replication = context.DrawReplication(),
                                                 .caller_ids = true,
                                                 .id = DrawLedgerId(context)});
    ++appends_done;
    if (!created.ok()) {
      co_await context.Think(absl::Seconds(2));
      continue;
    }
    auto appends = std::make_shared<Appends>(context.caller.env.executor);
    const int64_t entries = DrawEntries(context);
    for (int64_t first = 0; first < entries && !appends->failed && context.goes_on();) {
      std::vector<int64_t> ids(
          std::min<int64_t>(entries - first, 1 + static_cast<int64_t>(context.Below(16))));
      std::iota(ids.begin(), ids.end(), first);
      for (size_t i = ids.size(); i > 1; --i) std::swap(ids[i - 1], ids[context.Below(i)]);
      first += std::ssize(ids);
      // At the very end a gap may stay open.
      if (first == entries && ids.size() > 1 && context.Chance(1, 4)) ids.pop_back();
      for (const int64_t id : ids) {
        (*created)->AppendAt(EntryId(id), context.DrawSize(), CountIn(appends, *created));
        if (context.Chance(1, 20)) {
          (*created)->AppendAt(EntryId(id), context.DrawSize(), CountIn(appends, *created));
        }
      }
      if (first < entries) co_await WaitBelow(appends, context.actor.window);
      co_await context.Think(LongestThought(context));
    }
    // With a gap open, only closing ends what is parked behind it.
    (void)co_await (*created)->Close();
    co_await WaitBelow(appends, 1);
    appends_done += appends->told;
  }
}

}  // namespace stele::simulation
