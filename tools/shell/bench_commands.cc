#include "tools/shell/bench_commands.h"

#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "tools/shell/session.h"

namespace stele::shell {
namespace {

constexpr int64_t kNanosecondsPerMicrosecond = 1000;

Record LatencyRecord(std::string what, const observe::Histogram& nanoseconds) {
  Record record;
  record.Set("what", std::move(what)).Set("count", nanoseconds.count());
  record.Set("p50_us", nanoseconds.Percentile(5000) / kNanosecondsPerMicrosecond)
      .Set("p99_us", nanoseconds.Percentile(9900) / kNanosecondsPerMicrosecond)
      .Set("p999_us", nanoseconds.Percentile(9990) / kNanosecondsPerMicrosecond)
      .Set("max_us", nanoseconds.max() / kNanosecondsPerMicrosecond);
  return record;
}

}  // namespace

ExitCode RunBenchDevice(const BenchDeviceCommand& command) {
  const absl::StatusOr<bench::DeviceFigures> figures = bench::MeasureDevice(command.options);
  if (!figures.ok()) return Finish(figures.status(), command.format);
  std::vector<Record> records;
  records.push_back(LatencyRecord(
      figures->direct ? "write 4 KiB O_DIRECT O_DSYNC" : "write 4 KiB O_DSYNC (no O_DIRECT here)",
      figures->write_nanoseconds));
  records.push_back(LatencyRecord(StrCat("round trip ", command.options.request_size_bytes, " B, ",
                                         command.options.reply_size_bytes, " B back"),
                                  figures->round_trip_nanoseconds));
  PrintRecords(records, command.format, "");
  return ExitCode::kOk;
}

}  // namespace stele::shell
