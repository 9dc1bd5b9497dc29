// Limbo: what becomes of the ledgers of a bookie that has lost data and cannot say which
// (data_age.h). Each ledger of which metadata says that this bookie is a member is uncertain from
// then on: what is found is served, what is not found is answered as unknown, never as "no such
// entry", so that no recovery takes it for the end of a ledger. Where a fence may have been lost
// the ledger is fenced. Ledgers that are made later are as ever.
//
// A ledger leaves limbo when it is whole (Scrubber::Heal): what it lacks comes from peers. One of
// which the index was lost is looked for in the entry logs before. One that is open, with this
// bookie in its last ensemble, stays until its writer or a recovery closes it.
// Nothing is removed before the last one has left: metadata is not all that counts then.
//
// The cluster is told (metadata/autorecovery_records.h), so that operators see it.
// On disk: the ledgers' own state bits, and a file in each ledger directory for as long as there
// is any such ledger. A restart goes on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "bookie/data_age.h"
#include "bookie/scrubber.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/notification.h"
#include "common/async/permits.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/observe/log.h"
#include "common/seams/env.h"
#include "common/wire/bookie_messages.h"
#include "metadata/autorecovery_records.h"
#include "metadata/ledger_manager.h"
#include "metadata/ledger_metadata.h"
#include "metadata/metadata_store.h"

namespace stele::bookie {

// In the `current` directories of the ledgers: milliseconds since 1970.
inline constexpr char kLimboFileName[] = "limbo";

struct LimboStatus {
  // That are in limbo. After a restart all that there are, until it is known which.
  int64_t ledgers = 0;
  std::optional<absl::Time> since;  // nothing: there is none
  int64_t data_age = 0;             // that the metadata store knows
  bool is_store_set_back = false;   // as far as was seen
};

// What a bookie that has lost something cannot know about a ledger with this metadata. Pure.
enum class Doubt {
  kNone,             // it is no member
  kEntries,          // of earlier fragments; no fence of it counts
  kEntriesAndFence,  // it may have had the last entries, and a fence
};
Doubt DoubtAbout(const metadata::LedgerMetadata& metadata, const BookieId& self);

// What these point to outlives it.
struct LimboParts {
  Env env;
  LedgerStorage* storage;
  metadata::LedgerManager* ledgers;
  metadata::AutorecoveryRecords* records;  // where the cluster is told
  observe::Log* log;
  std::vector<std::string> ledger_directories;  // `current` directories
};

class Limbo {
 public:
  Limbo(LimboParts parts, DataAge age, BookieId self);

  // Before the replay of the journals: were data lost? Errors: of the metadata store.
  Task<absl::StatusOr<bool>> LookForLosses();
  // After that and the replay, before anything is served. Where data were lost it asks metadata for
  // all ledgers and marks those in doubt; else it goes on with those that are left from before.
  // Then it raises the age, and would not see the loss again.
  //   errors   of the metadata store and of the disks. A disk that is too full is none: what is
  //            marked is marked in memory, and the next start looks again
  Task<absl::Status> Open();

  // Raises the age every so often, and heals what is in limbo, until there is nothing left.
  // `scrubber` outlives it.
  void Start(Scrubber* scrubber);
  // Ends that; after Scrubber::Stop(). Await before destroying it while the storage lives on.
  Task<void> Stop();

  // Whether what metadata does not know may be removed. kUnknownLedgerState: not while ledgers are
  // in limbo. kCookieMismatch: not while the metadata store knows less than it did. Errors of the
  // store.
  Task<absl::Status> MayRemove();

  LimboStatus status() const;

 private:
  Task<absl::Status> Enter();
  Task<void> Resume();
  Task<void> ListLedgers();
  void OnStoreSeen(const absl::Status& checked);
  Task<void> MakeDurable();
  Task<void> RaiseAge();
  Task<void> RaiseAgeNowAndThen();
  Task<absl::Status> MarkAll();
  Task<absl::Status> LookAt(LedgerId ledger);
  Task<absl::Status> Mark(LedgerId ledger, Doubt doubt, std::optional<wire::MasterKey> key);
  Task<absl::Status> WriteFiles();
  Task<void> HealNowAndThen();
  Task<void> AnnounceNowAndThen();
  Task<absl::Status> Announce();
  Task<void> HealStrays();
  Task<void> HealAll();
  Task<void> HealOne(LedgerId ledger);
  Task<absl::Status> Leave();

  LimboParts parts_;
  DataAge age_;
  const BookieId self_;
  Scrubber* scrubber_ = nullptr;
  bool has_lost_data_ = false;
  std::set<LedgerId> ledgers_;
  // Of these, the open ones of which nothing is missing that must be there, as of this metadata.
  std::map<LedgerId, metadata::Version> open_;
  bool is_listed_ = true;  // ledgers_ has them all
  std::optional<absl::Time> since_;
  bool is_durable_ = true;  // what is marked survives a crash
  bool is_store_set_back_ = false;
  bool stopping_ = false;
  bool is_healing_ = false;
  Notification idle_;
  Permits
      marking_;  // one at a time changes what says that there is limbo, on disk and in the store
  TaskScope scope_;
};

}  // namespace stele::bookie
