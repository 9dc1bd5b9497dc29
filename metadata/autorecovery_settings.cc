#include "metadata/autorecovery_settings.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::metadata {

Task<absl::StatusOr<bool>> AutorecoverySettings::IsEnabled() {
  const absl::StatusOr<Node> node = co_await store_->Get(paths_.disable());
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return true;
  STELE_CO_TRY_OK(node.status());
  co_return false;
}

Task<absl::StatusOr<bool>> AutorecoverySettings::SetEnabled(bool enabled) {
  const absl::Status done =
      enabled ? co_await store_->Delete(paths_.disable(), kAnyVersion)
              : co_await store_->Create(paths_.disable(), "", NodeKind::kPersistent);
  if (done.ok()) co_return true;
  const ErrorCode already = enabled ? ErrorCode::kNoSuchKey : ErrorCode::kKeyExists;
  if (CodeOf(done) == already) co_return false;
  co_return done;
}

Task<absl::StatusOr<std::optional<absl::Duration>>> AutorecoverySettings::RecoveryDelay() {
  const absl::StatusOr<Node> node = co_await store_->Get(paths_.recovery_delay());
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return std::optional<absl::Duration>();
  STELE_CO_TRY_OK(node.status());
  STELE_CO_TRY(const absl::Duration delay, ParseRecoveryDelay(node->value));
  co_return std::optional<absl::Duration>(delay);
}

Task<absl::Status> AutorecoverySettings::SetRecoveryDelay(absl::Duration delay) {
  co_return co_await PutOrCreate(paths_.recovery_delay(), SerializeRecoveryDelay(delay));
}

Task<absl::StatusOr<absl::Duration>> AutorecoverySettings::EnsureRecoveryDelay(
    absl::Duration initial) {
  STELE_CO_TRY(std::optional<absl::Duration> delay, co_await RecoveryDelay());
  if (delay.has_value()) co_return *delay;
  const absl::Status made = co_await store_->Create(
      paths_.recovery_delay(), SerializeRecoveryDelay(initial), NodeKind::kPersistent);
  if (made.ok()) co_return initial;
  if (CodeOf(made) != ErrorCode::kKeyExists) co_return made;
  STELE_CO_TRY(delay, co_await RecoveryDelay());
  co_return delay.value_or(initial);
}

Task<absl::StatusOr<std::optional<absl::Time>>> AutorecoverySettings::CheckTime(CheckKind kind) {
  STELE_CO_TRY(const CheckDate date, co_await ReadCheckDate(kind));
  co_return date.time;
}

Task<absl::StatusOr<CheckDate>> AutorecoverySettings::ReadCheckDate(CheckKind kind) {
  const absl::StatusOr<Node> node = co_await store_->Get(paths_.CheckTime(kind));
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return CheckDate();
  STELE_CO_TRY_OK(node.status());
  co_return CheckDate{.time = ParseCheckTime(node->value), .version = node->version};
}

Task<absl::Status> AutorecoverySettings::SetCheckTime(CheckKind kind, absl::Time time) {
  co_return co_await PutOrCreate(paths_.CheckTime(kind), SerializeCheckTime(time));
}

Task<absl::Status> AutorecoverySettings::ReplaceCheckDate(CheckKind kind, CheckDate known,
                                                          absl::Time time) {
  const std::string path = paths_.CheckTime(kind);
  std::string value = SerializeCheckTime(time);
  const absl::Status written =
      known.version.has_value()
          ? (co_await store_->Put(path, std::move(value), *known.version)).status()
          : co_await store_->Create(path, std::move(value), NodeKind::kPersistent);
  const ErrorCode code = CodeOf(written);
  if (code == ErrorCode::kNoSuchKey || code == ErrorCode::kKeyExists) {
    co_return MakeError(ErrorCode::kMetadataConflict, StrCat(path, " has come or gone"));
  }
  co_return written;
}

Task<absl::Status> AutorecoverySettings::PutOrCreate(std::string path, std::string value) {
  const absl::Status put = (co_await store_->Put(path, value, kAnyVersion)).status();
  if (CodeOf(put) != ErrorCode::kNoSuchKey) co_return put;
  const absl::Status made = co_await store_->Create(path, value, NodeKind::kPersistent);
  if (CodeOf(made) != ErrorCode::kKeyExists) co_return made;
  co_return (co_await store_->Put(std::move(path), std::move(value), kAnyVersion)).status();
}

}  // namespace stele::metadata
