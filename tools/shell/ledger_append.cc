// stele ledger append: standard input, entry by entry, into a ledger.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include <unistd.h>

#include "client/client.h"
#include "common/async/notification.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/observe/histogram.h"
#include "common/real/signals.h"
#include "tools/shell/ack_log.h"
#include "tools/shell/entry_cutter.h"
#include "tools/shell/input.h"
#include "tools/shell/ledger_commands.h"
#include "tools/shell/ledger_flags.h"
#include "tools/shell/text_file.h"

namespace stele::shell {
namespace {

using client::Client;
using client::WriteHandle;

// What a frame has besides the entry.
constexpr size_t kFrameOverheadBytes = 256;
// Below what a handle accepts.
constexpr size_t kPendingSizeMaxBytes = 32 * 1024 * 1024;
constexpr absl::Duration kExplicitLacInterval = absl::Milliseconds(100);

// The run of one append command: cuts the input into entries and keeps up to outstanding_max of
// them on their way.
class Appender {
 public:
  Appender(Session* session, const LedgerAppendCommand& command, size_t entry_size_max_bytes,
           WriteHandle writer, std::unique_ptr<AckLog> ack_log)
      : env_(session->env()),
        command_(command),
        writer_(std::move(writer)),
        ack_log_(std::move(ack_log)),
        input_(&session->shard(), STDIN_FILENO),
        cutter_(command.block_size_bytes, entry_size_max_bytes),
        changed_(env_.executor),
        progress_(env_.clock, "appending", 0, "entries") {}

  // Appends until the end of the input, waits for all acknowledgements, and closes the ledger.
  Task<absl::Status> Run();

  // The input ends here.
  void StopInput() { input_.Stop(); }

  Record Summary() const;

 private:
  struct Pending {
    Buffer payload;
    MonotonicTime begun;
  };

  Task<absl::Status> AppendInput();
  Task<absl::Status> AppendOne(Buffer payload);
  bool IsFull(size_t next_size) const {
    return std::ssize(pending_) >= command_.outstanding_max ||
           (!pending_.empty() && pending_bytes_ + next_size > kPendingSizeMaxBytes);
  }
  void OnAppended(absl::StatusOr<EntryId> entry);

