// StreamJudge: decides, batch by batch, what of a stream is replayed. Pure: it sees footers, in the
// order in which they lie in the files, and gives verdicts.
//
// The rule. The next batch N of the stream is good when it is intact and lies where the last good
// one ended. Otherwise there is a hole at N, and every later footer is asked whether N was durable
// when its batch was written. If one says so, N had been acknowledged: damage. If none does, N was
// still being written when the power failed, and nothing behind it was ever acknowledged, because
// acknowledgements are released in order: a torn tail. A later good batch alone proves nothing:
// several are in flight at once.
#pragma once

#include <cstdint>
#include <optional>

#include "bookie/journal/journal_format.h"

namespace stele::bookie {

class StreamJudge {
 public:
  enum class Verdict {
    kGood,        // replay it
    kStale,       // lower than what was seen: no batch of this place
    kBehindHole,  // not to be replayed, unless the hole turns out to be damage
    kProof,       // it proves that the hole is damage; also not to be replayed
  };

  // The sequence that comes first; nullopt: not known, the first good batch tells. A hole before
  // the first batch is then damage, since nobody can say what it held.
  explicit StreamJudge(std::optional<uint64_t> expected) : expected_(expected) {}

  //   is_contiguous   begins where the last good batch ended: there, or at the start of the next
  //                   file
  Verdict Judge(const BatchFooter& footer, bool is_intact, bool is_contiguous) {
    if (!has_hole_) {
      if (expected_.has_value() && footer.sequence < *expected_) return Verdict::kStale;
      if (is_intact && is_contiguous && footer.sequence == expected_.value_or(footer.sequence)) {
        expected_ = footer.sequence + 1;
        return Verdict::kGood;
      }
      has_hole_ = true;
    }
    if (!expected_.has_value()) return Verdict::kProof;
    if (footer.sequence < *expected_) return Verdict::kStale;
    return footer.durable_sequence >= *expected_ ? Verdict::kProof : Verdict::kBehindHole;
  }

  bool has_hole() const { return has_hole_; }
  // The next sequence, or that of the hole.
  std::optional<uint64_t> expected() const { return expected_; }

 private:
  std::optional<uint64_t> expected_;
  bool has_hole_ = false;
};

}  // namespace stele::bookie
