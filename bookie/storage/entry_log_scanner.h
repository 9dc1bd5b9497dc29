// EntryLogScanner: finds the records of an entry log without an index, in spite of zero tails,
// padding, torn ends and damage. Pure: the caller reads the file and feeds windows of it.
//
// What it meets at a size field        What it does
//   zero or 0xf0 bytes                 skips the run; goes on at the block boundary where it ends,
//                                      or searches when it ends elsewhere (a gap)
//   a map or dummy record              skips it
//   a record cut by the end            torn tail, unless the search finds a record behind
//   anything else that is no record    damage: searches
// A search starts inside the record before (whose size may be what is damaged) and offers every
// plausible record as a candidate: the caller accepts the one that an index refers to. Only the
// head of a record is judged.
#pragma once

#include <cstdint>
#include <string_view>

#include "bookie/storage/entry_log_format.h"
#include "common/base/ids.h"

namespace stele::bookie {

struct ScannedRecord {
  LedgerId ledger;
  EntryId entry;
  uint64_t offset = 0;      // of the size field
  uint32_t size_bytes = 0;  // without the size field
};

struct ScanSummary {
  int64_t records = 0;
  int64_t damages = 0;           // places where records may have been lost
  uint64_t torn_tail_bytes = 0;  // an unfinished record at the end
};

class EntryLogScanner {
 public:
  // Scans [kEntryLogHeaderSize, end_offset). Records of more than record_size_max_bytes are damage.
  EntryLogScanner(uint64_t end_offset, uint32_t record_size_max_bytes);

  enum class Step {
    kNeedBytes,  // call again with a window that begins at position()
    kRecord,     // record() is the next one
    kCandidate,  // record() may be one: Accept() it, or it is passed over
    kEnd,
  };
  // `window`: the file's bytes from window_offset on; when it begins at position() it has at least
  // kRecordHeadBytes or reaches end_offset. Needs no more than one window's work.
  Step Next(uint64_t window_offset, std::string_view window);

  // After kCandidate: the scan goes on behind it.
  void Accept();

  uint64_t position() const { return position_; }
  const ScannedRecord& record() const { return record_; }
  const ScanSummary& summary() const { return summary_; }

 private:
  enum class Mode { kRecords, kPadding, kSearch };

  Step NextRecord(std::string_view here);
  Step SkipPadding(std::string_view here);
  Step Search(std::string_view here);
  void StartSearch(bool torn_tail);
  bool IsPlausible(const RecordHead& head, uint64_t offset) const;

  const uint64_t end_;
  const uint32_t size_max_;
  uint64_t position_ = kEntryLogHeaderSize;
  Mode mode_ = Mode::kRecords;
  char padding_ = 0;
  uint64_t last_record_ = 0;  // offset of the last one that was reported; 0: none
  bool searching_behind_torn_tail_ = false;
  uint64_t search_cause_ = 0;  // where the search became necessary
  ScannedRecord record_;
  ScanSummary summary_;
};

}  // namespace stele::bookie
