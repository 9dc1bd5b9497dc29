#include "bookie/admin/bookie_service.h"

#include <optional>
#include <string>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "proto/stele_admin.pb.h"

namespace stele::bookie {
namespace {

namespace v1 = stele::admin::v1;
using metadata::BookieMode;
using rpc::Access;

// Ledgers in one answer.
constexpr int32_t kPageMax = 10'000;
constexpr int32_t kPageDefault = 1'000;

v1::BookieState::Registration RegistrationOf(std::optional<BookieMode> registered) {
  if (!registered.has_value()) return v1::BookieState::REGISTRATION_NONE;
  return *registered == BookieMode::kReadOnly ? v1::BookieState::REGISTRATION_READ_ONLY
                                              : v1::BookieState::REGISTRATION_WRITABLE;
}

v1::CompactionState CompactionOf(const BookieStatus& status) {
  v1::CompactionState state;
  state.set_major_suspended(status.major_compaction_suspended);
  state.set_minor_suspended(status.minor_compaction_suspended);
  state.set_major_running(status.compacting == CompactionKind::kMajor);
  state.set_minor_running(status.compacting == CompactionKind::kMinor);
  return state;
}

Task<absl::StatusOr<v1::BookieState>> GetState(BookieOperations* operations) {
  STELE_CO_TRY(const BookieStatus status, operations->Status());
  v1::BookieState state;
  state.set_bookie_id(status.id.value());
  state.set_stopping(status.is_stopping);
  state.set_read_only(status.mode == BookieMode::kReadOnly);
  state.set_read_only_by_operator(status.is_read_only_by_operator);
  state.set_read_only_by_configuration(status.is_forced_read_only);
  state.set_registration(RegistrationOf(status.registered));
  state.set_takes_high_priority_writes(status.takes_high_priority_writes);
  state.set_ledgers(static_cast<int64_t>(status.storage.ledgers));
  state.set_disk_bytes(static_cast<int64_t>(status.disk.total_bytes));
  state.set_disk_bytes_free(static_cast<int64_t>(status.disk.free_bytes));
  for (const std::string& directory : status.full_directories) {
    state.add_full_directories(directory);
  }
  state.set_gc_running(status.is_collecting_garbage);
  state.set_forced_gc_running(operations->is_in_forced_gc());
  *state.mutable_compaction() = CompactionOf(status);
  co_return state;
}

Task<absl::StatusOr<v1::SetReadOnlyReply>> SetReadOnly(BookieOperations* operations,
                                                       bool read_only) {
  STELE_CO_TRY(const BookieMode mode, co_await operations->SetReadOnly(read_only));
  v1::SetReadOnlyReply reply;
  reply.set_read_only(mode == BookieMode::kReadOnly);
  co_return reply;
}

CompactionKinds KindsOf(const v1::CompactionKinds& kinds) {
  return {.major = kinds.major(), .minor = kinds.minor()};
}

Task<absl::StatusOr<v1::CollectGarbageReply>> CollectGarbage(BookieOperations* operations,
                                                             CompactionKinds compact) {
  STELE_CO_TRY_OK(operations->StartGarbageCollection(compact));
  co_return v1::CollectGarbageReply();
}

Task<absl::StatusOr<v1::CompactionState>> SwitchCompaction(BookieOperations* operations,
                                                           CompactionKinds kinds, bool suspended) {
  STELE_CO_TRY_OK(operations->SuspendCompaction(kinds, suspended));
  STELE_CO_TRY(const BookieStatus status, operations->Status());
  co_return CompactionOf(status);
}

Task<absl::StatusOr<v1::CheckpointReply>> Checkpoint(BookieOperations* operations) {
  STELE_CO_TRY_OK(co_await operations->Checkpoint());
  co_return v1::CheckpointReply();
}

Task<absl::StatusOr<v1::ListLedgersReply>> ListLedgers(BookieOperations* operations, int64_t first,
                                                       int32_t limit) {
  if (first < 0) co_return MakeError(ErrorCode::kInvalidArgument, "first must be at least 0");
  if (limit < 0 || limit > kPageMax) {
    co_return MakeError(ErrorCode::kInvalidArgument, StrCat("limit must be 0 to ", kPageMax));
  }
  const auto page = static_cast<size_t>(limit == 0 ? kPageDefault : limit);
  // One more tells whether there are more.
  STELE_CO_TRY(std::vector<LedgerId> ledgers, operations->Ledgers(LedgerId(first), page + 1));
  v1::ListLedgersReply reply;
  reply.set_more(ledgers.size() > page);
  if (ledgers.size() > page) ledgers.pop_back();
  for (LedgerId ledger : ledgers) reply.add_ledgers(ledger.value());
  co_return reply;
}

}  // namespace

void AddBookieService(BookieOperations* operations, rpc::Router& router) {
  const std::string bookie = "/stele.admin.v1.Bookie/";
  router.Add<v1::GetBookieStateRequest, v1::BookieState>(
      Access::kLook, bookie + "GetState",
      [operations](v1::GetBookieStateRequest) { return GetState(operations); });
  router.Add<v1::SetReadOnlyRequest, v1::SetReadOnlyReply>(
      Access::kChange, bookie + "SetReadOnly", [operations](v1::SetReadOnlyRequest request) {
        return SetReadOnly(operations, request.read_only());
      });
  router.Add<v1::CollectGarbageRequest, v1::CollectGarbageReply>(
      Access::kChange, bookie + "CollectGarbage", [operations](v1::CollectGarbageRequest request) {
        return CollectGarbage(operations, KindsOf(request.compact()));
      });
  router.Add<v1::CompactionKinds, v1::CompactionState>(
      Access::kChange, bookie + "SuspendCompaction", [operations](v1::CompactionKinds kinds) {
        return SwitchCompaction(operations, KindsOf(kinds), true);
      });
  router.Add<v1::CompactionKinds, v1::CompactionState>(
      Access::kChange, bookie + "ResumeCompaction", [operations](v1::CompactionKinds kinds) {
        return SwitchCompaction(operations, KindsOf(kinds), false);
      });
  router.Add<v1::CheckpointRequest, v1::CheckpointReply>(
      Access::kChange, bookie + "Checkpoint",
      [operations](v1::CheckpointRequest) { return Checkpoint(operations); });
  router.Add<v1::ListLedgersRequest, v1::ListLedgersReply>(
      Access::kLook, bookie + "ListLedgers", [operations](v1::ListLedgersRequest request) {
        return ListLedgers(operations, request.first(), request.limit());
      });
}

}  // namespace stele::bookie
