#include "bookie/checkpointer.h"

#include <algorithm>
#include <utility>

namespace stele::bookie {
namespace {

// After a failure, however long the interval is: adds may wait for the room that a flush makes.
constexpr absl::Duration kRetryPauseMax = absl::Seconds(2);

}  // namespace

Checkpointer::Checkpointer(Env env, absl::Duration interval, LedgerStorage* storage,
                           std::vector<MarkedLog> logs,
                           absl::AnyInvocable<void(absl::Status)> on_failed)
    : env_(env),
      interval_(interval),
      storage_(storage),
      logs_(std::move(logs)),
      on_failed_(std::move(on_failed)),
      written_(logs_.size()),
      wake_(env.executor),
      idle_(env.executor),
      scope_(env.executor) {}

void Checkpointer::Start() { scope_.Spawn(Loop()); }

Task<void> Checkpointer::Loop() {
  for (;;) {
    if (!wanted_) {
      Completion<bool> woken = wake_.Wait();
      const std::unique_ptr<Timer> timer =
          env_.clock->CallAt(env_.clock->Now() + interval_, [this] { wake_.NotifyAll(); });
      co_await woken;
    }
    wanted_ = false;
    const absl::Status done = co_await Run(Trim::kYes);
    if (done.ok()) continue;
    on_failed_(done);
    co_await SleepFor(env_.executor, env_.clock, std::min(interval_, kRetryPauseMax));
    wanted_ = true;
  }
}

Completion<absl::Status> Checkpointer::Request() {
  Completion<absl::Status> done(env_.executor);
  requests_.push_back(done.GetCompleter());
  Wake();
  return done;
}

Task<absl::Status> Checkpointer::Run(Trim trim) {
  while (running_) co_await idle_.Wait();
  running_ = true;
  std::vector<Completer<absl::Status>> requests = std::move(requests_);
  requests_.clear();
  // Everything before these marks is in storage already: storage comes first in every change.
  std::vector<JournalMark> marks;
  for (const MarkedLog& marked : logs_) marks.push_back(marked.log->journal()->DurableMark());
  absl::Status status = absl::OkStatus();
  if (marks != written_) {
    const MonotonicTime begun = env_.clock->Now();
    status = co_await storage_->Flush();
    flushes_.Record(status.ok(), begun, env_.clock->Now());
    for (size_t i = 0; status.ok() && i < logs_.size(); ++i) {
      status = co_await logs_[i].mark->Write(marks[i]);
      if (status.ok() && trim == Trim::kYes)
        status = co_await logs_[i].log->journal()->Trim(marks[i]);
    }
    if (status.ok()) written_ = marks;
  }
  running_ = false;
  idle_.NotifyAll();
  for (Completer<absl::Status>& request : requests) request.Set(status);
  co_return status;
}

}  // namespace stele::bookie
