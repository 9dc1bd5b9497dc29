// When entry logs are compacted, and which. Pure: times and figures in, decision out. The keys and
// their defaults are Apache's, but for the threshold of the major compaction: 0.8 writes four bytes
// for each that it frees.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "bookie/storage/ledger_storage.h"
#include "common/base/time.h"

namespace stele::bookie {

struct CompactionOptions {
  // Logs of which less than this share, in parts per million, is live are compacted. 0: never.
  int64_t minor_threshold_ppm = 200'000;            // minorCompactionThreshold
  int64_t major_threshold_ppm = 500'000;            // majorCompactionThreshold
  absl::Duration minor_interval = absl::Hours(1);   // minorCompactionInterval; 0: never
  absl::Duration major_interval = absl::Hours(24);  // majorCompactionInterval; 0: never
  // A run begins no further log after so long; 0: no limit. minorCompactionMaxTimeMillis and
  // majorCompactionMaxTimeMillis.
  absl::Duration minor_time_max;
  absl::Duration major_time_max;
  // What compaction reads and writes together. compactionRateByBytes.
  uint64_t bytes_per_second = 32ull << 20;
  // Disk space that is kept in each ledger directory, so that a full disk can be compacted.
  uint64_t reserve_bytes = 64ull << 20;
};

enum class CompactionKind { kMinor, kMajor };

class CompactionPlan {
 public:
  CompactionPlan(CompactionOptions options, MonotonicTime now)
      : options_(options), last_minor_(now), last_major_(now) {}

  // What is due. A major compaction counts as a minor one too.
  std::optional<CompactionKind> Due(MonotonicTime now) const;
  void OnDone(CompactionKind kind, MonotonicTime now);

  // The logs for a run, the emptiest first, so that each byte written frees the most.
  std::vector<EntryLogUsage> Choose(CompactionKind kind, std::vector<EntryLogUsage> usages) const;

  absl::Duration TimeMax(CompactionKind kind) const {
    return kind == CompactionKind::kMinor ? options_.minor_time_max : options_.major_time_max;
  }

 private:
  int64_t ThresholdPpm(CompactionKind kind) const {
    return kind == CompactionKind::kMinor ? options_.minor_threshold_ppm
                                          : options_.major_threshold_ppm;
  }

  CompactionOptions options_;
  MonotonicTime last_minor_;
  MonotonicTime last_major_;
};

}  // namespace stele::bookie
