#include "autorecovery/cluster_check.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "autorecovery/internal/bookie_answers.h"
#include "autorecovery/internal/ledger_check.h"
#include "autorecovery/internal/ledger_scan.h"
#include "client/internal/client_core.h"
#include "common/base/errors.h"
#include "common/base/try.h"

namespace stele::autorecovery {

class ClusterCheck::Impl {
 public:
  Impl(Env env, metadata::MetadataStore* store, const metadata::Cluster& cluster,
       client::ClientOptions options)
      : core_(env, store, cluster, options) {}

  client::ClientCore& core() { return core_; }

  Task<absl::Status> Start() { return core_.Start(); }

  Task<absl::StatusOr<std::set<BookieId>>> Known() {
    STELE_CO_TRY(const std::vector<BookieId> all, co_await core_.registry().AllBookies());
    co_return std::set<BookieId>(all.begin(), all.end());
  }

  // Twice, when the first look finds something.
  Task<absl::Status> CheckLedger(const std::set<BookieId>* known, CheckDepth depth, LedgerId ledger,
                                 CheckReport* report) {
    CheckReport found;
    STELE_CO_TRY_OK(co_await CheckLedgerOnce(&core_, known, depth, ledger, &found));
    if (!found.IsClean()) {
      found = CheckReport();
      STELE_CO_TRY_OK(co_await CheckLedgerOnce(&core_, known, depth, ledger, &found));
    }
    report->ledgers += found.ledgers;
    report->open_ledgers += found.open_ledgers;
    report->copies += found.copies;
    report->copies_proven += found.copies_proven;
    report->bytes_read += found.bytes_read;
    report->finding_count += found.finding_count;
    for (CheckFinding& finding : found.findings) {
      if (report->findings.size() < kFindingsMax) report->findings.push_back(std::move(finding));
    }
    co_return absl::OkStatus();
  }

 private:
  client::ClientCore core_;
};

ClusterCheck::ClusterCheck(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ClusterCheck::~ClusterCheck() = default;

Task<absl::StatusOr<std::unique_ptr<ClusterCheck>>> ClusterCheck::Open(
    Env env, metadata::MetadataStore* store, metadata::Cluster cluster,
    client::ClientOptions options) {
  auto impl = std::make_unique<Impl>(env, store, cluster, options);
  STELE_CO_TRY_OK(co_await impl->Start());
  co_return std::unique_ptr<ClusterCheck>(new ClusterCheck(std::move(impl)));
}

Task<absl::StatusOr<CheckReport>> ClusterCheck::CheckAll(
    CheckDepth depth, size_t ledgers_in_flight_max, absl::AnyInvocable<void(int64_t)> progress) {
  STELE_CO_TRY(const std::set<BookieId> known, co_await impl_->Known());
  CheckReport report;
  const auto visit = [this, &known, depth, &report, &progress](LedgerId ledger) {
    progress(report.ledgers);
    return impl_->CheckLedger(&known, depth, ledger, &report);
  };
  STELE_CO_TRY_OK(
      co_await ForEachLedger(&impl_->core().ledgers(), LedgerId(0), ledgers_in_flight_max, visit));
  std::sort(report.findings.begin(), report.findings.end(),
            [](const CheckFinding& a, const CheckFinding& b) {
              return std::tie(a.ledger, a.first_entry, a.bookie) <
                     std::tie(b.ledger, b.first_entry, b.bookie);
            });
  co_return report;
}

Task<absl::StatusOr<CheckReport>> ClusterCheck::CheckOne(CheckDepth depth, LedgerId ledger) {
  STELE_CO_TRY(const std::set<BookieId> known, co_await impl_->Known());
  CheckReport report;
  STELE_CO_TRY_OK(co_await impl_->CheckLedger(&known, depth, ledger, &report));
  co_return report;
}

Task<absl::StatusOr<std::vector<FragmentState>>> ClusterCheck::Explain(LedgerId ledger) {
  co_return co_await ExplainLedger(&impl_->core(), ledger);
}

Task<absl::StatusOr<Buffer>> ClusterCheck::ReadPacket(BookieId bookie, LedgerId ledger,
                                                      EntryId entry) {
  co_return co_await autorecovery::ReadPacket(&impl_->core().context(), std::move(bookie), ledger,
                                              entry);
}

Task<absl::StatusOr<BookieSpace>> ClusterCheck::SpaceOf(BookieId bookie) {
  STELE_CO_TRY(const wire::GetBookieInfoReply info,
               co_await AskForSpace(&impl_->core().context(), bookie));
  co_return BookieSpace{.total_bytes = info.total_disk_capacity_bytes.value_or(0),
                        .free_bytes = info.free_disk_space_bytes.value_or(0)};
}

Task<void> ClusterCheck::Close() {
  // What a client has to say about its end helps nobody.
  (co_await impl_->core().Close()).IgnoreError();
}

}  // namespace stele::autorecovery
