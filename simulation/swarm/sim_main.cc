// The simulator's command: runs seeds, replays one, makes a failing one smaller. See --help.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "common/base/strings.h"
#include "simulation/swarm/job_pool.h"
#include "simulation/swarm/shrink.h"
#include "simulation/swarm/summary.h"

namespace stele::simulation {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr char kExamples[] =
    "Examples, each behind  bazel run --config=release //:sim --\n"
    "  --seeds=1000                 a thousand seeds from a random one on\n"
    "  --seeds=1000 --first=1       the same thousand every time\n"
    "  --minutes=30 --jobs=2        as many as fit\n"
    "  --profile=crash --seeds=100\n"
    "  --seed=17 --trace            one seed, every event\n"
    "  --seed=17 --until-step=5000 --trace\n"
    "  --seed=17 --shrink=/tmp/17.txt\n"
    "  --scenario=/tmp/17.txt --trace\n"
    "  --mutant=M5,M7a --jobs=2     plants these bugs and hunts each of them\n";

struct Options {
  uint64_t seeds = 100;
  uint64_t first = 0;
  uint64_t seed = 0;
  double minutes = 0;
  int jobs = 1;
  std::string profile;
  bool trace = false;
  uint64_t until_step = 0;
  std::string scenario;
  std::string seeds_file;
  std::string shrink;
  std::string history;
  bool counted = false;  // --seeds was given
  bool hashes = false;
  bool until_failure = false;
  bool print_scenario = false;
  std::string mutant;
};

int Fail(std::string_view why) {
  std::cerr << why << "\n";
  return 2;
}

bool ReadFile(const std::string& path, std::string* text) {
  std::ifstream in(path);
  *text = {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return static_cast<bool>(in);
}

// "SEED [PROFILE]   # what it found", or the file of a scenario, beside this one; one a line.
bool ReadSeeds(const std::string& path, std::vector<Scenario>* scenarios) {
  std::string text;
  if (!ReadFile(path, &text)) return false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string first;
    std::string profile;
    if (!(words >> first >> std::ws)) continue;
    words >> profile;
    uint64_t seed = 0;
    std::string scenario;
    if (!absl::SimpleAtoi(first, &seed) &&
        !ReadFile(std::filesystem::path(path).parent_path() / first, &scenario)) {
      return false;
    }
    auto drawn = scenario.empty() ? DrawScenario(seed, profile) : ParseScenario(scenario);
    if (!drawn.ok()) return false;
    scenarios->push_back(*std::move(drawn));
  }
  return true;
}

// One run in this process, where a debugger sees it.
int RunOne(const Options& options, const Scenario& scenario) {
  if (options.print_scenario) std::cout << ToText(scenario);
  RunOptions run_options;
  run_options.until_step = options.until_step;
  if (options.trace) {
    run_options.listener = [](std::string_view line) { std::cout << line << std::flush; };
  }
  const auto begin = SteadyClock::now();
  JobResult result{.scenario = scenario};
  result.run = RunScenario(scenario, run_options);
  result.seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
  if (!options.history.empty()) std::ofstream(options.history) << result.run.history;
  Summary summary;
  summary.Add(result);
  if (!result.run.findings.empty()) PrintFailure(result, std::cout);
  summary.Print(std::cout);
  return result.run.findings.empty() ? 0 : 1;
}

std::set<std::string> CheckersOf(const RunResult& run) {
  std::set<std::string> checkers;
  for (const Finding& finding : run.findings) checkers.insert(finding.checker);
  return checkers;
}

int ShrinkOne(const Options& options, const Scenario& scenario) {
  const auto run = [](const Scenario& candidate) {
    JobPool pool(1);
    pool.Start(candidate);
    return pool.Wait();
  };
  const JobResult first = run(scenario);
  if (first.run.findings.empty()) return Fail("it does not fail");
  const std::set<std::string> wanted = CheckersOf(first.run);
  const double minutes = options.minutes > 0 ? options.minutes : 10;
  const auto end = SteadyClock::now() + std::chrono::duration<double>(minutes * 60);
  int tries = 0;
  const auto fails = [&](const Scenario& candidate) {
    const std::set<std::string> found = CheckersOf(run(candidate).run);
    const bool same = std::ranges::any_of(
        found, [&](const std::string& checker) { return wanted.contains(checker); });
    std::cerr << "\rtry " << ++tries << ": " << candidate.bookies << " bookies, "
              << candidate.actors.size() << " actors, " << candidate.faults.size() << " faults, "
              << candidate.duration_ms << " ms " << (same ? "fails too      " : "does not fail  ")
              << std::flush;
    return same;
  };
  const ShrinkResult result =
      Shrink(scenario, fails, {.stop = [end] { return SteadyClock::now() > end; }});
  std::cerr << "\n";
  std::string text = StrCat("# shrunk from seed ", scenario.seed, ", profile ", scenario.profile,
                            ", in ", result.tries, " tries; fails with:");
  for (const std::string& checker : wanted) text += StrCat(" ", checker);
  text += StrCat("\n", ToText(result.smallest));
  std::ofstream(options.shrink) << text;
  std::cout << text << "written to " << options.shrink << "\n";
  return 0;
}

class Campaign {
 public:
  Campaign(const Options& options, std::vector<Scenario> given)
      : options_(options), given_(std::move(given)), pool_(options.jobs) {}

  int Run() {
    while (true) {
      while (!pool_.is_full() && HasMore()) pool_.Start(Next());
      if (pool_.is_empty()) break;
      const JobResult result = pool_.Wait();
      Take(result);
      Progress();
    }
    std::cerr << "\n";
    summary_.Print(std::cout);
    return summary_.failed() == 0 ? 0 : 1;
  }

