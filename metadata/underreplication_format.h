// What auditors and replication workers, Stele's and Apache's, share in the tree: paths and bytes.
// Pure. Source: docs/METADATA.md "Under-replication"; Apache BookKeeper's
// ZkLedgerUnderreplicationManager.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "metadata/cluster_paths.h"

namespace stele::metadata {

// Long checks of all ledgers, whose last end is stored.
enum class CheckKind { kAllLedgers, kPlacement, kReplicas };

class UnderreplicationPaths {
 public:
  explicit UnderreplicationPaths(const ClusterPaths& paths)
      : base_(paths.root() + "/underreplication") {}

  const std::string& base() const { return base_; }
  std::string layout() const { return base_ + "/LAYOUT"; }
  std::string tasks() const { return base_ + "/ledgers"; }
  std::string locks() const { return base_ + "/locks"; }
  std::string election() const { return base_ + "/auditorelection"; }
  std::string vote_prefix() const { return election() + "/V_"; }
  std::string disable() const { return base_ + "/disable"; }
  std::string recovery_delay() const { return base_ + "/lostBookieRecoveryDelay"; }
  std::string CheckTime(CheckKind kind) const;

  // The directory of a ledger's task, which holds nothing else: the id in hex, cut 4-4-4-4.
  std::string TaskDirectory(LedgerId ledger) const;
  std::string Task(LedgerId ledger) const;
  std::string Lock(LedgerId ledger) const;

 private:
  std::string base_;
};

// "urL" and at least ten decimal digits: the name of a task and of its lock.
std::string TaskName(LedgerId ledger);
// Nothing for a name that is none.
std::optional<LedgerId> LedgerOfTaskName(std::string_view name);
// Of the four names of a task's directory, from the top: "0000", "0000", "00ff", "1a2b".
std::optional<LedgerId> LedgerOfTaskDirectory(std::string_view hex1, std::string_view hex2,
                                              std::string_view hex3, std::string_view hex4);
bool IsTaskDirectoryName(std::string_view name);

// The one layout that there is.
std::string SerializeUnderreplicationLayout();
// kUnsupported: another type or version.  kCorruptData: no layout at all.
absl::Status CheckUnderreplicationLayout(std::string_view bytes);

struct UnderreplicationMark {
  std::vector<BookieId> replicas;  // that lack entries, in the order of marking; empty: unknown
  std::optional<absl::Time> marked_at;
  friend bool operator==(const UnderreplicationMark&, const UnderreplicationMark&) = default;
};
std::string SerializeMark(const UnderreplicationMark& mark);
// No bytes are a mark without replicas. kCorruptData.
absl::StatusOr<UnderreplicationMark> ParseMark(std::string_view bytes);
// The mark with what is new in `replicas`, marked `now`; nothing when all are there already.
std::optional<UnderreplicationMark> MergeMark(const UnderreplicationMark& mark,
                                              const std::vector<BookieId>& replicas,
                                              absl::Time now);

// Locks and votes name their owner, for people.
std::string SerializeOwner(std::string_view owner);
// Empty when there is none, or when it cannot be read.
std::string ParseOwner(std::string_view bytes);

std::string SerializeCheckTime(absl::Time time);
// Nothing: never, or not readable.
std::optional<absl::Time> ParseCheckTime(std::string_view bytes);

// Whole seconds >= 0 in decimal. kCorruptData.
std::string SerializeRecoveryDelay(absl::Duration delay);
absl::StatusOr<absl::Duration> ParseRecoveryDelay(std::string_view bytes);

}  // namespace stele::metadata
