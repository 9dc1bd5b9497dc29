#include "tools/shell/bench_commands.h"

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "client/client.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "tools/bench/reporter.h"
#include "tools/bench/tail_load.h"
#include "tools/shell/ledger_flags.h"

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

bench::Reporter MakeReporter(const BenchOptions& options, std::string unit = "entries") {
  return bench::Reporter({.server_pids = options.server_pids,
                          .peer_protocol = options.peer_protocol,
                          .unit = std::move(unit),
                          .format = options.common.format});
}

Task<absl::Status> MeasureWindows(Env env, const BenchLoadOptions* options, bench::Load* load,
                                  bench::Reporter* reporter) {
  co_await SleepFor(env.executor, env.clock, absl::Seconds(options->warmup_seconds));
  for (int64_t i = 0; i < options->windows && load->failure().ok(); ++i) {
    STELE_CO_TRY_OK(reporter->BeginWindow());
    load->BeginWindow();
    co_await SleepFor(env.executor, env.clock, absl::Seconds(options->window_seconds));
    STELE_CO_TRY_OK(reporter->EndWindow(load->EndWindow()));
  }
  co_return absl::OkStatus();
}

// Nothing of the load runs afterwards.
Task<absl::Status> Measure(Env env, const BenchLoadOptions* options, bench::Load* load,
                           bench::Reporter* reporter) {
  STELE_CO_TRY_OK(co_await load->Start());
  const absl::Status measured = co_await MeasureWindows(env, options, load, reporter);
  const absl::Status stopped = co_await load->Stop();
  co_return measured.ok() ? stopped : measured;
}

void PrintIds(const std::vector<LedgerId>& ledgers) {
  for (const LedgerId ledger : ledgers) {
    std::fprintf(stderr, "ledger %lld\n", static_cast<long long>(ledger.value()));
  }
}

absl::Status KeepOrDelete(Session& session, client::Client* client, const BenchLoadOptions& options,
                          const std::vector<LedgerId>& ledgers) {
  if (options.keep) {
    PrintIds(ledgers);
    return absl::OkStatus();
  }
  for (const LedgerId ledger : ledgers) {
    STELE_TRY_OK(session.shard().RunUntil(client->DeleteLedger(ledger)));
  }
  return absl::OkStatus();
}

absl::Status BenchWrite(Session& session, const BenchWriteCommand& command) {
  STELE_TRY(client::Client* const client, session.Connect());
  bench::WriteLoadOptions options = command.load;
  STELE_TRY(options.password, PasswordOf(session, command.bench.password));
  bench::WriteLoad load(session.env(), client, std::move(options));
  bench::Reporter reporter = MakeReporter(command.bench);
  const absl::Status measured =
      session.shard().RunUntil(Measure(session.env(), &command.bench, &load, &reporter));
  reporter.Print();
  STELE_TRY_OK(KeepOrDelete(session, client, command.bench, load.ledgers()));
  return measured;
}

absl::Status BenchTail(Session& session, const BenchWriteCommand& command) {
  STELE_TRY(client::Client* const writing, session.Connect());
  STELE_TRY(const std::unique_ptr<client::Client> reading, session.ConnectAnother());
  bench::WriteLoadOptions options = command.load;
  STELE_TRY(options.password, PasswordOf(session, command.bench.password));
  bench::TailLoad load(session.env(), writing, reading.get(), std::move(options));
  bench::Reporter reporter = MakeReporter(command.bench);
  const absl::Status measured =
      session.shard().RunUntil(Measure(session.env(), &command.bench, &load, &reporter));
  reporter.Print();
  STELE_TRY_OK(KeepOrDelete(session, writing, command.bench, load.ledgers()));
  return measured;
}

absl::Status BenchCreate(Session& session, const BenchCreateCommand& command) {
  STELE_TRY(client::Client* const client, session.Connect());
  bench::CreateLoadOptions options = command.load;
  STELE_TRY(options.password, PasswordOf(session, command.bench.password));
  bench::CreateLoad load(session.env(), client, std::move(options));
  bench::Reporter reporter = MakeReporter(command.bench, "ledgers");
  const absl::Status measured =
      session.shard().RunUntil(Measure(session.env(), &command.bench, &load, &reporter));
  reporter.Print();
  if (command.bench.keep) {
    PrintIds(load.ledgers());
    return measured;
  }
  const absl::Status deleted = session.shard().RunUntil(load.DeleteAll());
  return measured.ok() ? deleted : measured;
}

absl::StatusOr<bench::Window> ReadOnce(Session& session, const BenchReadCommand& command,
                                       int64_t ledger, MonotonicTime end) {
  STELE_TRY(client::Client* const client, session.Connect());
  STELE_TRY(std::string password, PasswordOf(session, command.bench.password));
  STELE_TRY(client::ReadHandle reader,
            session.shard().RunUntil(
                client->OpenLedger(LedgerId(ledger)).Password(std::move(password)).Open()));
  bench::ReadLoad load(session.env(), &reader, command.load);
  return session.shard().RunUntil(load.Run(end));
}

absl::Status MeasureRead(Session& session, const BenchReadCommand& command, int64_t ledger,
                         bench::Reporter& reporter) {
  STELE_TRY_OK(reporter.BeginWindow());
  STELE_TRY(const bench::Window window,
            ReadOnce(session, command, ledger, MonotonicTime::Infinite()));
  return reporter.EndWindow(window);
}

absl::Status BenchRead(Session& session, const BenchReadCommand& command) {
  const Clock* const clock = session.env().clock;
  const MonotonicTime warm = clock->Now() + absl::Seconds(command.bench.warmup_seconds);
  while (command.warmup_ledger.has_value() && clock->Now() < warm) {
    STELE_TRY_OK(ReadOnce(session, command, *command.warmup_ledger, warm).status());
  }
  bench::Reporter reporter = MakeReporter(command.bench);
  for (const int64_t ledger : command.ledgers) {
    if (command.cold) {
      reporter.DropPageCache();
      reporter.SetLabel("cold");
      STELE_TRY_OK(MeasureRead(session, command, ledger, reporter));
      reporter.SetLabel("warm");
    }
    STELE_TRY_OK(MeasureRead(session, command, ledger, reporter));
  }
  reporter.Print();
  return absl::OkStatus();
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
  records.push_back(
      LatencyRecord(StrCat("both, ", bench::kCopiesAwaited, " of ", bench::kCopies, " copies"),
                    figures->copies_nanoseconds));
  PrintRecords(records, command.format, "");
  return ExitCode::kOk;
}

ExitCode RunBenchWrite(const BenchWriteCommand& command) {
  return RunInSession(command.bench.common,
                      [&](Session& session) { return BenchWrite(session, command); });
}

ExitCode RunBenchTail(const BenchWriteCommand& command) {
  return RunInSession(command.bench.common,
                      [&](Session& session) { return BenchTail(session, command); });
}

ExitCode RunBenchCreate(const BenchCreateCommand& command) {
  return RunInSession(command.bench.common,
                      [&](Session& session) { return BenchCreate(session, command); });
}

ExitCode RunBenchRead(const BenchReadCommand& command) {
  return RunInSession(command.bench.common,
                      [&](Session& session) { return BenchRead(session, command); });
}

}  // namespace stele::shell
