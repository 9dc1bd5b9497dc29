#include "autorecovery/loss_tracker.h"

#include <algorithm>

namespace stele::autorecovery {

void LossTracker::Remember(const BookieId& bookie, absl::Duration ago, MonotonicTime now) {
  lost_since_[bookie] = now + -std::clamp(ago, absl::ZeroDuration(), absl::Hours(24 * 365));
}

LossTracker::Change LossTracker::Update(const LossRules& rules, const std::set<BookieId>& known,
                                        const std::set<BookieId>& up, MonotonicTime now) {
  Change change;
  known_count_ = known.size();
  for (auto place = lost_since_.begin(); place != lost_since_.end();) {
    // One that was removed from the cluster is not missed any more.
    if (up.contains(place->first) || !known.contains(place->first)) {
      change.back.push_back(place->first);
      delay_ended_for_.erase(place->first);
      place = lost_since_.erase(place);
    } else {
      ++place;
    }
  }
  for (const BookieId& bookie : known) {
    if (!up.contains(bookie) && lost_since_.emplace(bookie, now).second) {
      change.lost.push_back(bookie);
    }
  }
  // Another one lost while one waits: nobody waits any longer.
  const std::set<BookieId> waiting = Waiting(rules, now);
  if (waiting.size() > 1) delay_ended_for_.insert(waiting.begin(), waiting.end());
  return change;
}

std::set<BookieId> LossTracker::Lost() const {
  std::set<BookieId> lost;
  for (const auto& [bookie, since] : lost_since_) lost.insert(bookie);
  return lost;
}

std::set<BookieId> LossTracker::Waiting(const LossRules& rules, MonotonicTime now) const {
  std::set<BookieId> waiting;
  for (const auto& [bookie, since] : lost_since_) {
    if (!delay_ended_for_.contains(bookie) && now - since < rules.recovery_delay) {
      waiting.insert(bookie);
    }
  }
  return waiting;
}

bool LossTracker::IsStorm(const LossRules& rules, MonotonicTime now) const {
  // The losses of the window that begins with the latest storm's first one.
  std::vector<MonotonicTime> times;
  for (const auto& [bookie, since] : lost_since_) {
    if (now - since < rules.storm_hold_max) times.push_back(since);
  }
  std::sort(times.begin(), times.end());
  for (size_t first = 0; first < times.size(); ++first) {
    size_t count = 0;
    while (first + count < times.size() &&
           times[first + count] - times[first] <= rules.storm_window) {
      ++count;
    }
    // One or two may well fail together, however few there are.
    if (count > 2 && count * 100 > known_count_ * static_cast<size_t>(rules.storm_percent)) {
      return true;
    }
  }
  return false;
}

bool LossTracker::IsSettling(const LossRules& rules, MonotonicTime since, MonotonicTime now) const {
  if (now - since >= 3 * rules.settle) return false;
  return std::any_of(lost_since_.begin(), lost_since_.end(),
                     [&](const auto& lost) { return now - lost.second < rules.settle; });
}

std::set<BookieId> LossTracker::ToRepair(const LossRules& rules, MonotonicTime now) const {
  if (IsStorm(rules, now)) return {};
  std::set<BookieId> ready = Lost();
  for (const BookieId& bookie : Waiting(rules, now)) ready.erase(bookie);
  for (const auto& [bookie, since] : lost_since_) {
    if (IsSettling(rules, since, now)) ready.erase(bookie);
  }
  return ready;
}

std::optional<MonotonicTime> LossTracker::NextChange(const LossRules& rules,
                                                     MonotonicTime now) const {
  std::optional<MonotonicTime> next;
  const auto consider = [&](MonotonicTime time) {
    if (time > now && (!next.has_value() || time < *next)) next = time;
  };
  const bool is_storm = IsStorm(rules, now);
  for (const auto& [bookie, since] : lost_since_) {
    consider(since + rules.recovery_delay);
    consider(since + rules.settle);
    consider(since + 3 * rules.settle);
    if (is_storm) consider(since + rules.storm_hold_max);
  }
  return next;
}

}  // namespace stele::autorecovery
