// What operators set for auditors and workers of the whole cluster, in the nodes that Apache
// BookKeeper's tools read and write too. One attempt each; errors are those of the store.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "metadata/cluster_paths.h"
#include "metadata/metadata_store.h"
#include "metadata/underreplication_format.h"

namespace stele::metadata {

// When a check last ended, for who replaces that only as it is.
struct CheckDate {
  std::optional<absl::Time> time;  // nothing: never, or it cannot be read
  std::optional<Version> version;  // of the node; nothing: there is none
  friend bool operator==(const CheckDate&, const CheckDate&) = default;
};

// `store` outlives it and its tasks.
class AutorecoverySettings {
 public:
  AutorecoverySettings(MetadataStore* store, const ClusterPaths& paths)
      : store_(store), paths_(paths) {}

  const UnderreplicationPaths& paths() const { return paths_; }

  // Auditors publish nothing and workers repair nothing while it is off.
  Task<absl::StatusOr<bool>> IsEnabled();
  // True: it was the other way before.
  Task<absl::StatusOr<bool>> SetEnabled(bool enabled);

  // How long a lost bookie may stay away before its ledgers are repaired; nothing when no auditor
  // has run yet and nobody has set it.
  //   kCorruptData   the node holds something else
  Task<absl::StatusOr<std::optional<absl::Duration>>> RecoveryDelay();
  // Whole seconds. Setting what is set already makes the auditor look at once.
  Task<absl::Status> SetRecoveryDelay(absl::Duration delay);
  // Gives what is set; `initial` is set when nothing is.
  Task<absl::StatusOr<absl::Duration>> EnsureRecoveryDelay(absl::Duration initial);

  // When the check last ended; nothing: never.
  Task<absl::StatusOr<std::optional<absl::Time>>> CheckTime(CheckKind kind);
  Task<absl::StatusOr<CheckDate>> ReadCheckDate(CheckKind kind);
  Task<absl::Status> SetCheckTime(CheckKind kind, absl::Time time);
  //   kMetadataConflict   the date is not `known` any more
  Task<absl::Status> ReplaceCheckDate(CheckKind kind, CheckDate known, absl::Time time);

 private:
  Task<absl::Status> PutOrCreate(std::string path, std::string value);

  MetadataStore* store_;
  UnderreplicationPaths paths_;
};

}  // namespace stele::metadata
