#include "simulation/exhaustive/oracle.h"

#include <algorithm>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::simulation {

void LedgerOracle::Fault(std::string text) {
  faults_->push_back(StrCat("ledger ", id_.value(), ": ", text));
}

std::string LedgerOracle::PayloadOf(EntryId entry) const {
  const int64_t size = 1 + entry.value() * 397 % 3'000;
  return StrCat("ledger ", id_.value(), " entry ", entry.value(), " ",
                std::string(static_cast<size_t>(size), 'p'));
}

void LedgerOracle::OnSubmitted(EntryId entry) { submitted_ = std::max(submitted_, entry); }

void LedgerOracle::OnAcknowledged(EntryId entry, bool is_durable) {
  if (entry != acknowledged_.Next()) {
    Fault(StrCat("G2 AckedPrefix: entry ", entry.value(), " is acknowledged behind ",
                 acknowledged_.value()));
  }
  acknowledged_ = std::max(acknowledged_, entry);
  if (end_.has_value() && entry > *end_) {
    Fault(StrCat("G10 NoLateAck: entry ", entry.value(),
                 " is acknowledged although the ledger ends at ", end_->value()));
  }
  if (is_durable) must_have_ = std::max(must_have_, entry);
}

void LedgerOracle::OnForced(EntryId up_to) { must_have_ = std::max(must_have_, up_to); }

void LedgerOracle::SetEnd(EntryId last) {
  if (last < must_have_) {
    Fault(StrCat("G1 AllAckedEntriesAreReadable: ends at ", last.value(), ", but ",
                 must_have_.value(), " was acknowledged"));
  }
  if (last < lac_shown_) {
    Fault(StrCat("G5 LacIsTrue: ends at ", last.value(), ", but readers were shown ",
                 lac_shown_.value()));
  }
  if (last > submitted_) {
    Fault(StrCat("G4 NoInvention: ends at ", last.value(), ", but only ", submitted_.value(),
                 " was submitted"));
  }
  if (end_.has_value() && *end_ != last) {
    Fault(StrCat("G7 OneEnd: ends at ", last.value(), " and at ", end_->value()));
  }
  end_ = last;
}

void LedgerOracle::OnClosed(EntryId last) { SetEnd(last); }
void LedgerOracle::OnRecovered(EntryId last) { SetEnd(last); }

void LedgerOracle::OnDelete(const absl::Status& status) {
  if (status.ok()) {
    delete_ = Deleted::kYes;
  } else if (delete_ == Deleted::kNo && EffectOf(status) == Effect::kUnknown) {
    delete_ = Deleted::kPerhaps;
  }
}

void LedgerOracle::OnLacShown(EntryId lac) {
  if (lac > submitted_) {
    Fault(StrCat("G5 LacIsTrue: a reader was shown ", lac.value(), ", but only ",
                 submitted_.value(), " was submitted"));
  }
  lac_shown_ = std::max(lac_shown_, lac);
}

void LedgerOracle::OnRead(const client::Entry& entry) {
  if (entry.payload.view() != PayloadOf(entry.id)) {
    Fault(StrCat("G4 NoInvention: entry ", entry.id.value(),
                 " has other bytes than its writer gave"));
  }
}

}  // namespace stele::simulation
