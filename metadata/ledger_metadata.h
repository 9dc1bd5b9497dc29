// LedgerMetadata: what the cluster agrees on about one ledger. An immutable value: each change is a
// new value, made by a pure transform and written by compare-and-swap (cas_loop.h).
// Source: docs/METADATA.md; Apache BookKeeper's LedgerMetadataFormat.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/digest_type.h"
#include "common/base/ids.h"
#include "common/quorum/write_set.h"

namespace stele::metadata {

// E distinct bookies; a bookie's position is its BookieIndex.
using Ensemble = std::vector<BookieId>;

// A run of entries with one ensemble: from first_entry to the entry before the next fragment's
// first. A closed ledger may end with a fragment whose first entry lies behind its last entry.
struct Fragment {
  EntryId first_entry;
  Ensemble ensemble;
  friend bool operator==(const Fragment&, const Fragment&) = default;
};

// Moves open -> in recovery -> closed, or open -> closed.
enum class LedgerState { kOpen, kInRecovery, kClosed };

// How the ledger is stored (ledger_metadata_codec.h). An update keeps the format it found: the
// creator knew the oldest reader, we do not.
enum class MetadataFormat : int {
  kLines = 1,   // before Apache BookKeeper 4.2; keeps no ack quorum, password, digest, custom data
  kText = 2,    // 4.2 to 4.9; keeps no creator token
  kBinary = 3,  // since 4.10
};

// A ledger with more fragments is refused, read or written: something is wrong with it.
inline constexpr size_t kFragmentCountMax = 5000;

// What a LedgerMetadata is made of.
struct LedgerMetadataFields {
  quorum::Replication replication;
  LedgerState state = LedgerState::kOpen;
  EntryId last_entry = kNoEntry;  // of a closed ledger; kNoEntry also when it is empty
  int64_t length_bytes = 0;       // of the payloads, of a closed ledger
  std::vector<Fragment> fragments;
  // Means nothing without a password.
  DigestType digest_type = DigestType::kCrc32;
  // nullopt: written by a release that had none, or in MetadataFormat::kLines. Never logged.
  std::optional<std::string> password = "";
  std::map<std::string, std::string> custom_metadata;
  // Only where the creator asked for it; whole milliseconds.
  std::optional<absl::Time> creation_time;
  // Drawn by the creator, so that it recognises its own node; 0 is none. Every update drops it.
  int64_t creator_token = 0;
  MetadataFormat format = MetadataFormat::kBinary;

  friend bool operator==(const LedgerMetadataFields&, const LedgerMetadataFields&) = default;
};

class LedgerMetadata {
 public:
  // Checks that replication is valid; that there are 1 .. kFragmentCountMax fragments, of which the
  // first begins with entry 0 and each begins behind its predecessor, with
  // replication.ensemble_size distinct, valid bookie ids; and that last_entry and length_bytes are
  // set (last_entry >= -1, length_bytes >= 0) for a closed ledger, and only for one.
  //   errors   kInvalidArgument
  static absl::StatusOr<LedgerMetadata> Create(LedgerMetadataFields fields);

  const quorum::Replication& replication() const { return fields_.replication; }
  LedgerState state() const { return fields_.state; }
  bool IsClosed() const { return fields_.state == LedgerState::kClosed; }
  EntryId last_entry() const { return fields_.last_entry; }
  int64_t length_bytes() const { return fields_.length_bytes; }
  const std::vector<Fragment>& fragments() const { return fields_.fragments; }
  DigestType digest_type() const { return fields_.digest_type; }
  const std::optional<std::string>& password() const { return fields_.password; }
  const std::map<std::string, std::string>& custom_metadata() const {
    return fields_.custom_metadata;
  }
  std::optional<absl::Time> creation_time() const { return fields_.creation_time; }
  int64_t creator_token() const { return fields_.creator_token; }
  MetadataFormat format() const { return fields_.format; }
  const LedgerMetadataFields& fields() const { return fields_; }

  // The current fragment: only the writer, or a recovery, changes it.
  const Fragment& last_fragment() const { return fields_.fragments.back(); }
  // Where `entry` (>= 0) is or would be.
  const Fragment& FragmentOf(EntryId entry) const;

  // The transforms. Each gives a new value without creator token, or
  //   kLedgerClosed     the ledger is closed and this may not change any more
  //   kInvalidArgument  the result would break what Create() checks

  // Entries from first_entry on go to `ensemble`. first_entry is last-add-confirmed + 1: when it
  // is the first of the last fragment, nothing was acknowledged there yet and the ensemble is
  // replaced in place; when it is greater a fragment is appended; it cannot be smaller
  // (kInvalidArgument).
  absl::StatusOr<LedgerMetadata> WithEnsembleFrom(EntryId first_entry, Ensemble ensemble) const;

  // The fragment that begins with fragment_first_entry (kInvalidArgument when there is none) has
  // been copied to `ensemble`. In any state: re-replication changes closed ledgers too.
  absl::StatusOr<LedgerMetadata> WithReplacedEnsemble(EntryId fragment_first_entry,
                                                      Ensemble ensemble) const;

  absl::StatusOr<LedgerMetadata> WithInRecovery() const;

  absl::StatusOr<LedgerMetadata> WithClosed(EntryId last_entry, int64_t length_bytes) const;

  // For the creator, before the first write.
  LedgerMetadata WithCreatorToken(int64_t token) const;

  friend bool operator==(const LedgerMetadata&, const LedgerMetadata&) = default;

 private:
  explicit LedgerMetadata(LedgerMetadataFields fields) : fields_(std::move(fields)) {}
  LedgerMetadataFields CopyForUpdate() const;

  LedgerMetadataFields fields_;
};

}  // namespace stele::metadata
