// Scrubber: reads what this bookie stores, entry by entry, at a bounded rate, before somebody needs
// it. An entry that cannot be read, is another one, or fails its digest is damage: from then on it
// is answered as damage, never as "no such entry", and a copy from a peer replaces it. What only
// the journals hold comes first (journal_scrubber.h).
//
// It also ends uncertainty. A ledger of which a part of the index was lost gets back what the entry
// logs have; then each entry that this bookie must have, by the ledger's metadata, is looked for,
// and fetched from a peer when it is not there. Once nothing is missing the ledger's negative
// answers count again; not while it is open and its last fragment has this bookie.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bookie/byte_rate.h"
#include "bookie/entry_source.h"
#include "bookie/expected_entries.h"
#include "bookie/journal_scrubber.h"
#include "bookie/scrub_options.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/observe/log.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"
#include "common/wire/digest.h"
#include "metadata/ledger_manager.h"

namespace stele::bookie {

struct ScrubStats {
  int64_t passes = 0;
  int64_t entries = 0;
  uint64_t bytes = 0;
  int64_t damaged = 0;            // found so far, also in journals
  int64_t repaired = 0;           // of these: replaced by a peer's copy, written, read again
  int64_t journal_damaged = 0;    // times that a journal was
  int64_t locations_found = 0;    // in entry logs, for index files that had lost them
  int64_t ledgers_proven = 0;     // uncertain ones that are certain again
  int64_t ledgers_uncertain = 0;  // in the last pass
};

// What these point to and use outlives the scrubber.
struct ScrubParts {
  Env env;
  LedgerStorage* storage;
  JournalScrubber* journals;
  metadata::LedgerManager* ledgers;
  EntrySource source;  // empty: damage is found and told, and not repaired
  observe::Log* log;
};

// What is known of a ledger of which something was lost.
enum class LedgerProof {
  kWhole,    // what is not found in it was never there; or it is gone
  kOpen,     // what must be there is; the rest shows when the ledger is closed
  kLacking,  // something is missing
};

// What an entry that could not be read counts for.
inline constexpr uint64_t kReadCostBytes = 4096;
// Repaired entries that are flushed and read back together.
inline constexpr size_t kReadBackAtATimeMax = 1000;

class Scrubber final : private BackgroundPace {
 public:
  // on_too_much: damage_max was reached in one pass.
  Scrubber(ScrubParts parts, BookieId self, ScrubOptions options,
           absl::AnyInvocable<void()> on_too_much);

  // Begins the periodic passes, if they are enabled.
  void Start();
  // One pass now, after one that runs.
  Task<absl::Status> Run();
  // Proves one ledger now, after a pass that runs or waits. kStopped, kOverloaded, and errors of
  // reading. Damage that it meets does not count: a bookie that has lost data lacks much, and its
  // disks may be sound.
  Task<absl::StatusOr<LedgerProof>> Heal(LedgerId ledger);
  // Searches the entry logs for ledgers whose index was lost, after a pass that runs. Those that
  // are strays afterwards metadata does not know. kStopped, errors of reading.
  Task<absl::Status> RecoverStrays();
  // Ends the pass that runs. Await before destroying it while the storage lives on.
  Task<void> Stop();

  const ScrubStats& stats() const { return stats_; }
  // What its passes took, and how long ago the last one ended that read everything.
  void Export(observe::MetricsText& into) const;

 private:
  // What one ledger's entries are checked with.
  struct Ledger {
    LedgerId id;
    std::optional<metadata::LedgerMetadata> metadata;
    std::optional<wire::Digester> digester;
    std::vector<EntryId> repaired;  // put into storage, not read back yet
    bool lacks_copies = false;      // no peer gave one that was needed
  };

  Task<void> Loop();
  Task<absl::Status> Pass();
  Task<absl::Status> Spend(uint64_t bytes) override;
  Task<absl::Status> CheckJournals();
  Task<absl::Status> RecoverIndexes();
  Task<absl::Status> SearchLogs(std::vector<LedgerId> lost);
  Task<absl::Status> ScrubLedger(LedgerId ledger);
  Task<absl::Status> Open(Ledger* ledger);
  Task<absl::Status> CheckAll(Ledger* ledger);
  // One that is whole counts as that from now on.
  Task<absl::StatusOr<LedgerProof>> Prove(Ledger* ledger);
  // True: all that is expected of it is there, and good.
  Task<absl::StatusOr<bool>> LookForAll(Ledger* ledger, const ExpectedEntries* expected);
  Task<absl::StatusOr<LedgerProof>> HealLedger(LedgerId ledger);
  // True: the entry is there and good.
  Task<absl::StatusOr<bool>> IsGood(Ledger* ledger, EntryId entry);
  Task<bool> Repair(Ledger* ledger, EntryId entry);
  Task<absl::Status> ReadBack(Ledger* ledger);
  void OnDamage(LedgerId ledger, EntryId entry, const absl::Status& why);
  void CountDamage();

  ScrubParts parts_;
  const BookieId self_;
  const ScrubOptions options_;
  absl::AnyInvocable<void()> on_too_much_;
  ByteRate rate_;
  bool stopping_ = false;
  bool running_ = false;
  int passes_waiting_ = 0;  // they come before what would heal a ledger
  Notification idle_;
  bool is_healing_ = false;      // one ledger, instead of a pass
  int64_t damaged_in_pass_ = 0;  // or in the ledger that is healed
  ScrubStats stats_;
  observe::Latency passes_;
  std::optional<MonotonicTime> completed_at_;
  TaskScope scope_;
};

}  // namespace stele::bookie
