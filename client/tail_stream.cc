#include "client/tail_stream.h"

#include <deque>
#include <utility>
#include <vector>

#include "client/internal/client_edge.h"
#include "client/internal/ledger_reader.h"
#include "common/base/try.h"

namespace stele::client {

struct TailState {
  std::shared_ptr<Lease<LedgerReader>> reader;
  EntryId next;
  std::deque<Entry> fetched;  // from `next` on; on the shard
};

namespace {

using Result = absl::StatusOr<std::optional<Entry>>;

Task<Result> NextOf(std::shared_ptr<TailState> state) {
  if (state->fetched.empty()) {
    STELE_CO_TRY(std::vector<Entry> entries,
                 co_await LedgerReader::WaitAndRead(state->reader->state(), state->next));
    if (entries.empty()) co_return std::nullopt;
    for (Entry& entry : entries) state->fetched.push_back(std::move(entry));
  }
  Entry entry = std::move(state->fetched.front());
  state->fetched.pop_front();
  state->next = entry.id.Next();
  co_return entry;
}

}  // namespace

TailStream::TailStream(std::shared_ptr<Lease<LedgerReader>> reader, EntryId first)
    : state_(std::make_shared<TailState>(TailState{std::move(reader), first, {}})) {}
TailStream::TailStream(TailStream&&) noexcept = default;
TailStream& TailStream::operator=(TailStream&&) noexcept = default;
TailStream::~TailStream() = default;

Task<Result> TailStream::Next() {
  return state_->reader->edge().Start<Result>([s = state_](ClientCore&) { return NextOf(s); });
}
std::future<Result> TailStream::Next(UseFuture form) {
  return state_->reader->edge().Start<Result>([s = state_](ClientCore&) { return NextOf(s); },
                                              form);
}
void TailStream::Next(Callback<std::optional<Entry>> done) {
  state_->reader->edge().Start<Result>([s = state_](ClientCore&) { return NextOf(s); },
                                       std::move(done));
}

}  // namespace stele::client
