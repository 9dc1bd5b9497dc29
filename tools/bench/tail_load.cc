#include "tools/bench/tail_load.h"

#include <functional>
#include <utility>

#include "common/base/try.h"

namespace stele::bench {
namespace {

WriteLoadOptions WithObserver(WriteLoadOptions options,
                              std::function<void(MonotonicTime)> on_begin) {
  options.on_begin = std::move(on_begin);
  return options;
}

}  // namespace

TailLoad::TailLoad(Env env, client::Client* writing, client::Client* reading,
                   WriteLoadOptions options)
    : env_(env),
      reading_(reading),
      options_(std::move(options)),
      write_(env, writing,
             WithObserver(options_,
                          [this](MonotonicTime due) {
                            unseen_.push_back({.due = due, .submitted = env_.clock->Now()});
                          })),
      tasks_(env.executor) {}

Task<absl::Status> TailLoad::Start() {
  STELE_CO_TRY_OK(co_await write_.Start());
  absl::StatusOr<client::ReadHandle> reader =
      co_await reading_->OpenLedger(write_.ledgers().front()).Password(options_.password).Open();
  if (!reader.ok()) failure_ = reader.status();
  if (!reader.ok()) co_return co_await Stop();
  reader_ = *std::move(reader);
  tasks_.Spawn(Follow(reader_->Tail(EntryId(0))));
  co_return absl::OkStatus();
}

Task<void> TailLoad::Follow(client::TailStream entries) {
  for (;;) {
    const absl::StatusOr<std::optional<client::Entry>> entry = co_await entries.Next();
    if (!entry.ok()) {
      ++window_.failed;
      failure_ = entry.status();
      co_return;
    }
    if (!entry->has_value()) co_return;
    OnEntry();
  }
}

void TailLoad::OnEntry() {
  const MonotonicTime now = env_.clock->Now();
  const Sent sent = unseen_.front();
  unseen_.pop_front();
  ++window_.operations;
  window_.latency_nanoseconds.Record((now - sent.due) / absl::Nanoseconds(1));
  window_.since_call_nanoseconds.Record((now - sent.submitted) / absl::Nanoseconds(1));
}

void TailLoad::BeginWindow() {
  window_ = Window();
  window_began_ = env_.clock->Now();
}

Window TailLoad::EndWindow() {
  window_.nanoseconds = (env_.clock->Now() - window_began_) / absl::Nanoseconds(1);
  window_.bytes = window_.operations * options_.entry_size_bytes;
  return std::exchange(window_, Window());
}

const absl::Status& TailLoad::failure() const {
  return failure_.ok() ? write_.failure() : failure_;
}

Task<absl::Status> TailLoad::Stop() {
  absl::Status stopped = co_await write_.Stop();
  co_await tasks_.Join();
  co_return failure_.ok() ? std::move(stopped) : failure_;
}

}  // namespace stele::bench
