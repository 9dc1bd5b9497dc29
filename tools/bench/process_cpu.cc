#include "tools/bench/process_cpu.h"

#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

#include <unistd.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bench {
namespace {

// Counted behind the command's name, which is in parentheses and may contain anything: proc(5) has
// utime as field 14 and stime as 15, and the first one behind the name is field 3.
constexpr int kUserField = 14;
constexpr int kSystemField = 15;
constexpr int kFirstField = 3;

}  // namespace

absl::StatusOr<int64_t> ParseCpuTicks(std::string_view stat) {
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) {
    return MakeError(ErrorCode::kCorruptData, "not the text of a /proc/PID/stat");
  }
  std::istringstream fields{std::string(stat.substr(name_end + 1))};
  std::string field;
  int64_t ticks = 0;
  for (int number = kFirstField; number <= kSystemField; ++number) {
    if (!(fields >> field)) {
      return MakeError(ErrorCode::kCorruptData, "a /proc/PID/stat with too few fields");
    }
    if (number < kUserField) continue;
    int64_t value = 0;
    if (std::from_chars(field.data(), field.data() + field.size(), value).ec != std::errc()) {
      return MakeError(ErrorCode::kCorruptData, "a /proc/PID/stat without times");
    }
    ticks += value;
  }
  return ticks;
}

absl::StatusOr<int64_t> CpuMilliseconds(int64_t pid) {
  const std::string process = pid == 0 ? "self" : StrCat(pid);
  std::ifstream file(StrCat("/proc/", process, "/stat"));
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return MakeError(ErrorCode::kNoSuchFile, StrCat("there is no process ", process));
  STELE_TRY(const int64_t ticks, ParseCpuTicks(text.str()));
  return ticks * 1000 / sysconf(_SC_CLK_TCK);
}

}  // namespace stele::bench
