#include "tools/bench/read_load.h"

#include <algorithm>
#include <utility>

namespace stele::bench {

ReadLoad::ReadLoad(Env env, client::ReadHandle* reader, ReadLoadOptions options)
    : env_(env),
      reader_(reader),
      options_(options),
      last_(reader->last_add_confirmed()),
      slots_(static_cast<size_t>(options.in_flight)),
      changed_(env.executor) {}

Task<absl::StatusOr<Window>> ReadLoad::Run(MonotonicTime end) {
  end_ = end;
  const MonotonicTime began = env_.clock->Now();
  for (Slot& slot : slots_) {
    slot.load = this;
    if (NextRange(&slot)) Begin(&slot);
  }
  while (under_way_ > 0) co_await changed_.Wait();
  window_.nanoseconds = (env_.clock->Now() - began) / absl::Nanoseconds(1);
  if (!failure_.ok()) co_return failure_;
  co_return std::move(window_);
}

bool ReadLoad::NextRange(Slot* slot) {
  if (next_ > last_ || !failure_.ok() || env_.clock->Now() >= end_) return false;
  slot->first = next_;
  slot->last = EntryId(std::min(last_.value(), next_.value() + options_.entries_per_request - 1));
  next_ = slot->last.Next();
  return true;
}

void ReadLoad::Begin(Slot* slot) {
  slot->begun = env_.clock->Now();
  ++under_way_;
  const auto done = [slot](const absl::StatusOr<std::vector<client::Entry>>& entries) {
    slot->load->OnRead(slot, entries);
  };
  if (options_.batch) {
    reader_->ReadBatch(slot->first, static_cast<int32_t>(Distance(slot->first, slot->last)), 0,
                       done);
  } else {
    reader_->Read(slot->first, slot->last, done);
  }
}

void ReadLoad::OnRead(Slot* slot, const absl::StatusOr<std::vector<client::Entry>>& entries) {
  --under_way_;
  window_.latency_nanoseconds.Record((env_.clock->Now() - slot->begun) / absl::Nanoseconds(1));
  if (!entries.ok()) {
    if (failure_.ok()) failure_ = entries.status();
  } else {
    window_.operations += std::ssize(*entries);
    for (const client::Entry& entry : *entries) {
      window_.bytes += static_cast<int64_t>(entry.payload.size());
    }
    // A batch may give fewer than asked for, though never none.
    slot->first = EntryId(slot->first.value() + std::ssize(*entries));
    if (slot->first <= slot->last || NextRange(slot)) Begin(slot);
  }
  if (under_way_ == 0) changed_.NotifyAll();
}

}  // namespace stele::bench
