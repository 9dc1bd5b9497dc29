#include "autorecovery/drain.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "autorecovery/references.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_registry.h"

namespace stele::autorecovery {

namespace {

void Block(DrainView& view, LedgerId ledger, std::string_view reason) {
  if (view.blocked.size() < DrainView::kBlockedMax) {
    view.blocked.push_back({ledger, std::string(reason)});
  }
}

DrainView ToView(const std::vector<Reference>& references,
                 const std::vector<LedgerId>& quarantined) {
  DrainView view;
  for (const Reference& reference : references) {
    if (reference.is_in_open_tail) {
      ++view.ledgers_open;
      Block(view, reference.ledger,
            "open: its writer, or a recovery, has to end it or to replace the bookie");
      continue;
    }
    ++view.ledgers_left;
    view.bytes_left += reference.bytes;
    if (std::binary_search(quarantined.begin(), quarantined.end(), reference.ledger)) {
      Block(view, reference.ledger, "quarantined: it has entries that no bookie gives");
    }
  }
  return view;
}

}  // namespace

Task<absl::StatusOr<std::map<BookieId, DrainView>>> LookAtDrains(
    metadata::LedgerManager* ledgers, metadata::AutorecoveryRecords* records,
    std::vector<BookieId> bookies) {
  STELE_CO_TRY(const References references, co_await FindReferences(ledgers, std::move(bookies)));
  STELE_CO_TRY(const std::vector<LedgerId> quarantined, co_await records->Quarantined());
  std::map<BookieId, DrainView> views;
  for (const auto& [bookie, of_bookie] : references.of) {
    DrainView view = ToView(of_bookie, quarantined);
    view.ledgers_unreadable = static_cast<int64_t>(references.unreadable.size());
    for (const LedgerId ledger : references.unreadable) {
      Block(view, ledger, "damaged metadata: whom it names is not known");
    }
    views.emplace(bookie, std::move(view));
  }
  co_return views;
}

Task<absl::StatusOr<DrainView>> LookAtDrain(metadata::LedgerManager* ledgers,
                                            metadata::AutorecoveryRecords* records,
                                            BookieId bookie) {
  STELE_CO_TRY(auto views, co_await LookAtDrains(ledgers, records, {std::move(bookie)}));
  co_return std::move(views.begin()->second);
}

Task<absl::Status> CheckBookieExists(Env env, metadata::MetadataStore* store,
                                     metadata::ClusterPaths paths, BookieId bookie) {
  metadata::BookieRegistry registry(env, store, std::move(paths));
  STELE_CO_TRY_OK(co_await registry.Start());
  STELE_CO_TRY(const auto all, co_await registry.AllBookies());
  if (registry.bookies().IsUp(bookie)) co_return absl::OkStatus();
  if (std::find(all.begin(), all.end(), bookie) != all.end()) co_return absl::OkStatus();
  co_return MakeError(ErrorCode::kNoSuchKey, StrCat("there is no bookie ", bookie.value()));
}

DrainPace::DrainPace(MonotonicTime now, int64_t ledgers_left, int64_t bytes_left)
    : progressed_at_(now),
      work_left_(WorkOf(ledgers_left, bytes_left)),
      ledgers_left_(ledgers_left),
      from_{now, work_left_} {}

void DrainPace::OnLook(MonotonicTime now, int64_t ledgers_left, int64_t bytes_left) {
  const bool is_progress = ledgers_left < ledgers_left_;
  if (is_progress && first_.has_value()) from_ = *first_;
  ledgers_left_ = ledgers_left;
  work_left_ = WorkOf(ledgers_left, bytes_left);
  if (!is_progress) return;
  progressed_at_ = now;
  if (!first_.has_value()) first_ = Point{now, work_left_};
}

std::optional<absl::Duration> DrainPace::Remaining(MonotonicTime now) const {
  const int64_t done = from_.work_left - work_left_;
  if (done <= 0) return std::nullopt;
  const int64_t seconds = std::max<int64_t>(absl::ToInt64Seconds(now - from_.at), 1);
  // In units in which a petabyte for a year does not overflow.
  constexpr int64_t kUnit = 64 << 10;
  return absl::Seconds(work_left_ / kUnit * seconds / std::max<int64_t>(done / kUnit, 1));
}

}  // namespace stele::autorecovery
