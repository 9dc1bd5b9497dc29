// What a check of copies finds (cluster_check.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"

namespace stele::autorecovery {

// Each proves what those before it prove, and costs more.
enum class CheckDepth {
  kMetadata,      // the store alone: metadata is well formed, its bookies have cookies and are up
  kAvailability,  // each bookie says which entries it has
  kSample,        // the first and the last entry of each copy are read: digests are right
  kFull,          // every copy of every entry is read: the same payload everywhere, lengths add up
};

enum class FindingKind {
  kUnreadableMetadata,
  kNoCookie,     // metadata names a bookie that has none: it was removed, or never there
  kBookieDown,   // a copy is on a bookie that is not registered
  kHole,         // a bookie says that it does not have the entry
  kDamaged,      // what a bookie gives is not what was written
  kLengthWrong,  // the lengths in entries and metadata do not add up
  kSilent,       // a bookie did not answer: nothing is proved
};
std::string_view NameOf(FindingKind kind);

struct CheckFinding {
  FindingKind kind = FindingKind::kHole;
  LedgerId ledger;
  BookieId bookie;      // of a copy
  EntryId first_entry;  // the first one concerned
  int64_t entries = 0;  // how many
  std::string detail;
};

struct CheckReport {
  int64_t ledgers = 0;
  int64_t open_ledgers = 0;   // of which only the part that nobody appends to was looked at
  int64_t copies = 0;         // that there should be
  int64_t copies_proven = 0;  // at the depth of the check
  int64_t bytes_read = 0;     // payloads
  int64_t finding_count = 0;
  std::vector<CheckFinding> findings;  // at most kFindingsMax
  bool IsClean() const { return finding_count == 0; }
};
inline constexpr size_t kFindingsMax = 1000;

// One fragment, and each of its bookies.
struct MemberState {
  BookieId bookie;
  bool is_up = false;
  bool has_answered = false;
  int64_t entries_expected = 0;
  int64_t entries_missing = 0;  // as the bookie says
};
struct FragmentState {
  EntryId first;
  EntryId last;
  bool is_open = false;  // may still grow: its bookies are not asked
  std::vector<MemberState> members;
};

}  // namespace stele::autorecovery
