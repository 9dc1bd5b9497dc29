// Reads a history (text_format.h) from a file, or from its input, and says whether it keeps the
// promises. Exit code 0: it does; 1: it does not; 2: it cannot be read.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "simulation/history/checkers.h"
#include "simulation/history/text_format.h"

namespace {

constexpr std::string_view kHelp =
    "Usage: check [--beyond] [FILE]\n"
    "  Checks a history of calls against the promises of Stele; without FILE, of its input.\n"
    "  --beyond   more was destroyed than the replication survives: losses are no violations\n"
    "The format is described in simulation/history/text_format.h.\n";
// Of one checker; the rest is counted.
constexpr int kShownMax = 5;

int Usage() {
  std::cerr << kHelp;
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  stele::history::CheckOptions options;
  std::string file;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") {
      std::cout << kHelp;
      return 0;
    }
    if (argument == "--beyond") {
      options.beyond_budget = true;
    } else if (file.empty() && !argument.starts_with("--")) {
      file = argument;
    } else {
      return Usage();
    }
  }
  std::ifstream opened;
  if (!file.empty()) opened.open(file);
  std::istream& in = file.empty() ? std::cin : opened;
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) {
    std::cerr << "cannot read " << file << "\n";
    return 2;
  }
  const auto history = stele::history::ParseHistory(text);
  if (!history.ok()) {
    std::cerr << file << ": " << history.status().message() << "\n";
    return 2;
  }
  const auto violations = stele::history::CheckHistory(*history, options);
  std::map<std::string, int> counts;
  for (const auto& violation : violations) {
    if (++counts[violation.checker] > kShownMax) continue;
    std::cout << violation.checker << ": " << violation.text;
  }
  for (const auto& [checker, count] : counts) std::cout << checker << ": " << count << " times\n";
  std::cout << history->calls().size() << " calls, " << violations.size() << " violations\n";
  return violations.empty() ? 0 : 1;
}
