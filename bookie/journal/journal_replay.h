// Replay: reads what a journal directory holds behind the mark, at start, before anything is
// written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal_mark.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct ReplayOptions {
  std::string directory;
  JournalMark mark;  // (0, 0): everything that is present
  // The longest record that is believed in a file of Java's, which has no checksums.
  size_t record_size_max_bytes = 5 * 1024 * 1024 + 64;
  // What to do about damage that may have hit acknowledged records.
  enum class OnDamage {
    kStop,    // an error
    kReport,  // replay everything else and list it: the operator's way out. The caller must treat
              // all ledgers as incomplete.
  };
  OnDamage on_damage = OnDamage::kStop;
};

struct JournalDamage {
  std::string file;  // the path
  int64_t offset_bytes = 0;
  std::string what;
};

struct ReplayReport {
  // Where scanning stopped: what a replay after a flush may start at. In front of a torn tail,
  // which a later replay then judges in the same way.
  JournalMark end;
  int64_t files = 0;
  int64_t records = 0;
  int64_t bytes = 0;       // of records, with their lengths
  int64_t torn_tails = 0;  // streams that end in batches that were written in part and never
                           // acknowledged
  std::vector<std::string> java_files;  // without checksums: read by the lenient rules
  std::vector<std::string> notes;       // for the operator's log: torn tails and the like
  std::vector<JournalDamage> damage;    // OnDamage::kReport only
};

// Gets each record's body (ledger id, entry id, ...) in order; the body owns its bytes. May wait;
// an error ends the replay with it.
using ReplayRecord = absl::AnyInvocable<Task<absl::Status>(Buffer body)>;

// Errors: kCorruptData names file and offset. A torn tail is not an error; damage that a later
// durable claim proves to lie before acknowledged data is, and so are a missing file and a gap
// between files. Nothing is ever skipped silently. Needs memory for one batch (some MiB).
Task<absl::StatusOr<ReplayReport>> ReplayJournal(Env env, ReplayOptions options,
                                                 ReplayRecord record);

}  // namespace stele::bookie
