// PeerCopies: single entries from the other bookies that have copies of them, for a bookie that
// found its own damaged.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/client_options.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

// Belongs to one shard. Until the first Fetch it asks for nothing and follows nothing.
class PeerCopies {
 public:
  // What `env` points to, and `store`, outlive it.
  //   self     is never asked
  PeerCopies(Env env, metadata::MetadataStore* store, metadata::Cluster cluster, BookieId self,
             client::ClientOptions options);
  ~PeerCopies();

  // The entry packet as a bookie stores it, with a digest that is right. Waits read_timeout for
  // each bookie that does not answer, and for nothing else. One call at a time.
  //   errors   kNoSuchLedgerMetadata
  //            kUnsupported   metadata has no password: nothing could be verified
  //            kReadFailed    no other bookie gives a good copy now; says what each answered
  //            kStopped, those of the store
  Task<absl::StatusOr<Buffer>> Fetch(LedgerId ledger, EntryId entry);

  // Ends the Fetch that runs. Await before destroying.
  Task<void> Stop();

 private:
  class Parts;

  std::unique_ptr<Parts> parts_;
};

}  // namespace stele::autorecovery
