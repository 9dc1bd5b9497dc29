// JavaBookie: stands between a simulated bookie and its peers, on raw frames, and makes the bookie
// behave as one of Apache's where that is worse than Stele's own:
//
//   early fence   a fencing read that finds nothing is answered when the fence is in memory, while
//                 its record waits for a slow journal. If the process ends before that, the fence
//                 is forgotten, although somebody counts on it.
//   stray frames  a reply comes twice, at once or much later; replies to transactions, entries and
//                 batches that nobody asked for; with headers of old versions and unknown codes.
//
// A repeated v2 reply of a read that failed is not among them: it would be as good an answer to the
// next read of the entry, no client could tell, and no bookie sends it.
// Source: docs/PROTOCOL.md; Apache's bookie answers so in ReadEntryProcessor.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/seams/env.h"
#include "common/seams/transport.h"
#include "simulation/sim_random.h"

namespace stele::simulation {

// What it tells those who watch; called by jobs of the bookie's process.
struct JavaBookieEvents {
  // A fence was answered that is not durable yet.
  std::function<void(LedgerId)> on_early_fence;
  // Such a fence may be lost: its process has ended. Called when the next one begins.
  std::function<void(LedgerId)> on_lost_fence;
  // What is sent next nobody has asked for.
  std::function<void()> before_stray;
};

// One bookie, over all lives of its process.
class JavaBookie {
 public:
  struct Options {
    // Hosts whose names begin so are sent no stray frames: they speak to bookies without a client.
    std::vector<std::string> spared;
    // Between a fence in memory and the write of its record.
    absl::Duration journal_delay_max = absl::Seconds(3);
  };
  JavaBookie(SimRandom random, Options options, JavaBookieEvents events)
      : random_(std::move(random)), options_(std::move(options)), events_(std::move(events)) {}

  // The transport of a new life of the process: for the bookie, in place of env.transport.
  std::unique_ptr<Transport> NewLife(Env env);

 private:
  friend class JavaTransport;
  friend class JavaConnection;

  SimRandom random_;
  const Options options_;
  const JavaBookieEvents events_;
  std::set<LedgerId> early_;  // fences that were answered and are not durable
};

}  // namespace stele::simulation
