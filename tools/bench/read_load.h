// ReadLoad: one sequential pass over a ledger, with a number of requests in flight.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "common/async/notification.h"
#include "common/seams/env.h"
#include "tools/bench/window.h"

namespace stele::bench {

struct ReadLoadOptions {
  int64_t entries_per_request = 100;
  int64_t in_flight = 8;
  // One batch request to one bookie instead of a request for each entry.
  bool batch = false;
};

class ReadLoad {
 public:
  // `reader` and what `env` points to outlive it.
  ReadLoad(Env env, client::ReadHandle* reader, ReadLoadOptions options);
  ReadLoad(const ReadLoad&) = delete;
  ReadLoad& operator=(const ReadLoad&) = delete;

  // Reads all entries, or begins no request after `end`. Await once.
  Task<absl::StatusOr<Window>> Run(MonotonicTime end);

 private:
  struct Slot {
    ReadLoad* load;
    EntryId first;
    EntryId last;
    MonotonicTime begun;
  };

  // Gives the slot the next entries to read; false at the end.
  bool NextRange(Slot* slot);
  void Begin(Slot* slot);
  void OnRead(Slot* slot, const absl::StatusOr<std::vector<client::Entry>>& entries);

  const Env env_;
  client::ReadHandle* const reader_;
  const ReadLoadOptions options_;
  const EntryId last_;
  EntryId next_{0};
  MonotonicTime end_;
  std::vector<Slot> slots_;
  int64_t under_way_ = 0;
  absl::Status failure_;
  Window window_;
  Notification changed_;
};

}  // namespace stele::bench
