#include "autorecovery/admin/autorecovery_service.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_id.h"
#include "proto/stele_admin.pb.h"

namespace stele::autorecovery {
namespace {

namespace v1 = stele::admin::v1;
using rpc::Access;

absl::Status CheckId(const BookieId& bookie) {
  if (metadata::IsValidBookieId(bookie.value())) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidArgument, "bookie_id is no bookie id");
}

Task<absl::StatusOr<v1::AutorecoveryState>> GetState(AutorecoveryOperations* operations) {
  v1::AutorecoveryState state;
  STELE_CO_TRY(const bool enabled, co_await operations->cluster().IsEnabled());
  STELE_CO_TRY(const std::optional<std::string> auditor, co_await operations->cluster().Auditor());
  STELE_CO_TRY_OK(operations->Readiness());
  const AutoRecovery& running = *operations->running()->autorecovery;
  const WorkerStatus worker = running.worker_status();
  state.set_enabled(enabled);
  state.set_auditor(auditor.value_or(""));
  state.set_is_auditor(running.auditor_status().is_leader);
  state.set_repairs_running(worker.repairs_running);
  state.set_ledgers_repaired(worker.ledgers_repaired);
  state.set_bytes_copied(worker.bytes_copied);
  co_return state;
}

Task<absl::StatusOr<v1::SetEnabledReply>> SetEnabled(AutorecoveryOperations* operations,
                                                     bool enabled) {
  STELE_CO_TRY_OK(co_await operations->cluster().SetEnabled(enabled));
  v1::SetEnabledReply reply;
  reply.set_enabled(enabled);
  co_return reply;
}

Task<absl::StatusOr<v1::UndrainReply>> Undrain(AutorecoveryOperations* operations,
                                               BookieId bookie) {
  STELE_CO_TRY_OK(operations->Readiness());
  STELE_CO_TRY_OK(CheckId(bookie));
  metadata::AutorecoveryRecords records(operations->running()->store,
                                        operations->running()->cluster);
  STELE_CO_TRY(const bool was, co_await records.ClearDraining(bookie));
  if (!was) {
    co_return MakeError(ErrorCode::kNoSuchKey,
                        StrCat("bookie ", bookie.value(), " is not draining"));
  }
  co_return v1::UndrainReply();
}

v1::DrainProgress::State StateOf(const DrainView& view, bool is_stuck) {
  if (view.IsDrained()) return v1::DrainProgress::DRAINED;
  if (view.ledgers_left == 0) return v1::DrainProgress::WAITING;
  return is_stuck ? v1::DrainProgress::STUCK : v1::DrainProgress::RUNNING;
}

v1::DrainProgress ToProgress(v1::DrainProgress::State state, const DrainView& first,
                             const DrainView& now) {
  v1::DrainProgress progress;
  progress.set_state(state);
  progress.set_ledgers_total(first.ledgers_left);
  progress.set_ledgers_left(now.ledgers_left);
  progress.set_bytes_total(first.bytes_left);
  progress.set_bytes_left(now.bytes_left);
  progress.set_ledgers_open(now.ledgers_open);
  for (const DrainView::Blocked& blocked : now.blocked) {
    v1::DrainProgress::Blocked* const added = progress.add_blocked();
    added->set_ledger(blocked.ledger.value());
    added->set_reason(blocked.reason);
  }
  return progress;
}

}  // namespace

Task<absl::Status> AutorecoveryService::Drain(BookieId bookie, bool dry_run, Stream to) {
  STELE_CO_TRY_OK(operations_->Readiness());
  STELE_CO_TRY_OK(CheckId(bookie));
  if (drains_watched_ >= kDrainsWatchedMax) {
    co_return MakeError(ErrorCode::kOverloaded, "other drains are being watched");
  }
  ++drains_watched_;
  const absl::Status ended = co_await Watch(*operations_->running(), bookie, dry_run, to);
  --drains_watched_;
  co_return ended;
}

// The drain goes on after the watch, however it ends.
Task<absl::Status> AutorecoveryService::Watch(AutorecoveryOperations::Running running,
                                              BookieId bookie, bool dry_run, Stream to) {
  const metadata::ClusterPaths paths(running.cluster.layout.root());
  STELE_CO_TRY_OK(co_await CheckBookieExists(env_, running.store, paths, bookie));
  metadata::LedgerManager ledgers(env_, running.store, running.cluster.layout);
  metadata::AutorecoveryRecords records(running.store, running.cluster);
  co_return co_await Follow(&ledgers, &records, bookie, dry_run, to);
}

Task<absl::Status> AutorecoveryService::Follow(metadata::LedgerManager* ledgers,
                                               metadata::AutorecoveryRecords* records,
                                               BookieId bookie, bool dry_run, Stream to) {
  STELE_CO_TRY(const DrainView first, co_await LookAtDrain(ledgers, records, bookie));
  if (dry_run) {
    co_await to.Send(ToProgress(v1::DrainProgress::WOULD_RUN, first, first));
    co_return absl::OkStatus();
  }
  STELE_CO_TRY(const bool is_new, co_await records->SetDraining(bookie, env_.clock->WallNow()));
  (void)is_new;  // one that goes on is watched like a new one
  DrainPace pace(env_.clock->Now(), first.ledgers_left, first.bytes_left);
  DrainView now = first;
  for (;;) {
    const v1::DrainProgress::State state = StateOf(now, pace.IsStuck(env_.clock->Now()));
    v1::DrainProgress progress = ToProgress(state, first, now);
    const auto remaining = pace.Remaining(env_.clock->Now());
    if (remaining.has_value()) progress.set_eta_seconds(absl::ToInt64Seconds(*remaining));
    if (!co_await to.Send(progress)) break;
    if (state != v1::DrainProgress::RUNNING) break;
    if (!co_await to.Pause(kDrainLookInterval)) break;
    STELE_CO_TRY(now, co_await LookAtDrain(ledgers, records, bookie));
    pace.OnLook(env_.clock->Now(), now.ledgers_left, now.bytes_left);
  }
  co_return absl::OkStatus();
}

void AutorecoveryService::AddTo(rpc::Router& router) {
  const std::string autorecovery = "/stele.admin.v1.Autorecovery/";
  router.Add<v1::GetAutorecoveryStateRequest, v1::AutorecoveryState>(
      Access::kLook, autorecovery + "GetState",
      [this](v1::GetAutorecoveryStateRequest) { return GetState(operations_); });
  router.Add<v1::SetEnabledRequest, v1::SetEnabledReply>(
      Access::kChange, autorecovery + "SetEnabled",
      [this](v1::SetEnabledRequest request) { return SetEnabled(operations_, request.enabled()); });
  router.AddStream<v1::DrainRequest, v1::DrainProgress>(
      Access::kChange, autorecovery + "Drain", [this](v1::DrainRequest request, Stream to) {
        return Drain(BookieId(request.bookie_id()), request.dry_run(), to);
      });
  router.Add<v1::UndrainRequest, v1::UndrainReply>(
      Access::kChange, autorecovery + "Undrain", [this](v1::UndrainRequest request) {
        return Undrain(operations_, BookieId(request.bookie_id()));
      });
}

}  // namespace stele::autorecovery
