// WriteLoad: appends to a number of ledgers from one shard, in a closed loop (each acknowledgement
// sends the next append) or an open one (appends are due at a fixed rate, whatever comes back).
//
// The generator is part of what is measured, so it is cheap: plain callbacks, one payload that all
// appends share, nothing allocated per append.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "common/async/notification.h"
#include "common/base/digest_type.h"
#include "common/quorum/write_set.h"
#include "common/seams/env.h"
#include "tools/bench/load.h"

namespace stele::bench {

struct WriteLoadOptions {
  int64_t ledgers = 1;
  int64_t outstanding = 1000;  // appends under way, of all ledgers together; at most, with a rate
  int64_t entry_size_bytes = 1024;
  quorum::Replication replication{3, 3, 2};
  DigestType digest_type = DigestType::kCrc32c;
  std::string password;
  int64_t rate_per_second = 0;  // 0: closed loop
  // Told of each append as it is handed to the client, in that order; may be null.
  std::function<void(MonotonicTime due)> on_begin;
};

class WriteLoad final : public Load {
 public:
  // `client` and what `env` points to outlive it.
  WriteLoad(Env env, client::Client* client, WriteLoadOptions options);
  WriteLoad(const WriteLoad&) = delete;
  WriteLoad& operator=(const WriteLoad&) = delete;

  // Creates the ledgers and begins to append.
  Task<absl::Status> Start() override;
  void BeginWindow() override;
  Window EndWindow() override;
  // Of an append. That ledger gets no more appends.
  const absl::Status& failure() const override { return failure_; }
  // Closes the ledgers too.
  Task<absl::Status> Stop() override;

  std::vector<LedgerId> ledgers() const;

 private:
  // One append at a time.
  struct Slot {
    WriteLoad* load;
    client::WriteHandle* writer;
    MonotonicTime begun;  // or due
  };

  void Begin(Slot* slot, MonotonicTime begun);
  void OnAppended(Slot* slot, const absl::StatusOr<EntryId>& entry);
  // Begins what is due, and comes back when the next is.
  void BeginDue();

  const Env env_;
  client::Client* const client_;
  const WriteLoadOptions options_;
  Buffer payload_;
  std::vector<client::WriteHandle> writers_;
  std::vector<Slot> slots_;
  std::deque<Slot*> free_;  // open loop
  MonotonicTime started_;
  int64_t due_count_ = 0;  // how many appends were begun in the open loop
  std::unique_ptr<Timer> timer_;
  int64_t under_way_ = 0;
  bool stopping_ = false;
  absl::Status failure_;
  Window window_;
  MonotonicTime window_began_;
  Notification changed_;
};

// `size` bytes that do not compress.
Buffer Noise(Random* random, int64_t size);

}  // namespace stele::bench
