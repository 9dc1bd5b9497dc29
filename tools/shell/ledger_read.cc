// stele ledger read, stele ledger tail.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/client.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/digest.h"
#include "common/wire/entry_packet.h"
#include "tools/shell/cluster_access.h"
#include "tools/shell/entry_printer.h"
#include "tools/shell/ledger_commands.h"
#include "tools/shell/ledger_flags.h"

namespace stele::shell {
namespace {

using client::Client;
using client::Entry;
using client::ReadHandle;

// How much is held in memory at a time, about.
constexpr int64_t kPieceSizeBytes = 8 * 1024 * 1024;
constexpr int64_t kPieceEntriesFirst = 16;
constexpr int64_t kPieceEntriesMax = 2048;

absl::StatusOr<ReadHandle> Open(Session& session, const LedgerReadCommand& command, bool recover) {
  STELE_TRY(Client* const client, session.Connect());
  STELE_TRY(std::string password, PasswordOf(session, command.password));
  client::OpenLedgerBuilder builder = client->OpenLedger(command.ledger);
  builder.Password(std::move(password));
  if (recover) builder.Recover();
  return session.shard().RunUntil(builder.Open());
}

// How many entries to ask for next, after `entries` of `bytes` in total.
int64_t NextPiece(int64_t entries, int64_t bytes) {
  const int64_t size = std::max<int64_t>(bytes / std::max<int64_t>(entries, 1), 1);
  return std::clamp<int64_t>(kPieceSizeBytes / size, 1,
                             std::min(4 * std::max<int64_t>(entries, 1), kPieceEntriesMax));
}

Task<absl::Status> PrintRange(ReadHandle* reader, EntryId first, EntryId last, bool unconfirmed,
                              EntryPrinter* printer, Progress* progress) {
  int64_t piece = kPieceEntriesFirst;
  int64_t done = 0;
  while (first <= last) {
    const EntryId piece_last(std::min(last.value(), first.value() + piece - 1));
    absl::StatusOr<std::vector<Entry>> entries =
        unconfirmed ? co_await reader->ReadUnconfirmed(first, piece_last)
                    : co_await reader->Read(first, piece_last);
    if (!entries.ok()) co_return entries.status();
    int64_t bytes = 0;
    for (const Entry& entry : *entries) {
      printer->Print(entry);
      bytes += static_cast<int64_t>(entry.payload.size());
    }
    first = piece_last.Next();
    done += static_cast<int64_t>(entries->size());
    progress->Update(done);
    piece = NextPiece(static_cast<int64_t>(entries->size()), bytes);
  }
  co_return printer->Flush();
}

// What the copies of one bookie were found to be.
struct Copies {
  int64_t missing = 0;
  int64_t damaged = 0;
};

Task<absl::StatusOr<Copies>> PrintCopies(autorecovery::ClusterCheck* cluster, BookieId bookie,
                                         LedgerId ledger, EntryId first, EntryId last,
                                         wire::Digester digester, EntryPrinter* printer) {
  Copies copies;
  for (EntryId entry = first; entry <= last; entry = entry.Next()) {
    const auto packet = co_await cluster->ReadPacket(bookie, ledger, entry);
    const ErrorCode code = CodeOf(packet.status());
    if (code == ErrorCode::kNoSuchEntry || code == ErrorCode::kNoSuchLedger) {
      ++copies.missing;  // also those that striping gave to others
      continue;
    }
    if (!packet.ok()) co_return packet.status();
    const auto verified = wire::VerifyEntry(*packet, digester, ledger, entry);
    if (!verified.ok()) {
      ++copies.damaged;
      std::fprintf(stderr, "entry %lld is damaged: %s\n", static_cast<long long>(entry.value()),
                   verified.status().ToString().c_str());
      continue;
    }
    printer->Print({ledger, entry, verified->payload, verified->header.length_bytes});
    STELE_CO_TRY_OK(printer->Flush());
  }
  co_return copies;
}

absl::Status ReadFromOne(Session& session, const LedgerReadCommand& command) {
  STELE_TRY(Client* const client, session.Connect());
  STELE_TRY(const metadata::LedgerMetadata metadata,
            session.shard().RunUntil(client->ReadMetadata(command.ledger)));
  STELE_TRY(std::string password, PasswordOf(session, command.password));
  if (!command.last.has_value() && !metadata.IsClosed()) {
    return MakeError(ErrorCode::kInvalidArgument, "the ledger is not closed: give --last");
  }
  const EntryId last = command.last.value_or(metadata.last_entry());
  STELE_TRY(const auto checker, Checker::Open(session));
  EntryPrinter printer(command.format, command.common.format);
  STELE_TRY(const Copies copies,
            session.shard().RunUntil(PrintCopies(
                checker->get(), BookieId(command.bookie), command.ledger, command.first, last,
                wire::Digester(metadata.digest_type(), metadata.password().value_or(password)),
                &printer)));
  STELE_TRY_OK(printer.Flush());
  if (copies.damaged > 0) {
    return MakeError(ErrorCode::kCorruptData, StrCat(copies.damaged, " entries are damaged"));
  }
  if (copies.missing == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kNoSuchEntry,
                   StrCat("bookie ", command.bookie, " does not have ", copies.missing,
                          " of these entries: stele ledger explain ", command.ledger.value(),
                          " shows which it should have"));
}

absl::Status Read(Session& session, const LedgerReadCommand& command) {
  if (!command.bookie.empty()) return ReadFromOne(session, command);
  STELE_TRY(ReadHandle reader, Open(session, command, command.recover));
  const EntryId last = command.last.value_or(reader.last_add_confirmed());
  if (command.first.IsNone()) {
    return MakeError(ErrorCode::kInvalidArgument, "--first is 0 or more");
  }
  if (command.last.has_value() && last > reader.last_add_confirmed() && !command.unconfirmed) {
    return MakeError(
        ErrorCode::kNoSuchEntry,
        StrCat("ledger ", command.ledger.value(), " ends with entry ",
               reader.last_add_confirmed().value(),
               reader.is_closed() ? "" : " for now; --unconfirmed reads what may be behind it"));
  }
  EntryPrinter printer(command.format, command.common.format);
  Progress progress(session.env().clock, "reading", Distance(command.first, last), "entries");
  return session.shard().RunUntil(
      PrintRange(&reader, command.first, last, command.unconfirmed, &printer, &progress));
}

Task<absl::Status> PrintTail(client::TailStream stream, EntryPrinter* printer) {
  for (;;) {
    STELE_CO_TRY(const std::optional<Entry> entry, co_await stream.Next());
    if (!entry.has_value()) co_return absl::OkStatus();
    printer->Print(*entry);
    STELE_CO_TRY_OK(printer->Flush());
  }
}

absl::Status Tail(Session& session, const LedgerReadCommand& command) {
  if (command.first.IsNone()) {
    return MakeError(ErrorCode::kInvalidArgument, "--first is 0 or more");
  }
  STELE_TRY(const ReadHandle reader, Open(session, command, /*recover=*/false));
  EntryPrinter printer(command.format, command.common.format);
  return session.shard().RunUntil(PrintTail(reader.Tail(command.first), &printer));
}

}  // namespace

ExitCode RunLedgerRead(const LedgerReadCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Read(session, command); });
}

ExitCode RunLedgerTail(const LedgerReadCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Tail(session, command); });
}

}  // namespace stele::shell