  const Env env_;
  const LedgerAppendCommand command_;
  WriteHandle writer_;
  std::unique_ptr<AckLog> ack_log_;
  Input input_;
  EntryCutter cutter_;
  Notification changed_;
  Progress progress_;
  std::deque<Pending> pending_;  // acknowledgements come in this order
  absl::Status failure_;         // the first one
  MonotonicTime started_;
  MonotonicTime ended_;
  size_t pending_bytes_ = 0;
  int64_t begun_ = 0;
  int64_t acknowledged_ = 0;
  int64_t bytes_ = 0;
  EntryId last_entry_;
  bool is_closed_ = false;
  observe::Histogram latency_nanoseconds_;
};

Task<absl::Status> Appender::Run() {
  started_ = env_.clock->Now();
  const absl::Status read = co_await AppendInput();
  while (!pending_.empty()) co_await changed_.Wait();
  ended_ = env_.clock->Now();
  if (ack_log_ != nullptr) STELE_CO_TRY_OK(co_await ack_log_->Finish());
  if (!failure_.ok()) co_return failure_;
  if (!read.ok()) co_return read;
  if (command_.keep_open) co_return absl::OkStatus();
  STELE_CO_TRY_OK(co_await writer_.Close());
  is_closed_ = true;
  co_return absl::OkStatus();
}

Task<absl::Status> Appender::AppendInput() {
  for (;;) {
    STELE_CO_TRY(Buffer chunk, co_await input_.Read());
    if (chunk.empty()) break;
    cutter_.Feed(std::move(chunk));
    for (;;) {
      STELE_CO_TRY(std::optional<Buffer> entry, cutter_.Next());
      if (!entry.has_value()) break;
      STELE_CO_TRY_OK(co_await AppendOne(*std::move(entry)));
    }
  }
  std::optional<Buffer> rest = cutter_.Finish();
  if (rest.has_value()) co_return co_await AppendOne(*std::move(rest));
  co_return absl::OkStatus();
}

Task<absl::Status> Appender::AppendOne(Buffer payload) {
  if (command_.rate_per_second > 0) {
    const MonotonicTime due = started_ + begun_ * absl::Seconds(1) / command_.rate_per_second;
    if (env_.clock->Now() < due) co_await SleepUntil(env_.executor, env_.clock, due);
  }
  while (failure_.ok() && IsFull(payload.size())) co_await changed_.Wait();
  if (!failure_.ok()) co_return failure_;
  if (ack_log_ != nullptr && !ack_log_->status().ok()) co_return ack_log_->status();
  ++begun_;
  pending_bytes_ += payload.size();
  pending_.push_back({payload, env_.clock->Now()});
  writer_.Append(std::move(payload),
                 [this](absl::StatusOr<EntryId> entry) { OnAppended(std::move(entry)); });
  co_return absl::OkStatus();
}

void Appender::OnAppended(absl::StatusOr<EntryId> entry) {
  const Pending pending = std::move(pending_.front());
  pending_.pop_front();
  pending_bytes_ -= pending.payload.size();
  changed_.NotifyAll();
  if (!entry.ok()) {
    if (failure_.ok()) failure_ = std::move(entry).status();
    input_.Stop();
    return;
  }
  const int64_t nanoseconds = (env_.clock->Now() - pending.begun) / absl::Nanoseconds(1);
  latency_nanoseconds_.Record(nanoseconds);
  ++acknowledged_;
  bytes_ += static_cast<int64_t>(pending.payload.size());
  last_entry_ = *entry;
  progress_.Update(acknowledged_);
  if (ack_log_ != nullptr) {
    ack_log_->Add(*entry, pending.payload, command_.ack_times ? nanoseconds / 1000 : -1);
  }
}

Record Appender::Summary() const {
  const int64_t microseconds = std::max<int64_t>((ended_ - started_) / absl::Microseconds(1), 1);
  Record record;
  record.Set("ledger", writer_.id().value())
      .Set("entries", acknowledged_)
      .Set("bytes", bytes_)
      .Set("last_entry", last_entry_.value())
      .Set("closed", is_closed_)
      .Set("milliseconds", microseconds / 1000)
      .Set("entries_per_second", acknowledged_ * 1'000'000 / microseconds)
      .Set("p50_us", latency_nanoseconds_.Percentile(5000) / 1000)
      .Set("p99_us", latency_nanoseconds_.Percentile(9900) / 1000)
      .Set("max_us", latency_nanoseconds_.max() / 1000);
  return record;
}

absl::StatusOr<WriteHandle> OpenWriter(Session& session, Client* client,
                                       const LedgerAppendCommand& command) {
  STELE_TRY(std::string password, PasswordOf(session, command.password));
  if (command.create.has_value()) {
    return session.shard().RunUntil(
        BuilderOf(*client, *command.create, std::move(password)).Create());
  }
  return session.shard().RunUntil(
      client->OpenLedger(*command.ledger).Password(std::move(password)).Claim());
}

absl::Status Append(Session& session, const LedgerAppendCommand& command) {
  if (command.ledger.has_value() == command.create.has_value()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "give the id of a ledger made by stele ledger create, or --create");
  }
  client::ClientOptions options;
  options.pending_appends_max =
      std::max<size_t>(options.pending_appends_max, static_cast<size_t>(command.outstanding_max));
  // Who follows a slow stream sees its last line too.
  options.explicit_lac_interval = kExplicitLacInterval;
  STELE_TRY(Client* const client, session.Connect(options));
  std::unique_ptr<AckLog> ack_log;
  if (!command.ack_log.empty()) {
    STELE_TRY(ack_log, session.shard().RunUntil(AckLog::Open(session.env(), command.ack_log)));
  }
  STELE_TRY(WriteHandle writer, OpenWriter(session, client, command));
  if (!command.id_file.empty()) {
    STELE_TRY_OK(session.shard().RunUntil(
        ReplaceTextFile(session.env().files, command.id_file, StrCat(writer.id().value(), "\n"))));
  }
  if (command.create.has_value() && command.common.format == Format::kTable) {
    std::printf("ledger %lld\n", static_cast<long long>(writer.id().value()));
    std::fflush(stdout);
  }
  Appender appender(&session, command, options.frame_size_max_bytes - kFrameOverheadBytes,
                    std::move(writer), std::move(ack_log));
  const real::StopSignals signals(&session.shard(), [&](int) { appender.StopInput(); });
  const absl::Status appended = session.shard().RunUntil(appender.Run());
  PrintRecord(appender.Summary(), command.common.format);
  return appended;
}

}  // namespace

ExitCode RunLedgerAppend(const LedgerAppendCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Append(session, command); });
}

}  // namespace stele::shell
