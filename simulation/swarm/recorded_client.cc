#include "simulation/swarm/recorded_client.h"

#include <utility>

#include "common/base/errors.h"
#include "simulation/history/payload.h"

namespace stele::simulation {

using history::Answer;
using history::LedgerStateSeen;
using history::Operation;
using history::Question;

// ---- Writing

Callback<EntryId> RecordedWriter::Record(EntryId entry, size_t size_bytes, Done done,
                                         Buffer* payload) {
  const history::PayloadId id{
      .ledger = handle_.id(), .entry = entry, .writer = number_, .attempt = attempts_++};
  *payload = history::MakePayload(id, size_bytes);
  const int64_t call =
      caller_.stage->Begin(caller_.process, {.operation = Operation::kAppend,
                                             .ledger = handle_.id(),
                                             .handle = number_,
                                             .entry = entry,
                                             .payload = history::TagOf(id, size_bytes)});
  return [this, call, done = std::move(done)](absl::StatusOr<EntryId> appended) {
    if (appended.ok()) {
      Answer answer{.entry = *appended};
      answer.has_lac = true;
      answer.lac = handle_.last_add_confirmed();
      caller_.stage->Ok(call, std::move(answer));
    } else {
      caller_.stage->Error(call, appended.status());
    }
    done(appended.status());
  };
}

void RecordedWriter::Append(size_t size_bytes, Done done) {
  const EntryId entry = next_;
  next_ = next_.Next();
  Buffer payload;
  auto callback = Record(entry, size_bytes, std::move(done), &payload);
  handle_.Append(std::move(payload), std::move(callback));
}

void RecordedWriter::AppendAt(EntryId entry, size_t size_bytes, Done done) {
  Buffer payload;
  auto callback = Record(entry, size_bytes, std::move(done), &payload);
  handle_.AppendAt(entry, std::move(payload), std::move(callback));
}

Task<absl::Status> RecordedWriter::Force() {
  const int64_t call = caller_.stage->Begin(
      caller_.process, {.operation = Operation::kForce, .ledger = handle_.id(), .handle = number_});
  const absl::Status forced = co_await handle_.Force();
  forced.ok() ? caller_.stage->Ok(call, {}) : caller_.stage->Error(call, forced);
  co_return forced;
}

Task<absl::Status> RecordedWriter::Close() {
  const int64_t call = caller_.stage->Begin(
      caller_.process, {.operation = Operation::kClose, .ledger = handle_.id(), .handle = number_});
  const absl::Status closed = co_await handle_.Close();
  if (closed.ok()) {
    Answer answer;
    answer.last = handle_.last_add_confirmed();
    caller_.stage->Ok(call, std::move(answer));
  } else {
    caller_.stage->Error(call, closed);
  }
  co_return closed;
}

// ---- Reading

Question RecordedReader::Ask(Operation operation) const {
  return {.operation = operation, .ledger = handle_.id(), .handle = number_};
}

absl::Status RecordedReader::Record(int64_t call,
                                    const absl::StatusOr<std::vector<client::Entry>>& entries) {
  if (!entries.ok()) {
    caller_.stage->Error(call, entries.status());
    return entries.status();
  }
  Answer answer;
  for (const client::Entry& entry : *entries) {
    answer.entries.push_back({entry.id, history::TagOf(entry.payload.view())});
  }
  caller_.stage->Ok(call, std::move(answer));
  return absl::OkStatus();
}

Task<absl::Status> RecordedReader::Read(EntryId first, EntryId last) {
  Question question = Ask(Operation::kRead);
  question.first = first;
  question.last = last;
  const int64_t call = caller_.stage->Begin(caller_.process, std::move(question));
  const auto entries = co_await handle_.Read(first, last);
  co_return Record(call, entries);
}

Task<absl::Status> RecordedReader::ReadUnconfirmed(EntryId first, EntryId last) {
  Question question = Ask(Operation::kReadUnconfirmed);
  question.first = first;
  question.last = last;
  const int64_t call = caller_.stage->Begin(caller_.process, std::move(question));
  const auto entries = co_await handle_.ReadUnconfirmed(first, last);
  co_return Record(call, entries);
}

Task<absl::Status> RecordedReader::ReadBatch(EntryId first, int32_t count_max,
                                             int64_t size_max_bytes) {
  Question question = Ask(Operation::kReadBatch);
  question.first = first;
  const int64_t call = caller_.stage->Begin(caller_.process, std::move(question));
  auto entries = co_await handle_.ReadBatch(first, count_max, size_max_bytes);
  co_return Record(call, entries);
}

Task<absl::Status> RecordedReader::ReadLac() {
  const int64_t call = caller_.stage->Begin(caller_.process, Ask(Operation::kReadLac));
  const auto lac = co_await handle_.ReadLastAddConfirmed();
  if (!lac.ok()) {
    caller_.stage->Error(call, lac.status());
    co_return lac.status();
  }
  Answer answer;
  answer.has_lac = true;
  answer.lac = *lac;
  caller_.stage->Ok(call, std::move(answer));
  co_return absl::OkStatus();
}

Task<absl::Status> RecordedReader::Wait(EntryId entry, absl::Duration timeout) {
  Question question = Ask(Operation::kWait);
  question.entry = entry;
  const int64_t call = caller_.stage->Begin(caller_.process, std::move(question));
  const auto waited = co_await handle_.WaitForEntry(entry, timeout);
  if (!waited.ok()) {
    caller_.stage->Error(call, waited.status());
    co_return waited.status();
  }
  Answer answer;
  answer.has_lac = true;
  answer.lac = waited->last_add_confirmed;
  if (waited->entry.has_value()) {
    answer.entries.push_back({waited->entry->id, history::TagOf(waited->entry->payload.view())});
  }
  caller_.stage->Ok(call, std::move(answer));
  co_return absl::OkStatus();
}

Task<absl::StatusOr<bool>> RecordedReader::Next(client::TailStream* stream, EntryId expected) {
  Question question = Ask(Operation::kTail);
  question.entry = expected;
  const int64_t call = caller_.stage->Begin(caller_.process, std::move(question));
  const auto next = co_await stream->Next();
  if (!next.ok()) {
    caller_.stage->Error(call, next.status());
    co_return next.status();
  }
  Answer answer;
  if (next->has_value()) {
    answer.entries.push_back({(*next)->id, history::TagOf((*next)->payload.view())});
  } else {
    answer.state = LedgerStateSeen::kClosed;
    answer.last = expected.Previous();
  }
  caller_.stage->Ok(call, std::move(answer));
  co_return next->has_value();
}

// ---- Ledgers

Task<absl::StatusOr<std::shared_ptr<RecordedWriter>>> CreateRecorded(Caller caller,
                                                                     CreateOptions options) {
  const int64_t number = caller.stage->NewHandle();
  const int64_t call =
      caller.stage->Begin(caller.process, {.operation = Operation::kCreate,
                                           .ledger = options.id.value_or(LedgerId()),
                                           .handle = number,
                                           .deferred_sync = options.deferred_sync,
                                           .caller_ids = options.caller_ids,
                                           .replication = options.replication});
  client::CreateLedgerBuilder builder = caller.client->CreateLedger();
  builder.Replication(options.replication);
  if (options.id.has_value()) builder.Id(*options.id);
  if (options.deferred_sync) builder.DeferredSync();
  if (options.caller_ids) builder.CallerAssignsEntryIds();
  auto created = co_await builder.Create();
  if (!created.ok()) {
    caller.stage->Error(call, created.status());
    co_return created.status();
  }
  Answer answer;
  answer.ledger = created->id();
  caller.stage->Ok(call, std::move(answer));
  caller.stage->ledgers().push_back({.id = created->id(),
                                     .replication = options.replication,
                                     .deferred_sync = options.deferred_sync});
  co_return std::make_shared<RecordedWriter>(caller, *std::move(created), number);
}

Task<absl::StatusOr<RecordedReader>> OpenRecorded(Caller caller, LedgerId ledger, bool recover) {
  const int64_t number = caller.stage->NewHandle();
  const int64_t call = caller.stage->Begin(
      caller.process,
      {.operation = Operation::kOpen, .ledger = ledger, .handle = number, .recover = recover});
  client::OpenLedgerBuilder builder = caller.client->OpenLedger(ledger);
  if (recover) builder.Recover();
  auto opened = co_await builder.Open();
  if (!opened.ok()) {
    caller.stage->Error(call, opened.status());
    co_return opened.status();
  }
  Answer answer;
  answer.has_lac = true;
  answer.lac = opened->last_add_confirmed();
  if (opened->is_closed()) {
    answer.state = LedgerStateSeen::kClosed;
    answer.last = opened->last_add_confirmed();
    answer.length_bytes = opened->length_bytes();
  }
  caller.stage->Ok(call, std::move(answer));
  co_return RecordedReader(caller, *std::move(opened), number);
}

Task<absl::Status> DeleteRecorded(Caller caller, LedgerId ledger) {
  for (KnownLedger& known : caller.stage->ledgers()) {
    if (known.id == ledger) known.deleted = true;
  }
  const int64_t call =
      caller.stage->Begin(caller.process, {.operation = Operation::kDelete, .ledger = ledger});
  const absl::Status deleted = co_await caller.client->DeleteLedger(ledger);
  deleted.ok() ? caller.stage->Ok(call, {}) : caller.stage->Error(call, deleted);
  co_return deleted;
}

Task<absl::Status> ReadMetadataRecorded(Caller caller, LedgerId ledger) {
  const int64_t call =
      caller.stage->Begin(caller.process, {.operation = Operation::kMetadata, .ledger = ledger});
  const auto read = co_await caller.client->ReadMetadata(ledger);
  if (!read.ok()) {
    caller.stage->Error(call, read.status());
    co_return read.status();
  }
  Answer answer;
  switch (read->state()) {
    case metadata::LedgerState::kOpen: answer.state = LedgerStateSeen::kOpen; break;
    case metadata::LedgerState::kInRecovery: answer.state = LedgerStateSeen::kInRecovery; break;
    case metadata::LedgerState::kClosed:
      answer.state = LedgerStateSeen::kClosed;
      answer.last = read->last_entry();
      answer.length_bytes = read->length_bytes();
      break;
  }
  caller.stage->Ok(call, std::move(answer));
  co_return absl::OkStatus();
}

}  // namespace stele::simulation
