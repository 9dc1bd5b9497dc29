#include "client/internal/client_core.h"

#include <algorithm>
#include <utility>

#include "client/internal/lac_read.h"
#include "client/internal/ledger_recovery.h"
#include "common/async/yield.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cluster_paths.h"

namespace stele::client {
namespace {

WireOptions WireOptionsOf(const ClientOptions& options) {
  WireOptions wire;
  wire.lane.connection.limits.frame_size_max_bytes = options.frame_size_max_bytes;
  wire.lane.connection.connect_timeout = options.connect_timeout;
  wire.lane.connection.tls = options.tls;
  wire.lane.connection.tls_verifies_name = options.tls_verifies_name;
  wire.lane.connection.log = options.log;
  wire.lane.add_timeout = options.add_timeout;
  wire.lane.read_timeout = options.read_timeout;
  wire.lane.silence_max = 2 * std::max(options.add_timeout, options.read_timeout);
  wire.add_debt = {.adds_max = options.adds_owed_max, .bytes_max = options.add_bytes_owed_max};
  return wire;
}

absl::Status Stopped() { return MakeError(ErrorCode::kStopped, "the client is closed"); }

absl::Status CheckPassword(const OpenSpec& spec, const metadata::LedgerMetadata& metadata) {
  const std::optional<std::string>& stored = metadata.password();
  if (!stored.has_value() || *stored == spec.password) return absl::OkStatus();
  return MakeError(ErrorCode::kUnauthorized,
                   StrCat("ledger ", spec.id.value(), ": the password is wrong"));
}

}  // namespace

ClientCore::ClientCore(const Env& env, metadata::MetadataStore* store, metadata::Cluster cluster,
                       ClientOptions options)
    : env_(env),
      queue_(std::make_shared<LaunchQueue>(env.executor)),
      ledgers_(env, store, cluster.layout),
      registry_(env, store, metadata::ClusterPaths(cluster.layout.root())),
      placement_random_(env.random->Fork("client placement")),
      placement_(placement_random_.get(), env.clock),
      bookies_(env, WireOptionsOf(options),
               {.resolve = [this](BookieId bookie) { return registry_.Resolve(std::move(bookie)); },
                .on_unreachable = [this](const BookieId& bookie) { registry_.Forget(bookie); }}),
      context_{.env = env,
               .options = options,
               .ledgers = &ledgers_,
               .bookies = &bookies_,
               .placement = &placement_,
               .slow_bookies = &slow_bookies_,
               .bookies_without_batches = &bookies_without_batches_},
      background_(env.executor),
      closing_(env.executor),
      operations_(env.executor) {}

ClientCore::~ClientCore() {
  queue_->Abandon();
  for (const auto& [number, writer] : writers_) writer->Detach();
  for (const auto& [number, reader] : readers_) reader->Stop();
}

Task<absl::Status> ClientCore::Start() {
  STELE_CO_TRY_OK(co_await registry_.Start());
  placement_.OnBookiesChanged(registry_.bookies().writable);
  background_.Spawn(FollowBookies());
  co_return absl::OkStatus();
}

Task<void> ClientCore::FollowBookies() {
  for (;;) {
    const uint64_t seen = registry_.bookies().generation;
    placement_.OnBookiesChanged(registry_.bookies().writable);
    co_await registry_.WaitForChange(seen);
  }
}

metadata::RetryOptions ClientCore::Retry() const {
  return {.give_up_at = env_.clock->Now() + context_.options.metadata_timeout};
}

absl::StatusOr<metadata::LedgerMetadata> ClientCore::NewMetadata(const CreateSpec& spec) {
  if (!spec.replication.IsValid()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("an ensemble of ", spec.replication.ensemble_size,
                            " with a write quorum of ", spec.replication.write_quorum_size,
                            " and an ack quorum of ", spec.replication.ack_quorum_size));
  }
  if (spec.id.has_value() && !spec.id->IsValid()) {
    return MakeError(ErrorCode::kInvalidArgument, StrCat("ledger id ", spec.id->value()));
  }
  metadata::LedgerMetadataFields fields;
  fields.replication = spec.replication;
  absl::StatusOr<metadata::Ensemble> ensemble =
      placement_.NewEnsemble(spec.replication.ensemble_size);
  while (!ensemble.ok() && context_.options.opportunistic_striping &&
         fields.replication.ensemble_size > fields.replication.write_quorum_size) {
    ensemble = placement_.NewEnsemble(--fields.replication.ensemble_size);
  }
  if (!ensemble.ok()) return ensemble.status();
  fields.fragments = {{EntryId(0), *std::move(ensemble)}};
  fields.digest_type = spec.digest_type;
  fields.password = spec.password;
  fields.custom_metadata = spec.custom_metadata;
  return metadata::LedgerMetadata::Create(std::move(fields));
}

Task<absl::StatusOr<Held<LedgerWriter>>> ClientCore::Create(CreateSpec spec) {
  STELE_CO_TRY(metadata::LedgerMetadata metadata, NewMetadata(spec));
  absl::StatusOr<metadata::CreatedLedger> created =
      spec.id.has_value() ? co_await ledgers_.CreateWithId(*spec.id, std::move(metadata), Retry())
                          : co_await ledgers_.Create(std::move(metadata), Retry());
  if (!created.ok()) co_return created.status();
  co_return MakeWriter(created->id, std::move(created->metadata), std::move(spec.password),
                       spec.mode);
}

