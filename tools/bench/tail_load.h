// TailLoad: one ledger that is appended to at a rate, and a reader that follows it. Counts the
// entries that arrive at the reader, from the time at which each append was due, and from its call.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "common/async/task_scope.h"
#include "common/seams/env.h"
#include "tools/bench/load.h"
#include "tools/bench/write_load.h"

namespace stele::bench {

class TailLoad final : public Load {
 public:
  // Two clients, as in life. They and what `env` points to outlive it. `ledgers` of the options: 1.
  TailLoad(Env env, client::Client* writing, client::Client* reading, WriteLoadOptions options);
  TailLoad(const TailLoad&) = delete;
  TailLoad& operator=(const TailLoad&) = delete;

  Task<absl::Status> Start() override;
  void BeginWindow() override;
  Window EndWindow() override;
  // Of an append or of the reader.
  const absl::Status& failure() const override;
  // The reader follows to the end of the ledger.
  Task<absl::Status> Stop() override;

  std::vector<LedgerId> ledgers() const { return write_.ledgers(); }

 private:
  struct Sent {
    MonotonicTime due;
    MonotonicTime submitted;
  };

  Task<void> Follow(client::TailStream entries);
  void OnEntry();

  const Env env_;
  client::Client* const reading_;
  const WriteLoadOptions options_;
  std::deque<Sent> unseen_;  // the entries that the reader is yet to see, in order
  WriteLoad write_;
  std::optional<client::ReadHandle> reader_;
  absl::Status failure_;  // of the reader
  Window window_;
  MonotonicTime window_began_;
  TaskScope tasks_;
};

}  // namespace stele::bench
