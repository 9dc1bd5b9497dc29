// Stage: what the actors of one run share, outside of the cluster: the history, the ledgers that
// somebody has told of, and whether the play goes on. Nothing here is state of the product.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/quorum/write_set.h"
#include "simulation/history/history.h"
#include "simulation/scheduler.h"
#include "simulation/swarm/scenario.h"

namespace stele::simulation {

struct KnownLedger {
  LedgerId id;
  quorum::Replication replication;
  bool deferred_sync = false;
  bool deleted = false;  // somebody has tried to
};

class Stage {
 public:
  explicit Stage(const Scenario& scenario) : scenario_(scenario) {}
  // Before that it is time 0.
  void SetScheduler(const Scheduler* scheduler) { scheduler_ = scheduler; }

  const Scenario& scenario() const { return scenario_; }
  history::History& history() { return history_; }
  int64_t now_nanoseconds() const {
    return scheduler_ == nullptr ? 0 : scheduler_->Now().nanoseconds();
  }

  // False: actors end what they are doing, and begin nothing new.
  bool is_playing() const { return is_playing_; }
  void EndPlay() { is_playing_ = false; }
  // False: auditors and workers end too.
  bool is_repairing() const { return is_repairing_; }
  void EndRepair() { is_repairing_ = false; }

  std::vector<KnownLedger>& ledgers() { return ledgers_; }
  const std::vector<KnownLedger>& ledgers() const { return ledgers_; }
  int64_t NewHandle() { return ++handles_; }

  // Ids that clients choose for ledgers. Nobody deletes them: an id is never used again after that.
  static constexpr int64_t kFirstNamed = 1'000'000;
  LedgerId NewNamed() { return LedgerId(kFirstNamed + ++named_); }
  LedgerId LastNamed() const { return LedgerId(kFirstNamed + named_); }
  static bool IsNamed(LedgerId ledger) { return ledger.value() >= kFirstNamed; }

  // ---- The history, with the time of now.
  int64_t Begin(const std::string& process, history::Question question);
  void Ok(int64_t call, history::Answer answer);
  void Error(int64_t call, const absl::Status& status);
  void Mark(history::Mark::Kind kind, std::string_view process, std::string_view text);
  void Note(std::string_view text) { Mark(history::Mark::Kind::kNote, "", text); }

  // What breaks a promise without being in the history.
  void Violate(std::string_view checker, std::string_view text);
  struct Violation {
    std::string checker;
    std::string text;
    int64_t nanoseconds;
    uint64_t step;
  };
  const std::vector<Violation>& violations() const { return violations_; }

  // Told of each append at the moment of its acknowledgement.
  using AckListener = absl::AnyInvocable<void(LedgerId, EntryId)>;
  void set_on_acknowledged(AckListener listener) { on_acknowledged_ = std::move(listener); }

  // Told of each line as it happens.
  using Listener = absl::AnyInvocable<void(std::string_view line)>;
  void set_listener(Listener listener) { listener_ = std::move(listener); }
  // A line for people that is not part of the history.
  void Say(std::string_view line);
  // The last lines.
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  static constexpr size_t kLinesKept = 200;

  const Scheduler* scheduler_ = nullptr;
  const Scenario& scenario_;
  history::History history_;
  bool is_playing_ = true;
  bool is_repairing_ = true;
  std::vector<KnownLedger> ledgers_;
  int64_t handles_ = 0;
  int64_t named_ = 0;
  std::vector<Violation> violations_;
  std::deque<std::string> lines_;
  AckListener on_acknowledged_;
  Listener listener_;
};

}  // namespace stele::simulation
