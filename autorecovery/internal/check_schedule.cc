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

// Until the next check. A date that is ahead may be another host's clock, and puts it off by one
// interval at most; one that is ahead by more than that is no date of a check.
absl::Duration TimeLeft(const metadata::CheckDate& date, absl::Duration interval, absl::Time now) {
  if (!date.time.has_value() || *date.time > now + interval) return absl::ZeroDuration();
  return std::clamp(*date.time + interval - now, absl::ZeroDuration(), interval);
}

}  // namespace

Task<void> CheckNowAndThen(Env env, metadata::MetadataStore* store,
                           metadata::AutorecoverySettings* settings, metadata::CheckKind kind,
                           absl::Duration interval, observe::Log* log, LongCheck check) {
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
        due = env.clock->Now() + TimeLeft(*date, interval, env.clock->WallNow());
      }
    }
    if (env.clock->Now() < due) {
      const std::unique_ptr<Timer> timer = env.clock->CallAt(due, [&awake] { awake.Raise(); });
      co_await awake.Wait();
      continue;
    }
    if (!at_begin.has_value()) at_begin = date;
    const absl::StatusOr<bool> completed = co_await check(*at_begin);
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
    } else if (!written.ok() && log != nullptr) {
      log->Write(observe::LogLevel::kWarning,
                 "the date of a check could not be written: the next auditor repeats it",
                 {{"node", settings->paths().CheckTime(kind)}, {"error", written.ToString()}});
    }
  }
}

}  // namespace stele::autorecovery
