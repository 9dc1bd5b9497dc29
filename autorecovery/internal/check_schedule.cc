#include "autorecovery/internal/check_schedule.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "metadata/retry.h"
#include "metadata/signal.h"

namespace stele::autorecovery {
namespace {

constexpr absl::Duration kTryAgain = absl::Seconds(5);

}  // namespace

Task<void> CheckNowAndThen(Env env, metadata::MetadataStore* store,
                           metadata::AutorecoverySettings* settings, metadata::CheckKind kind,
                           absl::Duration interval,
                           absl::AnyInvocable<Task<absl::StatusOr<bool>>()> check) {
  if (interval == absl::InfiniteDuration()) co_return;
  bool must_read = true;
  metadata::Signal awake(env.executor);
  const std::unique_ptr<metadata::Watch> watch =
      store->WatchNode(settings->paths().CheckTime(kind), [&must_read, &awake] {
        must_read = true;
        awake.Raise();
      });
  std::optional<metadata::CheckDate> date;  // as it was last read
  // As it was when the check began that runs or was broken off.
  std::optional<metadata::CheckDate> at_begin;
  MonotonicTime due = env.clock->Now() + interval;
  for (;;) {
    if (std::exchange(must_read, false)) {
      const absl::StatusOr<metadata::CheckDate> read = co_await settings->ReadCheckDate(kind);
      if (!read.ok()) {
        must_read = true;
        co_await SleepFor(env.executor, env.clock, kTryAgain);
        continue;
      }
      if (date != *read) {
        date = *read;
        // It may be wrong in either direction: never before its time by more than one interval.
        const absl::Duration age =
            date->time.has_value() ? env.clock->WallNow() - *date->time : interval;
        due = env.clock->Now() + std::clamp(interval - age, absl::ZeroDuration(), interval);
      }
    }
    if (env.clock->Now() < due) {
      const std::unique_ptr<Timer> timer = env.clock->CallAt(due, [&awake] { awake.Raise(); });
      co_await awake.Wait();
      continue;
    }
    if (!at_begin.has_value()) at_begin = date;
    const absl::StatusOr<bool> completed = co_await check();
    if (!completed.ok() || !*completed) {
      due = env.clock->Now() + kTryAgain;
      continue;
    }
    const absl::Time end = env.clock->WallNow();
    const absl::Status written = co_await metadata::WhileUnavailable<absl::Status>(
        env, {}, [&] { return settings->ReplaceCheckDate(kind, *at_begin, end); });
    at_begin.reset();
    due = env.clock->Now() + interval;
    // Somebody has changed it meanwhile, or we have, and the answer was lost: it says what is due.
    if (CodeOf(written) == ErrorCode::kMetadataConflict) {
      date.reset();
      must_read = true;
    }
  }
}

}  // namespace stele::autorecovery
