// Roles: what the applications of a tormented cluster do. Each runs on a thread of its own, on the
// public client, and writes all that it asks and hears into the history.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "client/client.h"
#include "common/base/digest_type.h"
#include "common/quorum/write_set.h"
#include "integration_tests/rig/history_file.h"

namespace stele::rig {

inline constexpr char kPassword[] = "rig";

struct RoleOptions {
  quorum::Replication replication;
  DigestType digest = DigestType::kCrc32c;
  int entries_max = 400;  // of one ledger
  int window_max = 32;    // appends under way at once
  size_t payload_max_bytes = 4096;
  absl::Duration pause = absl::ZeroDuration();  // between two appends, so that load stays light
};

// What the supervisor tells: ledgers to look at, and when to end.
class Orders {
 public:
  void Add(LedgerId ledger);
  void Quit();
  bool is_quitting() const { return quitting_; }
  // A ledger that was named, chosen at random among the last ones; invalid when told to quit.
  LedgerId Pick(std::mt19937_64& random);
  // Each ledger once, in order; invalid when told to quit and nothing is left.
  LedgerId Next();
  // Returns early when told to quit.
  void Sleep(absl::Duration time);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<LedgerId> ledgers_;
  size_t next_ = 0;
  std::atomic<bool> quitting_ = false;
};

struct RoleContext {
  client::Client* client = nullptr;
  HistoryFile* history = nullptr;
  Orders* orders = nullptr;
  RoleOptions options;
  std::mt19937_64 random;
};

// Ledger after ledger: appends with many under way, then closes it, leaves it, or is fenced. Prints
// "ledger ID" for each.
void RunWriter(RoleContext context);
// The same under ids of its own choice: permuted, with duplicates.
void RunCallerIdWriter(RoleContext context);
// The same with deferred sync and a Force now and then.
void RunDeferredWriter(RoleContext context);
// Follows one ledger after the other as it grows.
void RunTailer(RoleContext context);
// Reads ranges of ledgers, again and again.
void RunCatchUpReader(RoleContext context);
// Deletes a ledger now and then, whatever others do with it.
void RunDeleter(RoleContext context);
// Opens with recovery what it is told to, once each, and reads it from begin to end. Prints
// "recovered ID LAST", "gone ID" (it was deleted) or "failed ID CODE TEXT".
void RunRecoverer(RoleContext context);

}  // namespace stele::rig
