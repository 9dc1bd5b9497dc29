#include "metadata/ledger_manager.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/ledger_metadata_codec.h"

namespace stele::metadata {
namespace {

std::string Named(LedgerId ledger) { return StrCat("ledger ", ledger.value()); }

// An error of the store about a ledger's node, as an error about the ledger.
absl::Status AboutLedger(const absl::Status& status, LedgerId ledger) {
  if (CodeOf(status) == ErrorCode::kNoSuchKey) {
    return MakeError(ErrorCode::kNoSuchLedgerMetadata, StrCat(Named(ledger), " does not exist"));
  }
  return WithContext(status, Named(ledger));
}

absl::Status Taken(LedgerId ledger, Effect effect) {
  return MakeError(ErrorCode::kLedgerExists, effect, StrCat(Named(ledger), " exists"));
}

}  // namespace

Task<absl::StatusOr<Versioned<LedgerMetadata>>> ReadLedgerMetadata(MetadataStore* store,
                                                                   LedgerId ledger,
                                                                   std::string path) {
  const absl::StatusOr<Node> node = co_await store->Get(std::move(path));
  if (!node.ok()) co_return AboutLedger(node.status(), ledger);
  absl::StatusOr<LedgerMetadata> metadata = ParseLedgerMetadata(node->value);
  if (!metadata.ok()) co_return AboutLedger(metadata.status(), ledger);
  co_return Versioned<LedgerMetadata>{*std::move(metadata), node->version};
}

LedgerManager::LedgerManager(Env env, MetadataStore* store, LedgerLayout layout)
    : env_(env), store_(store), layout_(std::move(layout)), ids_(env.executor, store, layout_) {}

LedgerMetadata LedgerManager::WithNewToken(LedgerMetadata metadata) const {
  const bool has_token = metadata.format() == MetadataFormat::kBinary;
  // 1 .. 2^63 - 2: never 0, which means none.
  return metadata.WithCreatorToken(
      has_token ? 1 + static_cast<int64_t>(env_.random->Below(INT64_MAX - 1)) : 0);
}

bool LedgerManager::MayRetry(const absl::Status& status, const RetryOptions& retry) const {
  return IsTemporary(status) && env_.clock->Now() < retry.give_up_at;
}

Task<absl::StatusOr<CreatedLedger>> LedgerManager::Create(LedgerMetadata metadata,
                                                          RetryOptions retry) {
  metadata = WithNewToken(std::move(metadata));
  STELE_CO_TRY(const std::string bytes, SerializeLedgerMetadata(metadata));
  Backoff backoff(env_.random, retry);
  for (;;) {
    const absl::StatusOr<LedgerId> id = co_await ids_.Next();
    if (!id.ok()) {
      if (!MayRetry(id.status(), retry)) co_return id.status();
      co_await SleepFor(env_.executor, env_.clock, backoff.Next());
      continue;
    }
    absl::StatusOr<CreatedLedger> created = co_await CreateAt(*id, metadata, bytes, retry);
    // An id that exists was chosen by somebody, or is the orphan of our own lost answer.
    if (CodeOf(created.status()) != ErrorCode::kLedgerExists) co_return created;
  }
}

Task<absl::StatusOr<CreatedLedger>> LedgerManager::CreateWithId(LedgerId ledger,
                                                                LedgerMetadata metadata,
                                                                RetryOptions retry) {
  metadata = WithNewToken(std::move(metadata));
  STELE_CO_TRY(std::string bytes, SerializeLedgerMetadata(metadata));
  co_return co_await CreateAt(ledger, std::move(metadata), std::move(bytes), retry);
}

Task<absl::StatusOr<CreatedLedger>> LedgerManager::CreateAt(LedgerId ledger,
                                                            LedgerMetadata metadata,
                                                            std::string bytes, RetryOptions retry) {
  STELE_CO_TRY(const std::string path, layout_.PathOf(ledger));
  Backoff backoff(env_.random, retry);
  Effect effect = Effect::kNone;  // of all attempts so far
  for (;;) {
    absl::Status status = co_await store_->Create(path, bytes, NodeKind::kPersistent);
    if (status.ok()) co_return CreatedLedger{ledger, {std::move(metadata), 0}};
    if (EffectOf(status) == Effect::kUnknown) effect = Effect::kUnknown;
    if (CodeOf(status) == ErrorCode::kKeyExists) {
      if (metadata.creator_token() == 0) co_return Taken(ledger, effect);
      const auto stored = co_await ReadLedgerMetadata(store_, ledger, path);
      const ErrorCode code = CodeOf(stored.status());
      if (stored.ok() && stored->value.creator_token() == metadata.creator_token()) {
        STELE_SOMETIMES(kCreateFoundOwnNode, true);
        co_return CreatedLedger{ledger, *stored};
      }
      STELE_SOMETIMES(kCreateFoundOtherNode, stored.ok());
      // The first update wipes the token, so another token does not prove another creator. A node
      // that has gone again is not made again: its id has been used.
      if (stored.ok() || code == ErrorCode::kNoSuchLedgerMetadata ||
          code == ErrorCode::kCorruptData) {
        co_return Taken(ledger, effect);
      }
      status = stored.status();
    }
    if (!MayRetry(status, retry))
      co_return MakeError(CodeOf(status), effect, ToStd(status.message()));
    co_await SleepFor(env_.executor, env_.clock, backoff.Next());
  }
}

Task<absl::StatusOr<Versioned<LedgerMetadata>>> LedgerManager::Read(LedgerId ledger) {
  STELE_CO_TRY(std::string path, layout_.PathOf(ledger));
  co_return co_await ReadLedgerMetadata(store_, ledger, std::move(path));
}

Task<absl::StatusOr<Version>> LedgerManager::Update(LedgerId ledger, LedgerMetadata metadata,
                                                    Version expected) {
  STELE_CHECK_OP(expected, >=, 0);  // never blindly
  STELE_CO_TRY(std::string path, layout_.PathOf(ledger));
  STELE_CO_TRY(std::string bytes, SerializeLedgerMetadata(metadata));
  const absl::StatusOr<Version> version =
      co_await store_->Put(std::move(path), std::move(bytes), expected);
  if (!version.ok()) co_return AboutLedger(version.status(), ledger);
  co_return *version;
}

Task<absl::Status> LedgerManager::Delete(LedgerId ledger, Version expected) {
  STELE_CO_TRY(const std::string path, layout_.PathOf(ledger));
  const absl::Status deleted = co_await store_->Delete(path, expected);
  STELE_SOMETIMES(kDeleteFoundNothing, CodeOf(deleted) == ErrorCode::kNoSuchKey);
  if (CodeOf(deleted) == ErrorCode::kNoSuchKey) co_return absl::OkStatus();
  if (!deleted.ok()) co_return AboutLedger(deleted, ledger);
  if (layout_.RemovesEmptyParents()) co_await DeleteEmptyParents(path);
  co_return absl::OkStatus();
}

Task<void> LedgerManager::DeleteEmptyParents(std::string path) {
  for (;;) {
    path.resize(path.rfind('/'));
    if (path.size() <= layout_.root().size()) co_return;
    // One that is not empty refuses; what is left over after another error does no harm.
    if (!(co_await store_->Delete(path, kAnyVersion)).ok()) co_return;
  }
}

absl::StatusOr<std::unique_ptr<LedgerWatch>> LedgerManager::Watch(LedgerId ledger) {
  STELE_TRY(std::string path, layout_.PathOf(ledger));
  return std::make_unique<LedgerWatch>(env_, store_, ledger, std::move(path));
}

}  // namespace stele::metadata
