#include "metadata/ledger_metadata.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_id.h"

namespace stele::metadata {
namespace {

absl::Status Invalid(std::string_view detail) {
  return MakeError(ErrorCode::kInvalidArgument, detail);
}

absl::Status CheckEnsemble(const Fragment& fragment, int ensemble_size) {
  const Ensemble& ensemble = fragment.ensemble;
  if (ensemble.size() != static_cast<size_t>(ensemble_size)) {
    return Invalid(StrCat("the fragment from entry ", fragment.first_entry.value(), " has ",
                          ensemble.size(), " bookies instead of ", ensemble_size));
  }
  std::vector<std::string_view> names;
  names.reserve(ensemble.size());
  for (const BookieId& bookie : ensemble) {
    if (!IsValidBookieId(bookie.value())) {
      return Invalid(StrCat("the fragment from entry ", fragment.first_entry.value(),
                            " has a member that is no bookie id"));
    }
    names.push_back(bookie.value());
  }
  std::sort(names.begin(), names.end());
  const auto duplicate = std::adjacent_find(names.begin(), names.end());
  if (duplicate != names.end()) {
    return Invalid(StrCat("the fragment from entry ", fragment.first_entry.value(), " has ",
                          *duplicate, " twice"));
  }
  return absl::OkStatus();
}

absl::Status CheckFragments(const LedgerMetadataFields& fields) {
  const std::vector<Fragment>& fragments = fields.fragments;
  if (fragments.empty()) return Invalid("there is no fragment");
  if (fragments.size() > kFragmentCountMax) {
    return Invalid(
        StrCat("there are ", fragments.size(), " fragments; at most ", kFragmentCountMax));
  }
  if (fragments.front().first_entry != EntryId(0)) {
    return Invalid(StrCat("the first fragment begins with entry ",
                          fragments.front().first_entry.value(), " instead of 0"));
  }
  for (size_t i = 0; i < fragments.size(); ++i) {
    if (i > 0 && fragments[i].first_entry <= fragments[i - 1].first_entry) {
      return Invalid(StrCat("the fragment from entry ", fragments[i].first_entry.value(),
                            " follows the one from entry ", fragments[i - 1].first_entry.value()));
    }
    STELE_TRY_OK(CheckEnsemble(fragments[i], fields.replication.ensemble_size));
  }
  return absl::OkStatus();
}

absl::Status CheckEnd(const LedgerMetadataFields& fields) {
  if (fields.state != LedgerState::kClosed) {
    if (fields.last_entry == kNoEntry && fields.length_bytes == 0) return absl::OkStatus();
    return Invalid("a ledger that is not closed has no last entry and no length");
  }
  if (fields.last_entry < kNoEntry || fields.length_bytes < 0) {
    return Invalid(StrCat("a closed ledger cannot end with entry ", fields.last_entry.value(),
                          " and length ", fields.length_bytes));
  }
  return absl::OkStatus();
}

absl::Status ClosedError() {
  return MakeError(ErrorCode::kLedgerClosed, "the ledger is closed in its metadata");
}

}  // namespace

absl::StatusOr<LedgerMetadata> LedgerMetadata::Create(LedgerMetadataFields fields) {
  const quorum::Replication& replication = fields.replication;
  if (!replication.IsValid()) {
    return Invalid(StrCat("ensemble size ", replication.ensemble_size, ", write quorum size ",
                          replication.write_quorum_size, " and ack quorum size ",
                          replication.ack_quorum_size, " do not fit together"));
  }
  STELE_TRY_OK(CheckFragments(fields));
  STELE_TRY_OK(CheckEnd(fields));
  return LedgerMetadata(std::move(fields));
}

const Fragment& LedgerMetadata::FragmentOf(EntryId entry) const {
  STELE_CHECK_OP(entry.value(), >=, 0);
  const auto behind = std::upper_bound(
      fields_.fragments.begin(), fields_.fragments.end(), entry,
      [](EntryId wanted, const Fragment& fragment) { return wanted < fragment.first_entry; });
  return *std::prev(behind);
}

absl::StatusOr<LedgerMetadata> LedgerMetadata::WithEnsembleFrom(EntryId first_entry,
                                                                Ensemble ensemble) const {
  if (IsClosed()) return ClosedError();
  const EntryId last_first = last_fragment().first_entry;
  if (first_entry < last_first) {
    return Invalid(StrCat("a new ensemble from entry ", first_entry.value(),
                          " would change the fragment before the last, which begins with entry ",
                          last_first.value()));
  }
  LedgerMetadataFields fields = CopyForUpdate();
  if (first_entry == last_first) {
    fields.fragments.back().ensemble = std::move(ensemble);
  } else {
    fields.fragments.push_back({first_entry, std::move(ensemble)});
  }
  return Create(std::move(fields));
}

absl::StatusOr<LedgerMetadata> LedgerMetadata::WithReplacedEnsemble(EntryId fragment_first_entry,
                                                                    Ensemble ensemble) const {
  LedgerMetadataFields fields = CopyForUpdate();
  const auto fragment =
      std::find_if(fields.fragments.begin(), fields.fragments.end(),
                   [&](const Fragment& one) { return one.first_entry == fragment_first_entry; });
  if (fragment == fields.fragments.end()) {
    return Invalid(StrCat("no fragment begins with entry ", fragment_first_entry.value()));
  }
  fragment->ensemble = std::move(ensemble);
  return Create(std::move(fields));
}

absl::StatusOr<LedgerMetadata> LedgerMetadata::WithInRecovery() const {
  if (IsClosed()) return ClosedError();
  LedgerMetadataFields fields = CopyForUpdate();
  fields.state = LedgerState::kInRecovery;
  return Create(std::move(fields));
}

absl::StatusOr<LedgerMetadata> LedgerMetadata::WithClosed(EntryId last_entry,
                                                          int64_t length_bytes) const {
  if (IsClosed()) return ClosedError();
  LedgerMetadataFields fields = CopyForUpdate();
  fields.state = LedgerState::kClosed;
  fields.last_entry = last_entry;
  fields.length_bytes = length_bytes;
  return Create(std::move(fields));
}

LedgerMetadata LedgerMetadata::WithCreatorToken(int64_t token) const {
  LedgerMetadata result = *this;
  result.fields_.creator_token = token;
  return result;
}

LedgerMetadataFields LedgerMetadata::CopyForUpdate() const {
  LedgerMetadataFields fields = fields_;
  fields.creator_token = 0;
  return fields;
}

}  // namespace stele::metadata