 private:
  uint64_t Total() const { return given_.empty() ? options_.seeds : given_.size(); }
  double SecondsRun() const {
    return std::chrono::duration<double>(SteadyClock::now() - begin_).count();
  }
  bool HasMore() const {
    if (options_.until_failure && summary_.failed() > 0) return false;
    const bool timed = options_.minutes > 0;
    if (timed && SecondsRun() > options_.minutes * 60) return false;
    return started_ < Total() || (timed && given_.empty() && !options_.counted);
  }
  Scenario Next() {
    const uint64_t number = started_++;
    return given_.empty() ? *DrawScenario(options_.first + number, options_.profile)
                          : given_[number];
  }

  void Take(const JobResult& result) {
    if (options_.hashes) {
      std::cout << "seed " << result.scenario.seed << " trace hash " << result.run.trace_hash
                << "\n";
    }
    summary_.Add(result);
    if (result.run.findings.empty()) return;
    std::cerr << "\n";
    PrintFailure(result, std::cout);
  }

  void Progress() {
    const double seconds = SecondsRun();
    const double rate = static_cast<double>(summary_.runs()) / std::max(seconds, 0.001);
    double left = static_cast<double>(Total() - std::min(Total(), summary_.runs())) / rate;
    if (options_.minutes > 0) left = std::max(0.0, options_.minutes * 60 - seconds);
    std::fprintf(stderr, "\r%lu seeds, %lu failed, %.1f/min, %.0f s left   ",
                 static_cast<unsigned long>(summary_.runs()),
                 static_cast<unsigned long>(summary_.failed()), rate * 60, left);
  }

  const Options& options_;
  const std::vector<Scenario> given_;
  JobPool pool_;
  Summary summary_;
  SteadyClock::time_point begin_ = SteadyClock::now();
  uint64_t started_ = 0;
};

// Planted bugs are a patch on the sources, so a script builds them and runs this program again.
// Returns only when it cannot.
int HuntMutants(const Options& options) {
  const char* const workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) return Fail("--mutant needs bazel run //:sim -- --mutant=M5");
  std::vector<std::string> words = {StrCat(workspace, "/simulation/negative/negative.py"),
                                    "--config=release", StrCat("--jobs=", options.jobs)};
  if (options.mutant != "all") words.push_back(StrCat("--bugs=", options.mutant));
  if (options.counted) words.push_back(StrCat("--seeds=", options.seeds));
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  return Fail(StrCat("cannot run ", words[0]));
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Runs whole clusters of Stele in virtual time, one from each seed.");
  app.footer(kExamples);
  auto* seeds = app.add_option("--seeds", options.seeds, "how many seeds; 100 if not given");
  app.add_option("--first", options.first, "the first of them; random if not given");
  auto* seed = app.add_option("--seed", options.seed, "this seed alone, in this process");
  app.add_option("--minutes", options.minutes, "run for so long");
  app.add_option("--jobs", options.jobs, "runs at a time")->check(CLI::Range(1, 256));
  app.add_option("--profile", options.profile, "what breaks; drawn from the seed if not given")
      ->check(CLI::IsMember(Profiles()));
  app.add_flag("--trace", options.trace, "with --seed or --scenario: print every event");
  app.add_option("--until-step", options.until_step, "with --seed or --scenario: stop there");
  app.add_option("--scenario", options.scenario, "run what this file says");
  app.add_option("--seeds-file", options.seeds_file, "the seeds that this file lists");
  app.add_option("--shrink", options.shrink, "make the failing seed or scenario smaller; write it");
  app.add_option("--history", options.history, "with --seed or --scenario: write the history");
  app.add_flag("--until-failure", options.until_failure, "begin no further seed after one failed");
  app.add_flag("--hashes", options.hashes, "print each seed's trace hash, to compare two runs");
  app.add_flag("--print-scenario", options.print_scenario, "with --seed: print what it draws");
  app.add_option("--mutant", options.mutant, "hunt planted bugs: M5, or M5,M7a, or all");
  CLI11_PARSE(app, argc, argv);
  options.counted = seeds->count() > 0;
  if (!options.mutant.empty()) return HuntMutants(options);
  if (seed->count() > 0 || !options.scenario.empty()) {
    absl::StatusOr<Scenario> scenario = DrawScenario(options.seed, options.profile);
    if (!options.scenario.empty()) {
      std::string text;
      if (!ReadFile(options.scenario, &text)) return Fail("cannot read " + options.scenario);
      scenario = ParseScenario(text);
    }
    if (!scenario.ok()) return Fail(ToStd(scenario.status().message()));
    if (!options.shrink.empty()) return ShrinkOne(options, *scenario);
    return RunOne(options, *scenario);
  }
  std::vector<Scenario> given;
  if (!options.seeds_file.empty() && !ReadSeeds(options.seeds_file, &given)) {
    return Fail("cannot read " + options.seeds_file);
  }
  if (!options.seeds_file.empty() && given.empty()) {
    std::cout << "0 seeds\n";
    return 0;
  }
  if (options.first == 0) options.first = std::random_device{}() + uint64_t{1};
  if (given.empty()) std::cout << "seeds from " << options.first << " on\n";
  return Campaign(options, std::move(given)).Run();
}

}  // namespace
}  // namespace stele::simulation

int main(int argc, char** argv) { return stele::simulation::Main(argc, argv); }
