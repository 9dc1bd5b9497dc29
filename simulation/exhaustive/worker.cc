// Plays runs of the exhaustive set and prints a line for each, for exhaustive.py or for a person
// who replays one:  worker --script=recovery --call=17 --strike=power-after
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "simulation/exhaustive/runs.h"

namespace stele::simulation {
namespace {

struct Options {
  std::string script;
  uint64_t seed = 1;
  int64_t call = -1;
  std::string strike;
  // Of all runs of all scripts, numbered through: those that are shard modulo shards.
  uint64_t shard = 0;
  uint64_t shards = 1;
  uint64_t from = 0;
  uint64_t stride = 1;
  bool scatter = false;
  bool until_fault = false;
};

int ReplayOne(const Options& options, const Script& script) {
  const std::optional<Strike> strike = StrikeFromName(options.strike);
  if (!strike.has_value()) {
    std::fprintf(stderr, "no such strike: %s\n", options.strike.c_str());
    return 2;
  }
  const RunResult result =
      PlayRun(script, options.seed, {static_cast<uint64_t>(options.call), *strike});
  std::printf("struck: %s\n", result.struck.c_str());
  for (const std::string& fault : result.faults) std::printf("%s\n", fault.c_str());
  return result.faults.empty() ? 0 : 1;
}

// "script NAME CALLS RUNS" for each, "run NUMBER NAME CALL STRIKE" before each run, "fault NUMBER
// TEXT" for each fault, "end" after all.
int PlayAll(const Options& options) {
  std::vector<std::pair<const Script*, StruckRun>> all;
  bool has_faults = false;
  for (const Script& script : AllScripts()) {
    if (!options.script.empty() && options.script != script.name) continue;
    const ScriptRuns runs = RunsOf(script, options.seed);
    std::printf("script %s %zu %zu\n", script.name.c_str(), runs.calls.size(), runs.runs.size());
    for (const std::string& fault : runs.faults) {
      std::printf("fault - %s undisturbed: %s\n", script.name.c_str(), fault.c_str());
      has_faults = true;
    }
    for (const StruckRun& run : runs.runs) all.emplace_back(&script, run);
  }
  for (uint64_t number = options.shard; number < all.size(); number += options.shards) {
    if (has_faults && options.until_fault) break;
    if (number < options.from || number / options.shards % options.stride != 0) continue;
    // Far apart, so that a part of the runs is of all scripts.
    constexpr uint64_t kFarApart = 1'000'003;
    const auto& [script, run] = all[options.scatter ? number * kFarApart % all.size() : number];
    std::printf("run %llu %s %llu %s\n", static_cast<unsigned long long>(number),
                script->name.c_str(), static_cast<unsigned long long>(run.call),
                std::string(NameOf(run.strike)).c_str());
    std::fflush(stdout);
    const RunResult result = PlayRun(*script, options.seed, run);
    for (const std::string& fault : result.faults) {
      std::printf("fault %llu at [%s] %s\n", static_cast<unsigned long long>(number),
                  result.struck.c_str(), fault.c_str());
      has_faults = true;
    }
  }
  std::printf("end\n");
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Plays runs of the exhaustive set");
  app.add_option("--script", options.script, "only this one");
  app.add_option("--seed", options.seed, "of the world");
  app.add_option("--call", options.call, "with --script and --strike: one run");
  app.add_option("--strike", options.strike, "fail, lose-answer, kill-before, ...");
  app.add_option("--shard", options.shard, "which part of the runs");
  app.add_option("--shards", options.shards, "of how many");
  app.add_option("--from", options.from, "the first run, by number");
  app.add_option("--stride", options.stride, "only each so-manieth run");
  app.add_flag("--scatter", options.scatter, "runs of all scripts in turn");
  app.add_flag("--until-fault", options.until_fault, "stop at the first");
  CLI11_PARSE(app, argc, argv);
  if (options.call < 0) return PlayAll(options);
  for (const Script& script : AllScripts()) {
    if (script.name == options.script) return ReplayOne(options, script);
  }
  std::fprintf(stderr, "no such script: %s\n", options.script.c_str());
  return 2;
}

}  // namespace
}  // namespace stele::simulation

int main(int argc, char** argv) { return stele::simulation::Main(argc, argv); }
