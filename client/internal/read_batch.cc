#include "client/internal/read_batch.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "client/internal/bookie_client.h"
#include "client/internal/recovery_rules.h"
#include "common/async/completion.h"
#include "common/async/task_scope.h"
#include "common/base/check.h"
#include "common/base/errors.h"

namespace stele::client {
namespace {

// One bookie gives so many entries in a row, then it is the next one's turn. So reads spread over
// the bookies, and what one of them has read ahead serves the requests that follow.
constexpr int64_t kEntriesPerTurn = 4096;
// A request asks for no more than this, and for none on both sides of a multiple of it.
constexpr int64_t kBatchCountMax = 512;
constexpr int64_t kBatchSizeMaxBytes = 1 << 20;
constexpr size_t kBatchesInFlightMax = 4;  // of one call

struct BatchResult {
  ErrorCode code = ErrorCode::kOk;
  std::vector<Entry> entries;  // none: `code` says why
};

// patience   how long to wait for the answer; zero: as long as the request lives
Task<BatchResult> AskForBatch(ReadSource source, BookieId bookie, wire::BatchReadRequest request,
                              absl::Duration patience) {
  const Env& env = source.context->env;
  Completion<Answer> answered(env.executor);
  Completer<Answer> completer = answered.GetCompleter();
  source.context->bookies->Get(bookie)->Call(
      request, {}, [completer](Answer answer) mutable { completer.Set(std::move(answer)); });
  std::unique_ptr<Timer> timer;
  if (patience > absl::ZeroDuration()) {
    timer = env.clock->CallAt(env.clock->Now() + patience,
                              [completer]() mutable { completer.Set({ErrorCode::kDeadline, {}}); });
  }
  const Answer answer = co_await answered;
  BatchResult result{.code = answer.code};
  if (answer.code != ErrorCode::kOk) co_return result;
  EntryId id = request.first_entry;
  const std::vector<Buffer>& bodies = std::get<wire::BatchReadReply>(answer.body).bodies;
  result.entries.reserve(bodies.size());
  for (const Buffer& packet : bodies) {
    absl::StatusOr<Entry> entry = ToEntry(packet, source, id);
    if (!entry.ok()) break;  // what came before it is good
    result.entries.push_back(*std::move(entry));
    id = id.Next();
  }
  if (result.entries.empty()) result.code = ErrorCode::kDigestMismatch;
  co_return result;
}

// A part of a range, and what was read of it.
struct Piece {
  EntryId first;
  EntryId last;
  std::vector<Entry> entries;
  absl::Status status;
};

// Then the bookie is asked for no batches for a while: it may be gone, or of a version without.
bool IsBatchTrouble(ErrorCode code) {
  return code == ErrorCode::kConnectionLost || code == ErrorCode::kDeadline ||
         code == ErrorCode::kProtocolVersion || code == ErrorCode::kReadFailed;
}

// Whom to ask for a batch from `entry` on; nullopt: nobody.
std::optional<BookieId> ChooseForBatch(const ReadSource& source, EntryId entry, EntryId turn) {
  ClientContext* const context = source.context;
  for (BookieId& bookie : ReplicasOf(context, source.cell->value(), entry, turn)) {
    if (!context->bookies_without_batches->IsMarked(bookie, context->env.clock->Now())) {
      return std::move(bookie);
    }
  }
  return std::nullopt;
}

Task<void> ReadPiece(ReadSource source, Piece* piece) {
  ClientContext* const context = source.context;
  const Clock* const clock = context->env.clock;
  const EntryId turn(piece->first.value() / kEntriesPerTurn);
  EntryId next = piece->first;
  while (next <= piece->last) {
    const std::optional<BookieId> bookie = ChooseForBatch(source, next, turn);
    if (!bookie.has_value()) break;
    BatchResult batch =
        co_await AskForBatch(source, *bookie,
                             {.ledger = source.cell->id(),
                              .first_entry = next,
                              .count_max = static_cast<int32_t>(Distance(next, piece->last)),
                              .size_max_bytes = kBatchSizeMaxBytes},
                             context->options.speculative_read_timeout);
    if (batch.entries.empty()) {
      if (batch.code == ErrorCode::kDeadline) context->slow_bookies->Mark(*bookie, clock->Now());
      if (!IsBatchTrouble(batch.code)) break;
      context->bookies_without_batches->Mark(*bookie, clock->Now());
      continue;
    }
    next = EntryId(next.value() + std::ssize(batch.entries));
    if (piece->entries.empty()) {
      piece->entries = std::move(batch.entries);
    } else {
      piece->entries.insert(piece->entries.end(), std::make_move_iterator(batch.entries.begin()),
                            std::make_move_iterator(batch.entries.end()));
    }
  }
  if (next > piece->last) co_return;
  absl::StatusOr<std::vector<Entry>> rest = co_await ReadOneByOne(source, next, piece->last);
  piece->status = rest.status();
  if (!rest.ok()) co_return;
  piece->entries.insert(piece->entries.end(), std::make_move_iterator(rest->begin()),
                        std::make_move_iterator(rest->end()));
}

struct Work {
  ReadSource source;
  std::vector<Piece> pieces;
  size_t next = 0;
  bool has_failed = false;
};

Task<void> ReadPieces(Work* work) {
  while (work->next < work->pieces.size() && !work->has_failed) {
    Piece* const piece = &work->pieces[work->next++];
    co_await ReadPiece(work->source, piece);
    if (!piece->status.ok()) work->has_failed = true;
  }
}

std::vector<Piece> Cut(EntryId first, EntryId last) {
  std::vector<Piece> pieces;
  for (int64_t begin = first.value(); begin <= last.value();) {
    const int64_t end =
        std::min(begin / kBatchCountMax * kBatchCountMax + kBatchCountMax - 1, last.value());
    pieces.push_back({.first = EntryId(begin), .last = EntryId(end)});
    begin = end + 1;
  }
  return pieces;
}

}  // namespace

Task<absl::StatusOr<std::vector<Entry>>> ReadEntries(ReadSource source, EntryId first,
                                                     EntryId last) {
  STELE_CHECK(!first.IsNone() && first <= last);
  if (first == last || !source.cell->value().replication().HoldsAllEverywhere()) {
    co_return co_await ReadOneByOne(source, first, last);
  }
  Work work{.source = source, .pieces = Cut(first, last)};
  if (work.pieces.size() == 1) {
    co_await ReadPieces(&work);
  } else {
    TaskScope readers(source.context->env.executor);
    for (size_t i = 0; i < std::min(kBatchesInFlightMax, work.pieces.size()); ++i) {
      readers.Spawn(ReadPieces(&work));
    }
    co_await readers.Join();
  }
  std::vector<Entry> entries = std::move(work.pieces.front().entries);
  for (Piece& piece : work.pieces) {
    if (!piece.status.ok()) co_return piece.status;
    if (&piece == &work.pieces.front()) continue;
    entries.insert(entries.end(), std::make_move_iterator(piece.entries.begin()),
                   std::make_move_iterator(piece.entries.end()));
  }
  co_return entries;
}

Task<absl::StatusOr<std::vector<Entry>>> ReadEntryBatch(ReadSource source, EntryId first,
                                                        int32_t count_max, int64_t size_max_bytes) {
  const std::vector<BookieId> replicas =
      ReplicasOf(source.context, source.cell->value(), first, first);
  ErrorCode error = ErrorCode::kOk;
  for (const BookieId& replica : replicas) {
    BatchResult batch = co_await AskForBatch(source, replica,
                                             {.ledger = source.cell->id(),
                                              .first_entry = first,
                                              .count_max = count_max,
                                              .size_max_bytes = size_max_bytes},
                                             absl::ZeroDuration());
    if (!batch.entries.empty()) co_return std::move(batch.entries);
    error = FoldReadError(error, batch.code);
    if (error == ErrorCode::kStopped) break;
  }
  co_return ReadError(source, first, error);
}

}  // namespace stele::client