Task<absl::StatusOr<Held<LedgerWriter>>> ClientCore::Claim(OpenSpec spec) {
  STELE_CO_TRY(metadata::Versioned<metadata::LedgerMetadata> found, co_await ReadMetadata(spec.id));
  STELE_CO_TRY_OK(CheckPassword(spec, found.value));
  metadata::LedgerMetadataFields fields = found.value.fields();
  if (fields.custom_metadata.erase(kUnclaimedMark) == 0 ||
      fields.state != metadata::LedgerState::kOpen) {
    co_return MakeError(ErrorCode::kMetadataConflict,
                        StrCat("ledger ", spec.id.value(),
                               " has or had a writer; open it with recovery to read it"));
  }
  fields.creator_token = 0;
  STELE_CO_TRY(metadata::LedgerMetadata claimed, metadata::LedgerMetadata::Create(fields));
  // One attempt: whoever takes the mark away is the writer, and a second attempt could not tell our
  // own success from another's.
  STELE_CO_TRY(const metadata::Version version,
               co_await ledgers_.Update(spec.id, claimed, found.version));
  co_return MakeWriter(spec.id, {std::move(claimed), version}, std::move(spec.password),
                       LedgerWriter::Mode());
}

absl::StatusOr<Held<LedgerWriter>> ClientCore::MakeWriter(
    LedgerId id, metadata::Versioned<metadata::LedgerMetadata> metadata, std::string password,
    LedgerWriter::Mode mode) {
  if (is_closed_) return Stopped();
  const DigestType digest_type = metadata.value.digest_type();
  auto cell = std::make_shared<LedgerCell>(&ledgers_, id, std::move(metadata),
                                           context_.options.metadata_timeout);
  auto keys = std::make_shared<const LedgerKeys>(digest_type, std::move(password));
  auto writer = std::make_shared<LedgerWriter>(&context_, std::move(cell), std::move(keys), mode);
  const uint64_t number = ++handles_made_;
  writers_.emplace(number, writer);
  return Held<LedgerWriter>{number, std::move(writer)};
}

Task<absl::StatusOr<Held<LedgerReader>>> ClientCore::Open(OpenSpec spec) {
  STELE_CO_TRY(metadata::Versioned<metadata::LedgerMetadata> metadata,
               co_await ReadMetadata(spec.id));
  STELE_CO_TRY_OK(CheckPassword(spec, metadata.value));
  // The type in the metadata is what the writer used, whatever anybody believes.
  auto keys = std::make_shared<const LedgerKeys>(metadata.value.digest_type(), spec.password);
  auto cell = std::make_shared<LedgerCell>(&ledgers_, spec.id, std::move(metadata),
                                           context_.options.metadata_timeout);
  const ReadSource source{&context_, cell, std::move(keys)};
  EntryId last_add_confirmed;
  if (!cell->value().IsClosed()) {
    if (spec.recover) {
      STELE_CO_TRY_OK(co_await RecoverLedger(source));
    } else {
      STELE_CO_TRY(const LacReadResult lac, co_await ReadLac(&context_, spec.id, cell->snapshot(),
                                                             source.keys, LacQuorum::Kind::kPlain));
      last_add_confirmed = lac.last_add_confirmed;
    }
  }
  if (is_closed_) co_return Stopped();
  auto reader = std::make_shared<LedgerReader>(source, last_add_confirmed);
  reader->Follow();
  const uint64_t number = ++handles_made_;
  readers_.emplace(number, reader);
  co_return Held<LedgerReader>{number, std::move(reader)};
}

Task<absl::Status> ClientCore::Delete(LedgerId id) {
  if (!id.IsValid()) {
    co_return MakeError(ErrorCode::kInvalidArgument, StrCat("ledger id ", id.value()));
  }
  co_return co_await ledgers_.Delete(id, metadata::kAnyVersion);
}

Task<absl::StatusOr<metadata::Versioned<metadata::LedgerMetadata>>> ClientCore::ReadMetadata(
    LedgerId id) {
  if (!id.IsValid()) {
    co_return MakeError(ErrorCode::kNoSuchLedgerMetadata, StrCat("ledger id ", id.value()));
  }
  co_return co_await ledgers_.Read(id);
}

Task<absl::StatusOr<std::vector<LedgerId>>> ClientCore::ListLedgers() {
  metadata::LedgerLister lister = ledgers_.List();
  std::vector<LedgerId> ids;
  for (;;) {
    STELE_CO_TRY(std::optional<metadata::LedgerRange> range, co_await lister.Next());
    if (!range.has_value()) co_return ids;
    ids.insert(ids.end(), range->begin(), range->end());
  }
}

void ClientCore::StartClose(StatusCallback done) {
  Launch<absl::Status>(&closing_, Close(), std::move(done));
}

Task<absl::Status> ClientCore::Close() {
  // The caller may be a callback of a handle, which must not lose its ground.
  co_await Yield(env_.executor);
  is_closed_ = true;
  queue_->Close();
  for (const auto& [number, writer] : std::exchange(writers_, {})) writer->Stop();
  for (const auto& [number, reader] : std::exchange(readers_, {})) reader->Stop();
  bookies_.Stop();
  co_await operations_.Join();
  co_return absl::OkStatus();
}

}  // namespace stele::client
