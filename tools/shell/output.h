// What commands print: tables for people, JSON for programs, progress on anything that takes long.
// Results go to stdout, progress and errors to stderr.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/observe/record.h"
#include "common/seams/clock.h"

namespace stele::shell {

using observe::Record;
using observe::ToJson;
using observe::Value;

enum class Format { kTable, kJson };

// One record: "name  value" lines, or one JSON object.
void PrintRecord(const Record& record, Format format);
// Many of one kind: a table with a head, or a JSON array. `nothing`: said when there are none.
void PrintRecords(const std::vector<Record>& records, Format format, std::string_view nothing);
// One line for people: "name=value name=value", without its end.
std::string ToLine(const Record& record);

// "error: ..." on stderr, or {"error": {...}} there for programs.
void PrintError(const absl::Status& status, Format format);

std::string HumanBytes(int64_t bytes);           // "1.5 GiB"
std::string HumanDuration(absl::Duration time);  // "340 us", "1.2 s", "2 min 5 s"

// A line on stderr that is rewritten in place: count, rate, time left. Silent for the first two
// seconds, and when stderr is no terminal it is a plain line every ten seconds.
class Progress {
 public:
  // total   0: not known.  unit   "entries", "bytes"
  Progress(const Clock* clock, std::string what, int64_t total, std::string unit);
  ~Progress();

  // Call as often as you like.
  //   left   how long the rest takes, when the caller knows better than by counting
  void Update(int64_t done, std::optional<absl::Duration> left = std::nullopt);

 private:
  void Print(int64_t done, MonotonicTime now, std::optional<absl::Duration> left);

  const Clock* clock_;
  std::string what_;
  int64_t total_;
  std::string unit_;
  bool is_terminal_;
  MonotonicTime started_;
  MonotonicTime printed_;
  bool has_printed_ = false;
};

}  // namespace stele::shell
