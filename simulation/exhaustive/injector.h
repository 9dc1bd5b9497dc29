// Injector: counts the calls through the seams while it is on, and strikes at one of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/seam_hook.h"
#include "simulation/sim_process.h"

namespace stele::simulation {

// How a call is struck. A power cut is a crash that takes the machine's caches with it.
enum class Strike : uint8_t {
  kFail,
  kLoseAnswer,
  kKillBefore,
  kKillAfter,
  kPowerBefore,
  kPowerAfter,
};
inline constexpr Strike kAllStrikes[] = {Strike::kFail,        Strike::kLoseAnswer,
                                         Strike::kKillBefore,  Strike::kKillAfter,
                                         Strike::kPowerBefore, Strike::kPowerAfter};
std::string_view NameOf(Strike strike);
std::optional<Strike> StrikeFromName(std::string_view name);

// One call as the first, undisturbed run saw it.
struct CallSeen {
  SeamKind kind;
  std::string process;
  std::string what;
};
// May the call be struck so? Not everything makes a difference: files always answer, and a process
// without a disk of its own has no caches to lose.
bool Applies(Strike strike, const CallSeen& call);
std::string ToString(const CallSeen& call);

class Injector : public SeamHook {
 public:
  // Strikes the call of this number, from 0 on, if it comes.
  void Arm(uint64_t call, Strike strike) { armed_ = {call, strike}; }
  // Keeps what is seen.
  void Record() { is_recording_ = true; }

  // Calls are seen, counted and struck only while it is on.
  void set_on(bool on) { is_on_ = on; }
  // Only calls of processes whose name begins so; empty: all.
  void set_scope(std::string prefix) { scope_ = std::move(prefix); }
  // Called with the process before a power cut strikes it.
  void set_on_power_cut(std::function<void(SimProcess*)> hook) { on_power_cut_ = std::move(hook); }

  SeamVerdict OnCall(const SeamCall& call) override;

  uint64_t calls() const { return calls_; }
  const std::vector<CallSeen>& seen() const { return seen_; }
  // The call that was struck.
  const std::optional<CallSeen>& struck() const { return struck_; }

 private:
  struct Armed {
    uint64_t call;
    Strike strike;
  };
  std::optional<Armed> armed_;
  bool is_on_ = false;
  bool is_recording_ = false;
  std::string scope_;
  std::function<void(SimProcess*)> on_power_cut_;
  uint64_t calls_ = 0;
  std::vector<CallSeen> seen_;
  std::optional<CallSeen> struck_;
};

}  // namespace stele::simulation
