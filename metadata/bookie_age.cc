#include "metadata/bookie_age.h"

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/decimal.h"
#include "metadata/private_root.h"

namespace stele::metadata {

BookieAge::BookieAge(MetadataStore* store, const std::optional<std::string>& instance_id,
                     const BookieId& bookie)
    : store_(store), path_(StrCat(PrivateRoot(instance_id), "/ages/", bookie.value())) {}

Task<absl::StatusOr<BookieAge::Stored>> BookieAge::Find() {
  const absl::StatusOr<Node> node = co_await store_->Get(path_);
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return Stored();
  STELE_CO_TRY_OK(node.status());
  const std::optional<int64_t> age = ParseDecimal(node->value);
  if (!age.has_value() || *age < 0 || *age == INT64_MAX) {
    co_return MakeError(ErrorCode::kCorruptData, StrCat(path_, " is not the age of a bookie"));
  }
  co_return Stored{*age, node->version};
}

Task<absl::StatusOr<int64_t>> BookieAge::Read() {
  STELE_CO_TRY(const Stored stored, co_await Find());
  co_return stored.age;
}

Task<absl::Status> BookieAge::Raise(int64_t age) {
  STELE_CO_TRY(const Stored stored, co_await Find());
  if (stored.age >= age) co_return absl::OkStatus();
  if (!stored.version.has_value()) {
    co_return co_await store_->Create(path_, StrCat(age), NodeKind::kPersistent);
  }
  co_return (co_await store_->Put(path_, StrCat(age), *stored.version)).status();
}

}  // namespace stele::metadata
