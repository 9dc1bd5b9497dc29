// The ledger commands that deal with metadata: create, info, restore, list, delete, recover.
#include <cstdio>
#include <utility>
#include <vector>

#include "client/client.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/ledger_metadata_codec.h"
#include "tools/shell/cluster_access.h"
#include "tools/shell/ledger_commands.h"
#include "tools/shell/ledger_flags.h"
#include "tools/shell/text_file.h"

namespace stele::shell {
namespace {

using client::Client;
using client::ReadHandle;
using client::WriteHandle;
using metadata::LedgerMetadata;
using metadata::LedgerState;

std::string NameOf(LedgerState state) {
  switch (state) {
    case LedgerState::kOpen: return "open";
    case LedgerState::kInRecovery: return "in recovery";
    case LedgerState::kClosed: return "closed";
  }
  return "";
}

std::string NameOf(DigestType type) {
  switch (type) {
    case DigestType::kCrc32: return "crc32";
    case DigestType::kMac: return "mac";
    case DigestType::kCrc32c: return "crc32c";
    case DigestType::kDummy: return "dummy";
  }
  return "";
}

absl::Status Create(Session& session, const LedgerCreateCommand& command) {
  STELE_TRY(Client* const client, session.Connect());
  STELE_TRY(std::string password, PasswordOf(session, command.password));
  client::CreateLedgerBuilder builder = BuilderOf(*client, command.create, std::move(password));
  builder.CustomMetadata(WithUnclaimedMark(command.create.custom));
  STELE_TRY(const WriteHandle writer, session.shard().RunUntil(builder.Create()));
  if (command.common.format == Format::kJson) {
    PrintRecord(Record().Set("ledger", writer.id().value()), Format::kJson);
  } else {
    std::printf("%lld\n", static_cast<long long>(writer.id().value()));
  }
  return absl::OkStatus();
}

Record InfoRecord(LedgerId ledger, const LedgerMetadata& metadata) {
  Record record;
  record.Set("ledger", ledger.value()).Set("state", NameOf(metadata.state()));
  if (metadata.IsClosed()) {
    record.Set("last_entry", metadata.last_entry().value())
        .Set("length_bytes", metadata.length_bytes());
  }
  record.Set("ensemble_size", int64_t{metadata.replication().ensemble_size})
      .Set("write_quorum_size", int64_t{metadata.replication().write_quorum_size})
      .Set("ack_quorum_size", int64_t{metadata.replication().ack_quorum_size})
      .Set("digest", NameOf(metadata.digest_type()))
      .Set("metadata_format", static_cast<int64_t>(metadata.format()));
  std::vector<std::string> custom;
  for (const auto& [key, value] : metadata.custom_metadata()) custom.push_back(key + "=" + value);
  record.Set("custom", std::move(custom));
  return record;
}

std::vector<Record> FragmentRecords(const LedgerMetadata& metadata) {
  std::vector<Record> fragments;
  for (const metadata::Fragment& fragment : metadata.fragments()) {
    std::vector<std::string> ensemble;
    for (const BookieId& bookie : fragment.ensemble) ensemble.push_back(bookie.value());
    fragments.emplace_back();
    fragments.back()
        .Set("first_entry", fragment.first_entry.value())
        .Set("ensemble", std::move(ensemble));
  }
  return fragments;
}

absl::Status DumpMetadata(Session& session, LedgerId ledger, const std::string& to) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY(std::string path, cluster.layout.PathOf(ledger));
  STELE_TRY(metadata::Node node, session.shard().RunUntil(session.store()->Get(std::move(path))));
  return session.shard().RunUntil(ReplaceTextFile(session.env().files, to, std::move(node.value)));
}

absl::Status Info(Session& session, const LedgerInfoCommand& command) {
  const LedgerId ledger = command.ledger.ledger;
  STELE_TRY(Client* const client, session.Connect());
  STELE_TRY(const LedgerMetadata metadata, session.shard().RunUntil(client->ReadMetadata(ledger)));
  if (!command.dump_path.empty()) STELE_TRY_OK(DumpMetadata(session, ledger, command.dump_path));
  Record record = InfoRecord(ledger, metadata);
  if (session.options().format == Format::kJson) {
    record.Set("fragments", FragmentRecords(metadata));
    PrintRecord(record, Format::kJson);
    return absl::OkStatus();
  }
  PrintRecord(record, Format::kTable);
  std::printf("\n");
  PrintRecords(FragmentRecords(metadata), Format::kTable, "no fragments");
  return absl::OkStatus();
}

absl::Status Restore(Session& session, const LedgerRestoreCommand& command) {
  STELE_TRY(const Buffer bytes,
            session.shard().RunUntil(ReadFile(session.env().files, command.path,
                                              metadata::kLedgerMetadataSizeMaxBytes)));
  STELE_TRY(const LedgerMetadata metadata, metadata::ParseLedgerMetadata(bytes.view()));
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY(const std::string path, cluster.layout.PathOf(command.ledger));
  const auto before = session.shard().RunUntil(session.store()->Get(path));
  if (!before.ok() && CodeOf(before.status()) != ErrorCode::kNoSuchKey) return before.status();
  Record record = InfoRecord(command.ledger, metadata);
  record.Set("replaces", before.ok()).Set("dry_run", command.dry_run);
  PrintRecord(record, session.options().format);
  if (before.ok() && !command.replace) {
    return MakeError(ErrorCode::kLedgerExists, StrCat("ledger ", command.ledger.value(),
                                                      " has metadata; --replace writes over it"));
  }
  if (command.dry_run) return absl::OkStatus();
  if (before.ok()) {
    return session.shard()
        .RunUntil(session.store()->Put(path, bytes.ToString(), before->version))
        .status();
  }
  return session.shard().RunUntil(
      session.store()->Create(path, bytes.ToString(), metadata::NodeKind::kPersistent));
}

absl::StatusOr<std::vector<LedgerId>> LedgersToList(Session& session, Client* client,
                                                    const std::string& bookie) {
  if (bookie.empty()) return session.shard().RunUntil(client->ListLedgers());
  STELE_TRY(const auto references, ReferencesTo(session, BookieId(bookie)));
  std::vector<LedgerId> ids;
  for (const autorecovery::Reference& reference : references) ids.push_back(reference.ledger);
  return ids;
}

absl::Status List(Session& session, const LedgerListCommand& command) {
  STELE_TRY(Client* const client, session.Connect());
  STELE_TRY(const std::vector<LedgerId> ids, LedgersToList(session, client, command.bookie));
  std::vector<Record> records;
  Progress progress(session.env().clock, "reading metadata", static_cast<int64_t>(ids.size()),
                    "ledgers");
  for (const LedgerId id : ids) {
    Record record;
    record.Set("ledger", id.value());
    if (command.details) {
      const auto metadata = session.shard().RunUntil(client->ReadMetadata(id));
      if (CodeOf(metadata.status()) == ErrorCode::kNoSuchLedgerMetadata) continue;  // deleted since
      if (!metadata.ok()) return metadata.status();
      record.Set("state", NameOf(metadata->state()))
          .Set("last_entry", metadata->last_entry().value())
          .Set("length_bytes", metadata->length_bytes())
          .Set("fragments", static_cast<int64_t>(metadata->fragments().size()));
      progress.Update(static_cast<int64_t>(records.size()));
    }
    records.push_back(std::move(record));
  }
  PrintRecords(records, session.options().format, "no ledgers");
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const LedgerDeleteCommand& command) {
  STELE_TRY(Client* const client, session.Connect());
  // All are looked at before the first one goes.
  for (const int64_t id : command.ledgers) {
    STELE_TRY(const LedgerMetadata metadata,
              session.shard().RunUntil(client->ReadMetadata(LedgerId(id))));
    if (!metadata.IsClosed() && !command.force) {
      return MakeError(ErrorCode::kInvalidArgument,
                       StrCat("ledger ", id, " is ", NameOf(metadata.state()),
                              " and may have a writer; nothing was deleted; --force deletes it"));
    }
  }
  for (const int64_t id : command.ledgers) {
    STELE_TRY_OK(session.shard().RunUntil(client->DeleteLedger(LedgerId(id))));
  }
  PrintRecord(Record().Set("deleted", static_cast<int64_t>(command.ledgers.size())),
              command.common.format);
  return absl::OkStatus();
}

absl::Status Recover(Session& session, const LedgerCommand& command) {
  STELE_TRY(Client* const client, session.Connect());
  STELE_TRY(std::string password, PasswordOf(session, command.password));
  STELE_TRY(const ReadHandle reader,
            session.shard().RunUntil(
                client->OpenLedger(command.ledger).Password(std::move(password)).Recover().Open()));
  PrintRecord(Record()
                  .Set("ledger", command.ledger.value())
                  .Set("last_entry", reader.last_add_confirmed().value())
                  .Set("length_bytes", reader.length_bytes()),
              command.common.format);
  return absl::OkStatus();
}

}  // namespace

ExitCode RunLedgerCreate(const LedgerCreateCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Create(session, command); });
}

ExitCode RunLedgerInfo(const LedgerInfoCommand& command) {
  return RunInSession(command.ledger.common,
                      [&](Session& session) { return Info(session, command); });
}

ExitCode RunLedgerRestore(const LedgerRestoreCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Restore(session, command); });
}

ExitCode RunLedgerList(const LedgerListCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return List(session, command); });
}

ExitCode RunLedgerDelete(const LedgerDeleteCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Delete(session, command); });
}

ExitCode RunLedgerRecover(const LedgerCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Recover(session, command); });
}

}  // namespace stele::shell
