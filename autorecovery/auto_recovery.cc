#include "autorecovery/auto_recovery.h"

#include <utility>

#include "autorecovery/internal/auditor.h"
#include "autorecovery/internal/bookie_answers.h"
#include "autorecovery/internal/replication_worker.h"
#include "client/internal/client_core.h"
#include "common/base/try.h"

namespace stele::autorecovery {

// In the order of construction: each uses those before it.
class AutoRecovery::Parts {
 public:
  Parts(Env env, metadata::MetadataStore* store, const metadata::Cluster& cluster,
        AutorecoveryOptions options)
      : options_(std::move(options)),
        core_(env, store, cluster, options_.client),
        worker_(env, store, cluster, &core_, &options_),
        auditor_(env, store, cluster, &core_, &options_) {}

  Task<absl::Status> Start() {
    STELE_CO_TRY_OK(co_await core_.Start());
    if (options_.runs_worker) STELE_CO_TRY_OK(co_await worker_.Start());
    if (options_.runs_auditor) STELE_CO_TRY_OK(co_await auditor_.Start());
    co_return absl::OkStatus();
  }

  Task<void> Stop() {
    co_await auditor_.Stop();
    co_await worker_.Stop();
    // What a client has to say about its end helps nobody.
    (co_await core_.Close()).IgnoreError();
  }

  client::ClientCore& core() { return core_; }
  const ReplicationWorker& worker() const { return worker_; }
  const Auditor& auditor() const { return auditor_; }

 private:
  const AutorecoveryOptions options_;
  client::ClientCore core_;
  ReplicationWorker worker_;
  Auditor auditor_;
};

AutoRecovery::AutoRecovery(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
AutoRecovery::~AutoRecovery() = default;

Task<absl::StatusOr<std::unique_ptr<AutoRecovery>>> AutoRecovery::Start(
    Env env, metadata::MetadataStore* store, metadata::Cluster cluster,
    AutorecoveryOptions options) {
  auto parts = std::make_unique<Parts>(env, store, cluster, std::move(options));
  STELE_CO_TRY_OK(co_await parts->Start());
  co_return std::unique_ptr<AutoRecovery>(new AutoRecovery(std::move(parts)));
}

Task<void> AutoRecovery::Stop() { co_await parts_->Stop(); }

Task<absl::StatusOr<BookieSpace>> AutoRecovery::SpaceOf(BookieId bookie, absl::Duration timeout) {
  STELE_CO_TRY(const wire::GetBookieInfoReply info,
               co_await AskForSpace(&parts_->core().context(), std::move(bookie), timeout));
  co_return BookieSpace{.total_bytes = info.total_disk_capacity_bytes.value_or(0),
                        .free_bytes = info.free_disk_space_bytes.value_or(0)};
}

AuditorStatus AutoRecovery::auditor_status() const { return parts_->auditor().status(); }
WorkerStatus AutoRecovery::worker_status() const { return parts_->worker().status(); }

void AutoRecovery::Export(observe::MetricsText& into) const {
  parts_->auditor().Export(into);
  parts_->worker().Export(into);
}

}  // namespace stele::autorecovery
