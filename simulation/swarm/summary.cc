#include "simulation/swarm/summary.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "common/base/strings.h"

namespace stele::simulation {

void Summary::Add(const JobResult& result) {
  const RunResult& run = result.run;
  ++runs_;
  if (!run.findings.empty()) {
    failed_.push_back(
        {result.scenario.seed, result.scenario.profile, run.findings.front().checker});
  }
  steps_ += run.steps;
  calls_ += run.calls;
  calls_ok_ += run.calls_ok;
  checks_ += run.checks;
  virtual_ms_ += run.virtual_ms;
  seconds_.push_back(result.seconds);
  for (const auto& [name, hits] : run.faults) {
    faults_[name].hits += hits;
    ++faults_[name].seeds;
  }
  for (const auto& [name, hits] : run.sometimes) {
    sometimes_[name].hits += hits;
    sometimes_[name].seeds += hits > 0 ? 1 : 0;
  }
}

void Summary::Print(std::ostream& out) const {
  std::vector<double> seconds = seconds_;
  std::ranges::sort(seconds);
  double total = 0;
  for (const double each : seconds) total += each;
  const double median = seconds.empty() ? 0 : seconds[seconds.size() / 2];
  const double p99 = seconds.empty() ? 0 : seconds[seconds.size() * 99 / 100];
  out << absl::StrFormat(
      "%d seeds, %d failed\n"
      "%d calls of clients, %d of them ok; %d checks of state\n"
      "%d virtual seconds, %d steps; %.0f steps/s, virtual : real %.0f : 1\n"
      "seconds per seed: median %.2f, p99 %.2f\n",
      runs_, failed_.size(), calls_, calls_ok_, checks_, virtual_ms_ / 1000, steps_,
      static_cast<double>(steps_) / std::max(total, 1e-9),
      static_cast<double>(virtual_ms_) / 1000 / std::max(total, 1e-9), median, p99);
  out << "faults that took effect (in so many seeds):\n";
  for (const auto& [name, counter] : faults_) {
    out << absl::StrFormat("  %8d (%d)  %s\n", counter.hits, counter.seeds, name);
  }
  out << "rare places that were reached (in so many seeds):\n";
  for (const auto& [name, counter] : sometimes_) {
    if (counter.hits == 0) continue;
    out << absl::StrFormat("  %8d (%d)  %s\n", counter.hits, counter.seeds, name);
  }
  for (const auto& [name, counter] : sometimes_) {
    if (counter.hits == 0) out << "  NEVER  " << name << "\n";
  }
  for (const Failure& failure : failed_) {
    out << "FAILED seed " << failure.seed << " profile " << failure.profile << ": "
        << failure.checker << "\n";
  }
}

void PrintFailure(const JobResult& result, std::ostream& out) {
  const Scenario& scenario = result.scenario;
  const RunResult& run = result.run;
  out << "---- the last events\n";
  for (const std::string& line : run.last_lines) out << line;
  out << "---- FAILED: seed " << scenario.seed << ", profile " << scenario.profile
      << ", trace hash " << run.trace_hash << ", " << run.virtual_ms << " virtual ms, step "
      << run.steps << "\n";
  // Was that survivable?
  out << "atlas: ledgers survive the loss of " << scenario.losses_max << " bookies, "
      << (run.faults.contains("swarm.lose") ? 1 : 0) << " were lost\n";
  size_t shown = 0;
  for (const Finding& finding : run.findings) {
    if (++shown > 10) break;
    out << finding.checker << ": " << finding.text << "\n";
  }
  if (run.findings.size() > shown) out << run.findings.size() << " findings\n";
  out << "replay: bazel run --config=release //:sim -- --seed=" << scenario.seed
      << " --profile=" << scenario.profile << " --trace\n";
}

}  // namespace stele::simulation
