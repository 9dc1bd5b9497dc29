#include "simulation/exhaustive/injector.h"

#include "common/base/strings.h"

namespace stele::simulation {

std::string_view NameOf(Strike strike) {
  switch (strike) {
    case Strike::kFail: return "fail";
    case Strike::kLoseAnswer: return "lose-answer";
    case Strike::kKillBefore: return "kill-before";
    case Strike::kKillAfter: return "kill-after";
    case Strike::kPowerBefore: return "power-before";
    case Strike::kPowerAfter: return "power-after";
  }
  return "?";
}

std::optional<Strike> StrikeFromName(std::string_view name) {
  for (const Strike strike : kAllStrikes) {
    if (NameOf(strike) == name) return strike;
  }
  return std::nullopt;
}

bool Applies(Strike strike, const CallSeen& call) {
  const bool is_bookie = call.process.starts_with("b");
  switch (strike) {
    case Strike::kFail:
    case Strike::kKillBefore:
    case Strike::kKillAfter: return true;
    case Strike::kLoseAnswer:
      return call.kind == SeamKind::kSend || call.kind == SeamKind::kMetadata;
    case Strike::kPowerBefore: return is_bookie && call.kind == SeamKind::kFile;
    // After a frame: an answer has left, and what it says must be true on the disk.
    case Strike::kPowerAfter: return is_bookie && call.kind != SeamKind::kConnect;
  }
  return false;
}

std::string ToString(const CallSeen& call) {
  static constexpr std::string_view kKinds[] = {"file", "connect", "send", "metadata"};
  return StrCat(call.process, " ", kKinds[static_cast<int>(call.kind)], " ", call.what);
}

SeamVerdict Injector::OnCall(const SeamCall& call) {
  if (!is_on_ || !call.process->name().starts_with(scope_)) return SeamVerdict::kProceed;
  const uint64_t number = calls_++;
  if (is_recording_) {
    seen_.push_back({call.kind, call.process->name(), std::string(call.what)});
  }
  if (!armed_.has_value() || armed_->call != number) return SeamVerdict::kProceed;
  struck_ = CallSeen{call.kind, call.process->name(), std::string(call.what)};
  switch (armed_->strike) {
    case Strike::kFail: return SeamVerdict::kFail;
    case Strike::kLoseAnswer: return SeamVerdict::kLoseAnswer;
    case Strike::kKillBefore: return SeamVerdict::kCrashBefore;
    case Strike::kKillAfter: return SeamVerdict::kCrashAfter;
    case Strike::kPowerBefore: on_power_cut_(call.process); return SeamVerdict::kCrashBefore;
    case Strike::kPowerAfter: on_power_cut_(call.process); return SeamVerdict::kCrashAfter;
  }
  return SeamVerdict::kProceed;
}

}  // namespace stele::simulation
