// Builders of create and open. Each setter gives the builder back; the last call does it.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/read_handle.h"
#include "client/write_handle.h"
#include "common/async/launch.h"
#include "common/async/task.h"
#include "common/base/digest_type.h"
#include "common/base/ids.h"
#include "common/quorum/write_set.h"

namespace stele::client {

class ClientEdge;
struct CreateSpec;
struct OpenSpec;

// Threads: as WriteHandle. A builder is used for one ledger.
class CreateLedgerBuilder {
 public:
  explicit CreateLedgerBuilder(std::shared_ptr<ClientEdge> edge);
  CreateLedgerBuilder(CreateLedgerBuilder&&) noexcept;
  ~CreateLedgerBuilder();

  // {3, 2, 2} if not called, as Apache BookKeeper.
  CreateLedgerBuilder& Replication(quorum::Replication replication);
  // Empty if not called.
  CreateLedgerBuilder& Password(std::string password);
  // CRC32 if not called, as Apache BookKeeper. CRC32C is faster.
  CreateLedgerBuilder& Digest(DigestType type);
  CreateLedgerBuilder& CustomMetadata(std::map<std::string, std::string> metadata);
  // 0 or more; generated if not called. Never the id of a ledger that was deleted.
  CreateLedgerBuilder& Id(LedgerId id);
  // The handle's entries are appended with AppendAt.
  CreateLedgerBuilder& CallerAssignsEntryIds();
  // Appends are acknowledged before they are durable; WriteHandle::Force makes them so. A bookie
  // that fails ends the handle.
  CreateLedgerBuilder& DeferredSync();

  //   errors   kInvalidArgument      not applied
  //            kNotEnoughBookies     not applied: too few are writable
  //            kLedgerExists         not applied: the id is taken
  //            kMetadataUnavailable  unknown: an empty ledger may be left
  Task<absl::StatusOr<WriteHandle>> Create();
  std::future<absl::StatusOr<WriteHandle>> Create(UseFuture);
  void Create(Callback<WriteHandle> done);

 private:
  std::shared_ptr<ClientEdge> edge_;
  std::unique_ptr<CreateSpec> spec_;
};

class OpenLedgerBuilder {
 public:
  OpenLedgerBuilder(std::shared_ptr<ClientEdge> edge, LedgerId id);
  OpenLedgerBuilder(OpenLedgerBuilder&&) noexcept;
  ~OpenLedgerBuilder();

  OpenLedgerBuilder& Password(std::string password);
  // Takes an open ledger over: fences its writer, finds its end, and closes it. Without, the ledger
  // is read as it grows, and nothing is changed.
  OpenLedgerBuilder& Recover();

  //   errors   kNoSuchLedgerMetadata   there is no such ledger
  //            kUnauthorized           the password is wrong
  //            kRecoveryFailed, kDeadline   the end cannot be found now; the ledger stays in
  //                                    recovery, and opening it again goes on
  //            kReadFailed, kConnectionLost, ...   without recovery: too few bookies answer
  //            kMetadataUnavailable
  Task<absl::StatusOr<ReadHandle>> Open();
  std::future<absl::StatusOr<ReadHandle>> Open(UseFuture);
  void Open(Callback<ReadHandle> done);

  // Becomes the one writer of a ledger that was created with kUnclaimedMark and never written:
  // takes the mark away, so that nobody else can.
  //   errors   kMetadataConflict     not applied: the ledger has or had a writer, or somebody
  //                                  recovers it
  //            kNoSuchLedgerMetadata, kUnauthorized   not applied
  //            kMetadataUnavailable  EffectOf() tells; unknown: the ledger may be left claimed,
  //                                  with
  //                                  nobody to write it
  Task<absl::StatusOr<WriteHandle>> Claim();
  std::future<absl::StatusOr<WriteHandle>> Claim(UseFuture);
  void Claim(Callback<WriteHandle> done);

 private:
  std::shared_ptr<ClientEdge> edge_;
  std::unique_ptr<OpenSpec> spec_;
};

}  // namespace stele::client
