#include "bookie/storage/entry_log_scanner.h"

#include <algorithm>

#include "common/base/check.h"

namespace stele::bookie {

EntryLogScanner::EntryLogScanner(uint64_t end_offset, uint32_t record_size_max_bytes)
    : end_(end_offset), size_max_(record_size_max_bytes) {}

EntryLogScanner::Step EntryLogScanner::Next(uint64_t window_offset, std::string_view window) {
  for (;;) {
    if (position_ >= end_) {
      if (mode_ == Mode::kSearch && searching_behind_torn_tail_) {
        summary_.torn_tail_bytes = end_ - search_cause_;
      } else if (mode_ == Mode::kSearch) {
        ++summary_.damages;
      }
      mode_ = Mode::kRecords;
      return Step::kEnd;
    }
    if (position_ < window_offset || position_ - window_offset >= window.size()) {
      return Step::kNeedBytes;
    }
    const std::string_view here = window.substr(position_ - window_offset);
    const bool at_end = position_ + here.size() >= end_;
    if (mode_ != Mode::kPadding && here.size() < kRecordHeadBytes && !at_end) {
      return Step::kNeedBytes;
    }
    Step step = Step::kNeedBytes;
    switch (mode_) {
      case Mode::kRecords: step = NextRecord(here); break;
      case Mode::kPadding: step = SkipPadding(here); break;
      case Mode::kSearch: step = Search(here); break;
    }
    // kNeedBytes from one of these means no more than "go on".
    if (step != Step::kNeedBytes) return step;
  }
}

bool EntryLogScanner::IsPlausible(const RecordHead& head, uint64_t offset) const {
  return head.size >= static_cast<int32_t>(kRecordIdsBytes) &&
         static_cast<uint32_t>(head.size) <= size_max_ && head.ledger.IsValid() &&
         !head.entry.IsNone() &&
         static_cast<uint64_t>(head.size) <= end_ - offset - kRecordSizeFieldBytes;
}

EntryLogScanner::Step EntryLogScanner::NextRecord(std::string_view here) {
  if (here[0] == '\0' || here[0] == '\xf0') {
    const bool is_padding = here.size() < kRecordSizeFieldBytes ||
                            std::all_of(
                                here.begin(), here.begin() + kRecordSizeFieldBytes,
                                [&](char byte) { return byte == here[0]; });
    if (is_padding) {
      mode_ = Mode::kPadding;
      padding_ = here[0];
      return Step::kNeedBytes;
    }
  }
  if (here.size() < kRecordHeadBytes) {
    StartSearch(/*torn_tail=*/true);
    return Step::kNeedBytes;
  }
  const RecordHead head = ParseRecordHead(here.data());
  const bool is_filler =
      head.ledger == kLedgersMapLedger && (head.entry == kLedgersMapEntry || !head.entry.IsNone());
  const uint32_t size_max = is_filler ? std::max(size_max_, kMapRecordSizeMaxBytes) : size_max_;
  const bool size_is_right = head.size >= static_cast<int32_t>(kRecordIdsBytes) &&
                             static_cast<uint32_t>(head.size) <= size_max;
  const bool is_entry = head.ledger.IsValid() && !head.entry.IsNone();
  if (!size_is_right || !(is_filler || is_entry)) {
    StartSearch(/*torn_tail=*/false);
    return Step::kNeedBytes;
  }
  const uint64_t record_end = position_ + kRecordSizeFieldBytes + static_cast<uint64_t>(head.size);
  if (record_end > end_) {
    StartSearch(/*torn_tail=*/true);
    return Step::kNeedBytes;
  }
  last_record_ = position_;
  if (is_entry) {
    record_ = {head.ledger, head.entry, position_, static_cast<uint32_t>(head.size)};
    ++summary_.records;
  }
  position_ = record_end;
  return is_entry ? Step::kRecord : Step::kNeedBytes;
}

EntryLogScanner::Step EntryLogScanner::SkipPadding(std::string_view here) {
  const size_t run = std::min(here.find_first_not_of(padding_), here.size());
  if (run == here.size()) {
    position_ += run;
    if (position_ >= end_) mode_ = Mode::kRecords;
    return Step::kNeedBytes;
  }
  // The run may have eaten the first bytes of a size field.
  const uint64_t run_end = position_ + run;
  const uint64_t boundary = run_end / kEntryLogBlockBytes * kEntryLogBlockBytes;
  mode_ = Mode::kRecords;
  if (run_end - boundary < kRecordSizeFieldBytes) {
    position_ = boundary;
    return Step::kNeedBytes;
  }
  position_ = run_end - std::min<uint64_t>(run, kRecordSizeFieldBytes - 1);
  StartSearch(/*torn_tail=*/end_ - run_end < kRecordHeadBytes);
  return Step::kNeedBytes;
}

void EntryLogScanner::StartSearch(bool torn_tail) {
  mode_ = Mode::kSearch;
  searching_behind_torn_tail_ = torn_tail;
  search_cause_ = position_;
  // last_record_ grows with each record that is reported, so no search begins twice at one place.
  position_ = last_record_ != 0 ? last_record_ + 1 : position_;
}

EntryLogScanner::Step EntryLogScanner::Search(std::string_view here) {
  for (size_t at = 0; at < here.size(); ++at) {
    if (here.size() - at < kRecordHeadBytes) {
      // Near the end of the file nothing more can follow; else the next window begins here.
      const bool at_end = position_ + (here.size() - at) >= end_;
      if (at_end) position_ = end_;
      return Step::kNeedBytes;
    }
    const RecordHead head = ParseRecordHead(here.data() + at);
    const uint64_t offset = position_++;
    if (!IsPlausible(head, offset)) continue;
    record_ = {head.ledger, head.entry, offset, static_cast<uint32_t>(head.size)};
    return Step::kCandidate;
  }
  return Step::kNeedBytes;
}

void EntryLogScanner::Accept() {
  STELE_CHECK(mode_ == Mode::kSearch);
  mode_ = Mode::kRecords;
  ++summary_.damages;
  ++summary_.records;
  last_record_ = record_.offset;
  position_ = record_.offset + kRecordSizeFieldBytes + record_.size_bytes;
}

}  // namespace stele::bookie
