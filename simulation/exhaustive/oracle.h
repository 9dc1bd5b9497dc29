// What applications were told, kept outside of the cluster, and the rules that it must keep.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/entry.h"
#include "common/base/ids.h"

namespace stele::simulation {

class LedgerOracle {
 public:
  LedgerOracle(LedgerId id, std::vector<std::string>* faults) : id_(id), faults_(faults) {}
  LedgerId id() const { return id_; }

  // The payload that the writer submits for an entry.
  std::string PayloadOf(EntryId entry) const;

  // ---- What the writer was told.
  void OnSubmitted(EntryId entry);
  // An append of a writer that is acknowledged when it is durable, or only when it is forced.
  void OnAcknowledged(EntryId entry, bool is_durable);
  void OnForced(EntryId up_to);
  void OnClosed(EntryId last);
  // Since this answer no append may be acknowledged any more: somebody has opened it with recovery.
  void OnRecovered(EntryId last);
  void OnDelete(const absl::Status& status);

  // ---- What readers were told.
  void OnLacShown(EntryId lac);
  void OnRead(const client::Entry& entry);

  EntryId submitted() const { return submitted_; }
  // Everything up to here must be there, and nothing behind it may be acknowledged later.
  EntryId must_have() const { return must_have_; }
  bool may_be_deleted() const { return delete_ != Deleted::kNo; }
  bool is_deleted() const { return delete_ == Deleted::kYes; }
  std::optional<EntryId> end() const { return end_; }

 private:
  enum class Deleted { kNo, kPerhaps, kYes };
  void Fault(std::string text);
  void SetEnd(EntryId last);

  LedgerId id_;
  std::vector<std::string>* faults_;
  EntryId submitted_ = kNoEntry;
  EntryId acknowledged_ = kNoEntry;
  EntryId must_have_ = kNoEntry;
  EntryId lac_shown_ = kNoEntry;
  std::optional<EntryId> end_;
  Deleted delete_ = Deleted::kNo;
};

}  // namespace stele::simulation
