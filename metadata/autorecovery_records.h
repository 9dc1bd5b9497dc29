// What Stele's autorecovery, and the bookies that concern it, remember beyond what Apache
// BookKeeper has a place for: below the private root (private_root.h).
//
// One attempt each; errors are those of the store. What cannot be understood counts as not there:
// none of this decides about data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

// A ledger with entries that no bookie can supply now: worth a look by somebody, not another copy
// of the rest every minute.
struct QuarantineRecord {
  std::string reason;  // one sentence
  struct Range {
    EntryId first;
    EntryId last;
    friend bool operator==(const Range&, const Range&) = default;
  };
  std::vector<Range> entries;  // that could not be read; at most kQuarantineRangesMax
  std::vector<std::pair<BookieId, std::string>> evidence;  // what each bookie said last
  absl::Time first_seen = absl::UnixEpoch();
  absl::Time last_seen = absl::UnixEpoch();
  friend bool operator==(const QuarantineRecord&, const QuarantineRecord&) = default;
};
inline constexpr size_t kQuarantineRangesMax = 100;

// Bytes per second of entries copied or checked; 0: no limit. Changeable while all runs.
struct RepairLimits {
  int64_t cluster = 0;  // all workers together
  int64_t source = 0;   // read from one bookie by one worker
  int64_t target = 0;   // written to one bookie by one worker
  int64_t check = 0;    // read by the auditor's checks
  friend bool operator==(const RepairLimits&, const RepairLimits&) = default;
};

// Where the check of all copies is, for an auditor that goes on with it.
struct CheckPosition {
  CheckDate since;      // the date that it is to replace: with another it is another check
  LedgerId next;        // all before it have been checked
  int64_t ledgers = 0;  // so many
  absl::Time noted_at = absl::UnixEpoch();
  friend bool operator==(const CheckPosition&, const CheckPosition&) = default;
};

std::string SerializeQuarantine(const QuarantineRecord& record);
absl::StatusOr<QuarantineRecord> ParseQuarantine(std::string_view bytes);
std::string SerializeCheckPosition(const CheckPosition& position);
absl::StatusOr<CheckPosition> ParseCheckPosition(std::string_view bytes);
std::string SerializeLimits(const RepairLimits& limits);
// kCorruptData, also for numbers below 0.
absl::StatusOr<RepairLimits> ParseLimits(std::string_view bytes);

// `store` outlives it and its tasks.
class AutorecoveryRecords {
 public:
  AutorecoveryRecords(MetadataStore* store, const Cluster& cluster);

  // What all of it is under.
  const std::string& root() const { return root_; }
  std::string limits_path() const { return root_ + "/limits"; }
  std::string workers_path() const { return root_ + "/workers"; }
  std::string draining_path() const { return root_ + "/draining"; }

  Task<absl::StatusOr<std::optional<QuarantineRecord>>> Quarantine(LedgerId ledger);
  Task<absl::Status> SetQuarantine(LedgerId ledger, QuarantineRecord record);
  // Ok when there is none.
  Task<absl::Status> ClearQuarantine(LedgerId ledger);
  Task<absl::StatusOr<std::vector<LedgerId>>> Quarantined();

  Task<absl::StatusOr<RepairLimits>> Limits();
  Task<absl::Status> SetLimits(RepairLimits limits);

  // Nothing: no check was broken off, or it left no word.
  Task<absl::StatusOr<std::optional<CheckPosition>>> ReadCheckPosition();
  Task<absl::Status> SetCheckPosition(CheckPosition position);
  // Ok when there is none.
  Task<absl::Status> ClearCheckPosition();

  // Since when bookies are lost, as auditors noticed.
  Task<absl::StatusOr<std::map<BookieId, absl::Time>>> Lost();
  Task<absl::Status> SetLost(BookieId bookie, absl::Time since);
  Task<absl::Status> ClearLost(BookieId bookie);

  // Bookies whose ledgers are to be moved to others, and since when.
  Task<absl::StatusOr<std::map<BookieId, absl::Time>>> Draining();
  // False: it was so already.
  Task<absl::StatusOr<bool>> SetDraining(BookieId bookie, absl::Time since);
  Task<absl::StatusOr<bool>> ClearDraining(BookieId bookie);

  // Bookies that have lost data and do not know which, and since when, as they say themselves.
  Task<absl::StatusOr<std::map<BookieId, absl::Time>>> InLimbo();
  Task<absl::Status> SetInLimbo(BookieId bookie, absl::Time since);
  Task<absl::Status> ClearInLimbo(BookieId bookie);

  // The running workers, counted by their nodes, which end with their sessions.
  Task<absl::Status> RegisterWorker(std::string name);
  Task<absl::StatusOr<std::vector<std::string>>> Workers();

 private:
  std::string QuarantinePath(LedgerId ledger) const;
  std::string check_position_path() const { return root_ + "/check_position"; }
  std::string lost_path() const { return root_ + "/lost"; }
  std::string limbo_path() const { return root_ + "/limbo"; }
  Task<absl::Status> PutOrCreate(std::string path, std::string value);
  Task<absl::Status> DeleteIfThere(std::string path);
  Task<absl::StatusOr<std::vector<std::string>>> ChildrenOrNone(std::string path);
  Task<absl::StatusOr<std::map<BookieId, absl::Time>>> Since(std::string directory);

  MetadataStore* store_;
  std::string root_;
};

}  // namespace stele::metadata
