#include "simulation/swarm/result_text.h"

#include "common/base/strings.h"
#include "simulation/history/words.h"

namespace stele::simulation {
namespace {

using history::ParseNumber;
using history::TakeWord;

constexpr std::string_view kMark = "\x01";

std::string Escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\\') {
      escaped += "\\\\";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      plain += text[i];
    } else {
      plain += text[++i] == 'n' ? '\n' : text[i];
    }
  }
  return plain;
}

void ParseLine(std::string_view line, RunResult* result) {
  const std::string_view key = TakeWord(&line);
  if (key == "hash") ParseNumber(line, &result->trace_hash);
  if (key == "steps") ParseNumber(line, &result->steps);
  if (key == "virtual_ms") ParseNumber(line, &result->virtual_ms);
  if (key == "calls") ParseNumber(line, &result->calls);
  if (key == "calls_ok") ParseNumber(line, &result->calls_ok);
  if (key == "checks") ParseNumber(line, &result->checks);
  if (key == "fault" || key == "sometimes") {
    uint64_t hits = 0;
    ParseNumber(TakeWord(&line), &hits);
    (key == "fault" ? result->faults : result->sometimes)[std::string(line)] = hits;
  }
  if (key == "finding") {
    const std::string checker(TakeWord(&line));
    result->findings.push_back({checker, Unescape(line)});
  }
  if (key == "line") result->last_lines.push_back(Unescape(line));
  if (key == "history") result->history = Unescape(line);
}

}  // namespace

std::string ToText(const RunResult& result) {
  std::string text;
  const auto add = [&text](const auto&... parts) { text += StrCat(kMark, parts..., "\n"); };
  add("hash ", result.trace_hash);
  add("steps ", result.steps);
  add("virtual_ms ", result.virtual_ms);
  add("calls ", result.calls);
  add("calls_ok ", result.calls_ok);
  add("checks ", result.checks);
  for (const auto& [name, hits] : result.faults) add("fault ", hits, " ", name);
  for (const auto& [name, hits] : result.sometimes) add("sometimes ", hits, " ", name);
  for (const Finding& finding : result.findings) {
    add("finding ", finding.checker, " ", Escape(finding.text));
  }
  if (!result.findings.empty()) {
    for (const std::string& line : result.last_lines) add("line ", Escape(line));
    add("history ", Escape(result.history));
  }
  add("end");
  return text;
}

bool ParseResult(std::string_view text, RunResult* result, std::string* noise) {
  bool ended = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.starts_with(kMark)) {
      *noise += StrCat(line, "\n");
      continue;
    }
    line.remove_prefix(kMark.size());
    if (line == "end") ended = true;
    ParseLine(line, result);
  }
  return ended;
}

}  // namespace stele::simulation
