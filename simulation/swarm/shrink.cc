#include "simulation/swarm/shrink.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

namespace stele::simulation {
namespace {

class Shrinker {
 public:
  Shrinker(Scenario scenario, const std::function<bool(const Scenario&)>& fails,
           const ShrinkOptions& options)
      : smallest_(std::move(scenario)), fails_(fails), options_(options) {}

  ShrinkResult Run() {
    Scenario before;
    do {
      before = smallest_;
      DropFaultKinds();
      HalveTime();
      DropActors();
      DropFaults();
      DropBookies();
      SimplifyActors();
    } while (!(before == smallest_) && !IsOver());
    return {std::move(smallest_), tries_};
  }

 private:
  bool IsOver() { return idle_ >= options_.idle_tries_max || options_.stop(); }

  // Keeps the candidate when it fails too.
  bool Try(Scenario candidate) {
    if (candidate == smallest_ || IsOver()) return false;
    ++tries_;
    ++idle_;
    if (!fails_(candidate)) return false;
    idle_ = 0;
    smallest_ = std::move(candidate);
    return true;
  }

  void DropFaultKinds() {
    std::set<FaultKind> kinds;
    for (const Fault& fault : smallest_.faults) kinds.insert(fault.kind);
    for (const FaultKind kind : kinds) {
      Scenario candidate = smallest_;
      std::erase_if(candidate.faults, [kind](const Fault& fault) { return fault.kind == kind; });
      Try(std::move(candidate));
    }
  }

  void HalveTime() {
    for (;;) {
      Scenario candidate = smallest_;
      candidate.duration_ms /= 2;
      std::erase_if(candidate.faults,
                    [&](const Fault& fault) { return fault.at_ms > candidate.duration_ms; });
      if (candidate.duration_ms < 1'000 || !Try(std::move(candidate))) return;
    }
  }

  void DropActors() {
    for (size_t i = smallest_.actors.size(); i-- > 0;) {
      if (smallest_.actors.size() == 1) return;
      Scenario candidate = smallest_;
      const int number = candidate.actors[i].number;
      candidate.actors.erase(candidate.actors.begin() + static_cast<ptrdiff_t>(i));
      std::erase_if(candidate.faults, [number](const Fault& fault) {
        return fault.a == number || (fault.b == number && fault.kind != FaultKind::kWallClock &&
                                     fault.kind != FaultKind::kClockRate);
      });
      Try(std::move(candidate));
    }
  }

  // Runs of faults, shorter and shorter.
  void DropFaults() {
    for (size_t length = std::max<size_t>(1, smallest_.faults.size() / 2); length >= 1;
         length /= 2) {
      for (size_t begin = 0; begin < smallest_.faults.size();) {
        Scenario candidate = smallest_;
        const auto from = candidate.faults.begin() + static_cast<ptrdiff_t>(begin);
        const size_t count = std::min(length, candidate.faults.size() - begin);
        candidate.faults.erase(from, from + static_cast<ptrdiff_t>(count));
        if (!Try(std::move(candidate))) begin += length;
      }
    }
  }

  void DropBookies() {
    while (smallest_.bookies > 1) {
      Scenario candidate = smallest_;
      const int64_t last = candidate.bookies--;
      std::erase_if(candidate.faults,
                    [last](const Fault& fault) { return fault.a == last || fault.b == last; });
      if (candidate.bookies <= candidate.losses_max || !Try(std::move(candidate))) return;
    }
  }

  void SimplifyActors() {
    for (size_t i = 0; i < smallest_.actors.size(); ++i) {
      Change(i, [](Actor& actor) { actor.flags = 0; });
      Change(i, [](Actor& actor) { actor.at_ms = 0; });
      Change(i, [](Actor& actor) {
        actor.size_max_bytes = std::min<int64_t>(actor.size_max_bytes, 100);
      });
      while (Change(
          i, [](Actor& actor) { actor.operations = std::max<int64_t>(1, actor.operations / 2); })) {
      }
      while (
          Change(i, [](Actor& actor) { actor.window = std::max<int64_t>(1, actor.window / 2); })) {
      }
    }
  }

  template <typename Edit>
  bool Change(size_t actor, Edit edit) {
    Scenario candidate = smallest_;
    edit(candidate.actors[actor]);
    return Try(std::move(candidate));
  }

  Scenario smallest_;
  const std::function<bool(const Scenario&)>& fails_;
  const ShrinkOptions& options_;
  int tries_ = 0;
  int idle_ = 0;
};

}  // namespace

ShrinkResult Shrink(Scenario scenario, const std::function<bool(const Scenario&)>& fails,
                    const ShrinkOptions& options) {
  return Shrinker(std::move(scenario), fails, options).Run();
}

}  // namespace stele::simulation
