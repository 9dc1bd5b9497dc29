#include "bookie/admin/bookie_operations.h"

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

absl::Status NotServing() { return MakeError(ErrorCode::kStopped, "the bookie does not serve"); }

}  // namespace

absl::StatusOr<metadata::BookieMode> BookieOperations::Readiness() const {
  if (bookie_ == nullptr) return NotServing();
  const BookieStatus status = bookie_->Status();
  if (status.is_stopping) return MakeError(ErrorCode::kStopped, "stopping");
  if (!status.registered.has_value()) return MakeError(ErrorCode::kStopped, "not registered");
  return *status.registered;
}

absl::StatusOr<BookieStatus> BookieOperations::Status() const {
  if (bookie_ == nullptr) return NotServing();
  return bookie_->Status();
}

Task<absl::StatusOr<metadata::BookieMode>> BookieOperations::SetReadOnly(bool read_only) {
  if (bookie_ == nullptr) co_return NotServing();
  const absl::Status done = co_await bookie_->SetReadOnly(read_only);
  if (!done.ok()) co_return done;
  if (bookie_ == nullptr) co_return NotServing();
  co_return bookie_->Status().mode;
}

absl::Status BookieOperations::StartGarbageCollection(CompactionKinds compact) {
  if (bookie_ == nullptr) return NotServing();
  if (is_in_forced_gc_) {
    return MakeError(ErrorCode::kKeyExists, "a forced collection runs already");
  }
  std::optional<CompactionKind> kind;
  if (compact.minor) kind = CompactionKind::kMinor;
  if (compact.major) kind = CompactionKind::kMajor;
  is_in_forced_gc_ = true;
  scope_.Spawn(CollectGarbage(kind));
  return absl::OkStatus();
}

Task<void> BookieOperations::CollectGarbage(std::optional<CompactionKind> compact) {
  const absl::Status done = co_await bookie_->CollectGarbage(compact);
  is_in_forced_gc_ = false;
  if (done.ok()) co_return;
  log_->Write(observe::LogLevel::kWarning, "the garbage collection that was asked for broke off",
              {{"error", ToStd(done.message())}});
}

absl::Status BookieOperations::SuspendCompaction(CompactionKinds kinds, bool suspended) {
  if (!kinds.major && !kinds.minor) {
    return MakeError(ErrorCode::kInvalidArgument, "neither major nor minor compaction is named");
  }
  if (bookie_ == nullptr) return NotServing();
  if (kinds.major) bookie_->SuspendCompaction(CompactionKind::kMajor, suspended);
  if (kinds.minor) bookie_->SuspendCompaction(CompactionKind::kMinor, suspended);
  return absl::OkStatus();
}

Task<absl::Status> BookieOperations::Checkpoint() {
  if (bookie_ == nullptr) co_return NotServing();
  co_return co_await bookie_->Checkpoint();
}

absl::StatusOr<std::vector<LedgerId>> BookieOperations::Ledgers(LedgerId first,
                                                                size_t count_max) const {
  if (bookie_ == nullptr) return NotServing();
  return bookie_->Ledgers(first, count_max);
}

}  // namespace stele::bookie
