// LedgerManager: the ledgers of a cluster as stored values: created once, read, changed by
// compare-and-swap, deleted, listed, watched. It keeps nothing in memory: a read is a read of the
// store.
//
// Errors of every operation, besides those named:
//   kMetadataUnavailable, kStopped, kOverloaded, kUnauthorized  as the store gives them, with its
//                       effect
//   kInvalidArgument, kUnsupported  the layout has no path for this id; not applied
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/backoff.h"
#include "metadata/ledger_id_generator.h"
#include "metadata/ledger_layout.h"
#include "metadata/ledger_lister.h"
#include "metadata/ledger_metadata.h"
#include "metadata/ledger_watch.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

struct CreatedLedger {
  LedgerId id;
  Versioned<LedgerMetadata> metadata;
};

// Belongs to one shard. Its tasks do not outlive it.
class LedgerManager {
 public:
  // `env` (executor, clock, random) and `store` must outlive it.
  LedgerManager(Env env, MetadataStore* store, LedgerLayout layout);

  // Stores a new ledger, durably, under a generated id. In MetadataFormat::kBinary a creator token
  // tells our own node from another's, so an answer that was lost is asked for again until
  // retry.give_up_at. In older formats the id of a lost answer is given up; its node stays.
  //   kInvalidArgument      `metadata` cannot be stored; not applied
  //   kMetadataUnavailable  given up; unknown: a ledger that nobody uses may be left
  Task<absl::StatusOr<CreatedLedger>> Create(LedgerMetadata metadata, RetryOptions retry = {});

  // The same under the id that the caller chose.
  //   kLedgerExists         the id is taken; with Effect::kUnknown (older formats only), perhaps
  //                         by ourselves
  Task<absl::StatusOr<CreatedLedger>> CreateWithId(LedgerId ledger, LedgerMetadata metadata,
                                                   RetryOptions retry = {});

  // kNoSuchLedgerMetadata; kCorruptData: it is there and cannot be understood.
  Task<absl::StatusOr<Versioned<LedgerMetadata>>> Read(LedgerId ledger);

  // Replaces the metadata if its version is `expected`; one attempt. cas_loop.h is what most
  // callers want.
  //   kMetadataConflict     it has another version; not applied
  //   kNoSuchLedgerMetadata, kInvalidArgument (it cannot be stored); not applied
  Task<absl::StatusOr<Version>> Update(LedgerId ledger, LedgerMetadata metadata, Version expected);

  // Deletes the metadata; ok when there is none. The bookies delete the entries later.
  //   expected   the version, or kAnyVersion
  //   kMetadataConflict     it has another version; not applied
  Task<absl::Status> Delete(LedgerId ledger, Version expected);

  // All ledgers, in ascending order, in pieces.
  LedgerLister List() { return LedgerLister(store_, layout_); }

  // Follows the metadata of one ledger. The manager must outlive the watch.
  absl::StatusOr<std::unique_ptr<LedgerWatch>> Watch(LedgerId ledger);

  const LedgerLayout& layout() const { return layout_; }
  const Env& env() const { return env_; }

 private:
  // kLedgerExists when the id belongs to somebody else.
  Task<absl::StatusOr<CreatedLedger>> CreateAt(LedgerId ledger, LedgerMetadata metadata,
                                               std::string bytes, RetryOptions retry);
  Task<void> DeleteEmptyParents(std::string path);
  bool MayRetry(const absl::Status& status, const RetryOptions& retry) const;
  LedgerMetadata WithNewToken(LedgerMetadata metadata) const;

  Env env_;
  MetadataStore* store_;
  LedgerLayout layout_;
  LedgerIdGenerator ids_;
};

// Reads what is stored at a ledger's path; what LedgerManager::Read() gives.
Task<absl::StatusOr<Versioned<LedgerMetadata>>> ReadLedgerMetadata(MetadataStore* store,
                                                                   LedgerId ledger,
                                                                   std::string path);

}  // namespace stele::metadata
