#include "metadata/ledger_id_generator.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/decimal.h"

namespace stele::metadata {
namespace {

constexpr std::string_view kBucketPrefix = "HOB-";
constexpr int64_t kNumberMax = LedgerLayout::kFirstLongId - 1;
constexpr int64_t kBucketMax = INT32_MAX;
// Older buckets are of no use: nobody goes back.
constexpr size_t kBucketsKept = 3;

Task<void> DeleteAndForget(MetadataStore* store, std::string path, Version version) {
  // What is not deleted now ends with our session, or is swept by the next who makes a bucket.
  (co_await store->Delete(std::move(path), version)).IgnoreError();
}

std::optional<int64_t> BucketOf(std::string_view name) {
  if (name.substr(0, kBucketPrefix.size()) != kBucketPrefix) return std::nullopt;
  const std::optional<int64_t> bucket = ParseDecimal(name.substr(kBucketPrefix.size()));
  if (!bucket.has_value() || *bucket < 0 || *bucket > kBucketMax) return std::nullopt;
  return bucket;
}

}  // namespace

LedgerIdGenerator::LedgerIdGenerator(Executor* executor, MetadataStore* store,
                                     const LedgerLayout& layout)
    : store_(store), paths_(layout.root()), type_(layout.type()), deletions_(executor) {}

Task<absl::StatusOr<LedgerId>> LedgerIdGenerator::Next() {
  const bool has_long_ids =
      type_ == LayoutType::kHierarchical || type_ == LayoutType::kLongHierarchical;
  if (has_long_ids && !checked_long_ids_) {
    const absl::StatusOr<Node> node = co_await store_->Get(paths_.long_id_generator());
    if (!node.ok() && CodeOf(node.status()) != ErrorCode::kNoSuchKey) co_return node.status();
    long_ids_ = long_ids_ || node.ok();
    // When it is missing now and somebody makes it later, the shared counter is used up and sends
    // us there too.
    checked_long_ids_ = true;
  }
  if (long_ids_) co_return co_await NextLong();
  const std::string prefix =
      type_ == LayoutType::kFlat ? paths_.root() + "/ID-" : paths_.id_generator() + "/ID-";
  STELE_CO_TRY(const std::optional<int64_t> number, co_await NextNumber(prefix));
  if (number.has_value()) co_return LedgerId(*number);
  if (!has_long_ids) {
    co_return MakeError(ErrorCode::kUnsupported,
                        StrCat("all ids of the layout \"", NameOf(type_), "\" are used up"));
  }
  const absl::Status created =
      co_await store_->Create(paths_.long_id_generator(), "", NodeKind::kPersistent);
  if (!created.ok() && CodeOf(created) != ErrorCode::kKeyExists) co_return created;
  long_ids_ = true;
  co_return co_await NextLong();
}

Task<absl::StatusOr<std::optional<int64_t>>> LedgerIdGenerator::NextNumber(std::string prefix) {
  STELE_CO_TRY(const std::string path,
               co_await store_->CreateSequential(prefix, "", NodeKind::kEphemeral));
  deletions_.Spawn(DeleteAndForget(store_, path, kAnyVersion));
  std::optional<int64_t> number;
  if (path.size() > prefix.size()) number = ParseDecimal(path.substr(prefix.size()));
  if (!number.has_value()) {
    co_return MakeError(ErrorCode::kCorruptData,
                        StrCat("the store gave the sequential node ", path, " no number"));
  }
  // Behind its last number the counter of ZooKeeper turns negative.
  if (*number < 0 || *number > kNumberMax) co_return std::optional<int64_t>();
  co_return number;
}

Task<absl::StatusOr<LedgerId>> LedgerIdGenerator::NextLong() {
  for (;;) {
    if (!bucket_.has_value()) {
      STELE_CO_TRY(const int64_t latest, co_await LatestBucket());
      bucket_ = std::max(latest, bucket_.value_or(0));
    }
    const int64_t bucket = *bucket_;
    STELE_CO_TRY(const std::optional<int64_t> number,
                 co_await NextNumber(BucketPath(bucket) + "/ID-"));
    if (number.has_value()) co_return LedgerId((bucket << 32) | *number);
    if (bucket >= kBucketMax) {
      co_return MakeError(ErrorCode::kUnsupported, "all ledger ids are used up");
    }
    if (bucket_ == bucket) {
      STELE_CO_TRY_OK(co_await CreateBucket(bucket + 1));
      if (bucket_ == bucket) bucket_.reset();  // look which one is the latest now
    }
  }
}

Task<absl::StatusOr<int64_t>> LedgerIdGenerator::LatestBucket() {
  for (;;) {
    STELE_CO_TRY(const std::vector<std::string> names,
                 co_await store_->Children(paths_.long_id_generator()));
    std::vector<int64_t> buckets;
    for (const std::string& name : names) {
      if (const std::optional<int64_t> bucket = BucketOf(name)) buckets.push_back(*bucket);
    }
    std::sort(buckets.begin(), buckets.end());
    if (buckets.empty()) {
      STELE_CO_TRY_OK(co_await CreateBucket(1));
      continue;
    }
    for (size_t i = 0; i + kBucketsKept < buckets.size(); ++i) {
      deletions_.Spawn(DeleteAndForget(store_, BucketPath(buckets[i]), 0));
    }
    co_return buckets.back();
  }
}

Task<absl::Status> LedgerIdGenerator::CreateBucket(int64_t bucket) {
  const absl::Status created =
      co_await store_->Create(BucketPath(bucket), "", NodeKind::kPersistent);
  co_return CodeOf(created) == ErrorCode::kKeyExists ? absl::OkStatus() : created;
}

std::string LedgerIdGenerator::BucketPath(int64_t bucket) const {
  return StrCat(paths_.long_id_generator(), "/", kBucketPrefix, ZeroPadded(bucket, 10));
}

}  // namespace stele::metadata
