#include "tools/bench/write_load.h"

#include <algorithm>
#include <utility>

#include "common/base/try.h"

namespace stele::bench {
namespace {

// Appends that are due within this time begin together: a timer for each would cost more than the
// append. The latency is counted from the time due all the same.
constexpr absl::Duration kTick = absl::Microseconds(100);

}  // namespace

Buffer Noise(Random* random, int64_t size) {
  MutableBuffer bytes(static_cast<size_t>(size));
  for (size_t i = 0; i < bytes.size(); ++i) bytes.data()[i] = static_cast<char>(random->Below(256));
  return std::move(bytes).Freeze();
}

WriteLoad::WriteLoad(Env env, client::Client* client, WriteLoadOptions options)
    : env_(env),
      client_(client),
      options_(std::move(options)),
      payload_(Noise(env.random, options_.entry_size_bytes)),
      changed_(env.executor) {}

Task<absl::Status> WriteLoad::Start() {
  for (int64_t i = 0; i < options_.ledgers; ++i) {
    STELE_CO_TRY(client::WriteHandle writer, co_await client_->CreateLedger()
                                                 .Replication(options_.replication)
                                                 .Digest(options_.digest_type)
                                                 .Password(options_.password)
                                                 .Create());
    writers_.push_back(std::move(writer));
  }
  for (int64_t i = 0; i < options_.outstanding; ++i) {
    slots_.push_back({.load = this, .writer = &writers_[static_cast<size_t>(i) % writers_.size()]});
  }
  started_ = env_.clock->Now();
  if (options_.rate_per_second == 0) {
    for (Slot& slot : slots_) Begin(&slot, started_);
  } else {
    for (Slot& slot : slots_) free_.push_back(&slot);
    BeginDue();
  }
  co_return absl::OkStatus();
}

void WriteLoad::Begin(Slot* slot, MonotonicTime begun) {
  slot->begun = begun;
  ++under_way_;
  if (options_.on_begin) options_.on_begin(begun);
  slot->writer->Append(payload_, [slot](const absl::StatusOr<EntryId>& entry) {
    slot->load->OnAppended(slot, entry);
  });
}

void WriteLoad::OnAppended(Slot* slot, const absl::StatusOr<EntryId>& entry) {
  --under_way_;
  const MonotonicTime now = env_.clock->Now();
  if (entry.ok()) {
    ++window_.operations;
    window_.latency_nanoseconds.Record((now - slot->begun) / absl::Nanoseconds(1));
  } else {
    ++window_.failed;
    if (failure_.ok()) failure_ = entry.status();
  }
  if (stopping_) {
    if (under_way_ == 0) changed_.NotifyAll();
  } else if (!entry.ok()) {
    // The slot stays out: its ledger takes no more appends.
  } else if (options_.rate_per_second == 0) {
    Begin(slot, now);
  } else {
    free_.push_back(slot);
    BeginDue();
  }
}

void WriteLoad::BeginDue() {
  const MonotonicTime now = env_.clock->Now();
  for (;;) {
    // Acknowledgements wake us when there is no free slot.
    if (stopping_ || free_.empty()) return timer_.reset();
    const MonotonicTime due = started_ + due_count_ * absl::Seconds(1) / options_.rate_per_second;
    if (due > now) {
      timer_ = env_.clock->CallAt(std::max(due, now + kTick), [this] { BeginDue(); });
      return;
    }
    ++due_count_;
    Slot* const slot = free_.front();
    free_.pop_front();
    Begin(slot, due);
  }
}

void WriteLoad::BeginWindow() {
  window_ = Window();
  window_began_ = env_.clock->Now();
}

Window WriteLoad::EndWindow() {
  window_.nanoseconds = (env_.clock->Now() - window_began_) / absl::Nanoseconds(1);
  window_.bytes = window_.operations * options_.entry_size_bytes;
  return std::exchange(window_, Window());
}

Task<absl::Status> WriteLoad::Stop() {
  stopping_ = true;
  timer_.reset();
  while (under_way_ > 0) co_await changed_.Wait();
  absl::Status first_error = failure_;
  for (client::WriteHandle& writer : writers_) {
    absl::Status closed = co_await writer.Close();
    if (first_error.ok()) first_error = std::move(closed);
  }
  co_return first_error;
}

std::vector<LedgerId> WriteLoad::ledgers() const {
  std::vector<LedgerId> ids;
  for (const client::WriteHandle& writer : writers_) ids.push_back(writer.id());
  return ids;
}

}  // namespace stele::bench
