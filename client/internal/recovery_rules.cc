#include "client/internal/recovery_rules.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/sometimes.h"

namespace stele::client {

ErrorCode FoldReadError(ErrorCode first, ErrorCode incoming) {
  STELE_CHECK(incoming != ErrorCode::kOk);
  if (first == ErrorCode::kOk || IsNegative(first)) return incoming;
  if (first == ErrorCode::kConnectionLost && !IsNegative(incoming)) return incoming;
  return first;
}

LacQuorum::LacQuorum(const quorum::Replication& replication, Kind kind)
    : kind_(kind), coverage_(replication), unanswered_(replication.ensemble_size) {}

LacQuorum::Step LacQuorum::OnAnswer(BookieIndex from, ErrorCode code,
                                    std::optional<LastEntryFields> fields) {
  --unanswered_;
  STELE_CHECK(unanswered_ >= 0);
  if (code == ErrorCode::kUnauthorized) {
    error_ = code;
    return Step::kUnauthorized;
  }
  if (fields.has_value()) {
    last_add_confirmed_ = std::max(last_add_confirmed_, fields->last_add_confirmed);
  }
  const bool is_known = code == ErrorCode::kOk || IsNegative(code) ||
                        (code == ErrorCode::kDigestMismatch && kind_ == Kind::kFencing);
  if (is_known) {
    coverage_.AddKnown(from);
  } else {
    error_ = code;
  }
  if (coverage_.IsCovered()) {
    STELE_SOMETIMES(kRecoveryCoveredInSilence, kind_ == Kind::kFencing && unanswered_ > 0);
    return Step::kCovered;
  }
  return unanswered_ == 0 ? Step::kImpossible : Step::kWait;
}

RecoveryRead::Decision RecoveryRead::OnAnswer(ErrorCode code) {
  --unanswered_;
  STELE_CHECK(unanswered_ >= 0);
  if (decision_ != Decision::kWait) return decision_;
  if (code == ErrorCode::kOk) {
    STELE_SOMETIMES(kRecoveryFoundAfterNo, negatives_ > 0);
    return decision_ = Decision::kRecover;
  }
  error_ = FoldReadError(error_, code);
  if (IsNegative(code) && ++negatives_ >= negatives_needed_) {
    STELE_SOMETIMES(kRecoveryAbsentInSilence, unanswered_ > 0);
    return decision_ = Decision::kAbsent;
  }
  if (unanswered_ == 0) decision_ = Decision::kUnknown;
  return decision_;
}

}  // namespace stele::client
