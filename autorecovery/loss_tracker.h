// LossTracker: which bookies are lost, and which of them long enough that their ledgers are to be
// repaired. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace stele::autorecovery {

struct LossRules {
  absl::Duration recovery_delay;
  int storm_percent = 30;
  absl::Duration storm_window = absl::Seconds(60);
  absl::Duration storm_hold_max = absl::Hours(1);
  // After a loss, for others that went with it to be noticed: sessions do not end at one time.
  absl::Duration settle = absl::ZeroDuration();
};

class LossTracker {
 public:
  // A bookie that an earlier auditor found lost, `ago` ago by the dates. A date may be wrong: less
  // than nothing counts as nothing, and more than the delay as the delay.
  void Remember(const BookieId& bookie, absl::Duration ago, MonotonicTime now);

  struct Change {
    std::vector<BookieId> lost;  // now; since `now`
    std::vector<BookieId> back;  // were lost until now
  };
  // `known`: all bookies that there are; `up`: those that are registered.
  Change Update(const LossRules& rules, const std::set<BookieId>& known,
                const std::set<BookieId>& up, MonotonicTime now);

  // The bookies whose ledgers are to be repaired now. One alone has the delay to come back; a
  // second loss shows that it is no restart, and nobody waits any longer, as with Apache's auditor.
  // None in a storm.
  std::set<BookieId> ToRepair(const LossRules& rules, MonotonicTime now) const;

  // When ToRepair() may give more without anything else happening; nothing: never.
  std::optional<MonotonicTime> NextChange(const LossRules& rules, MonotonicTime now) const;

  // So many went at once that it is rather ourselves who are cut off.
  bool IsStorm(const LossRules& rules, MonotonicTime now) const;

  // Somebody asked for an audit: nobody waits any longer.
  void EndDelays() { delay_ended_for_ = Lost(); }

  std::set<BookieId> Lost() const;
  // Something was lost just now: others may follow. Nobody is held up by it three times as long.
  bool IsSettling(const LossRules& rules, MonotonicTime since, MonotonicTime now) const;
  // Lost, and still with time to come back.
  std::set<BookieId> Waiting(const LossRules& rules, MonotonicTime now) const;

 private:
  std::map<BookieId, MonotonicTime> lost_since_;
  std::set<BookieId> delay_ended_for_;
  size_t known_count_ = 0;
};

}  // namespace stele::autorecovery
