#include "metadata/ledger_watch.h"

#include <utility>

#include "common/base/errors.h"
#include "metadata/ledger_manager.h"

namespace stele::metadata {
namespace {

constexpr absl::Duration kRetryAfter = absl::Milliseconds(200);

}  // namespace

LedgerWatch::LedgerWatch(Env env, MetadataStore* store, LedgerId ledger, std::string path)
    : env_(env), store_(store), ledger_(ledger), path_(std::move(path)), changed_(env.executor) {
  watch_ = store_->WatchNode(path_, [this] { changed_.Raise(); });
}

Task<absl::StatusOr<std::optional<Versioned<LedgerMetadata>>>> LedgerWatch::Next() {
  using Result = std::optional<Versioned<LedgerMetadata>>;
  for (;;) {
    co_await changed_.Wait();
    absl::StatusOr<Versioned<LedgerMetadata>> read =
        co_await ReadLedgerMetadata(store_, ledger_, path_);
    if (read.ok()) {
      if (seen_.has_value() && read->version <= *seen_) continue;
      seen_ = read->version;
      co_return Result(*std::move(read));
    }
    const ErrorCode code = CodeOf(read.status());
    if (code == ErrorCode::kNoSuchLedgerMetadata) co_return Result();
    if (code == ErrorCode::kCorruptData || code == ErrorCode::kStopped) co_return read.status();
    changed_.Raise();
    co_await SleepFor(env_.executor, env_.clock, kRetryAfter);
  }
}

}  // namespace stele::metadata
