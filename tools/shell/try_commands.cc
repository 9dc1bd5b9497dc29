#include "tools/shell/try_commands.h"

#include <utility>
#include <vector>

#include "client/client.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/ledger_manager.h"
#include "tools/shell/cluster_access.h"

namespace stele::shell {
namespace {

using client::Client;
using client::WriteHandle;

constexpr size_t kEntrySizeBytes = 100;  // as Apache's simpletest

std::string PayloadOf(int64_t entry) {
  std::string payload = StrCat("entry ", entry, " ");
  payload.resize(kEntrySizeBytes, '.');
  return payload;
}

// One entry after the other, so that each bookie's delay shows.
Task<absl::Status> WriteAndRead(Client* client, WriteHandle* writer, int64_t entries) {
  for (int64_t i = 0; i < entries; ++i) {
    STELE_CO_TRY_OK((co_await writer->Append(Buffer::CopyOf(PayloadOf(i)))).status());
  }
  STELE_CO_TRY_OK(co_await writer->Close());
  STELE_CO_TRY(client::ReadHandle reader, co_await client->OpenLedger(writer->id()).Open());
  for (int64_t i = 0; i < entries; ++i) {
    STELE_CO_TRY(const std::vector<client::Entry> read,
                 co_await reader.Read(EntryId(i), EntryId(i)));
    if (read.front().payload.view() == PayloadOf(i)) continue;
    co_return MakeError(ErrorCode::kCorruptData, StrCat("entry ", i, " is not what was written"));
  }
  co_return absl::OkStatus();
}

MonotonicTime GiveUp(Session& session) { return session.env().clock->Now() + absl::Seconds(10); }

// A ledger whose one bookie is this one. Its writer replaces nobody.
absl::StatusOr<LedgerId> PlaceOn(Session& session, const BookieId& bookie) {
  STELE_TRY_OK(ReadRegistration(session, bookie).status());
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY(metadata::LedgerMetadata metadata,
            metadata::LedgerMetadata::Create({.replication = {1, 1, 1},
                                              .fragments = {{EntryId(0), {bookie}}},
                                              .digest_type = DigestType::kCrc32c,
                                              .custom_metadata = {{client::kUnclaimedMark, "1"}}}));
  metadata::LedgerManager ledgers(session.env(), session.store(), cluster.layout);
  STELE_TRY(const metadata::CreatedLedger created,
            session.shard().RunUntil(
                ledgers.Create(std::move(metadata), {.give_up_at = GiveUp(session)})));
  return created.id;
}

absl::StatusOr<WriteHandle> OpenWriter(Session& session, Client* client,
                                       const TryCommand& command) {
  if (command.bookie.empty()) {
    return session.shard().RunUntil(client->CreateLedger()
                                        .Replication(command.replication)
                                        .Digest(DigestType::kCrc32c)
                                        .Create());
  }
  STELE_TRY(const LedgerId ledger, PlaceOn(session, BookieId(command.bookie)));
  absl::StatusOr<WriteHandle> writer = session.shard().RunUntil(client->OpenLedger(ledger).Claim());
  if (!writer.ok()) session.shard().RunUntil(client->DeleteLedger(ledger)).IgnoreError();
  return writer;
}

absl::Status Try(Session& session, const TryCommand& command) {
  client::ClientOptions options{.add_timeout = absl::Seconds(command.timeout_seconds),
                                .read_timeout = absl::Seconds(command.timeout_seconds)};
  if (!command.bookie.empty()) options.ensemble_changes_max = 0;
  STELE_TRY(Client* const client, session.Connect(std::move(options)));
  STELE_TRY(WriteHandle writer, OpenWriter(session, client, command));
  const MonotonicTime begin = session.env().clock->Now();
  const absl::Status tried =
      session.shard().RunUntil(WriteAndRead(client, &writer, command.entries));
  const absl::Duration took = session.env().clock->Now() - begin;
  const absl::Status deleted = session.shard().RunUntil(client->DeleteLedger(writer.id()));
  PrintRecord(Record()
                  .Set("ledger", writer.id().value())
                  .Set("entries", command.entries)
                  .Set("passed", tried.ok())
                  .Set("seconds", absl::ToDoubleSeconds(took))
                  .Set("deleted", deleted.ok()),
              session.options().format);
  return tried.ok() ? deleted : tried;
}

}  // namespace

ExitCode RunTry(const TryCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Try(session, command); });
}

}  // namespace stele::shell
