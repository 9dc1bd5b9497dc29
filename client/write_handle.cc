#include "client/write_handle.h"

#include <utility>

#include "client/internal/client_edge.h"
#include "client/internal/ledger_writer.h"
#include "client/internal/read_batch.h"
#include "common/base/strings.h"

namespace stele::client {
namespace {

// An append on its way to the shard. `done` is still here when the queue refuses.
struct AppendJob {
  LedgerWriter* writer;
  Buffer entry;
  Callback<EntryId> done;
  void operator()() { writer->Append(std::move(entry), std::move(done)); }
};

struct AppendAtJob {
  LedgerWriter* writer;
  EntryId id;
  Buffer entry;
  Callback<EntryId> done;
  void operator()() { writer->AppendAt(id, std::move(entry), std::move(done)); }
};

template <typename Job>
void RunAppend(ClientEdge& edge, Job job) {
  // Run does not touch what it refuses. NOLINTNEXTLINE(bugprone-use-after-move)
  if (!edge.queue().Run(std::move(job))) std::move(job.done)(ClientEdge::StoppedError());
}

Task<absl::StatusOr<std::vector<Entry>>> ReadOwn(ClientCore* core,
                                                 std::shared_ptr<LedgerWriter> writer,
                                                 EntryId first, EntryId last) {
  if (first.IsNone() || last < first) {
    co_return MakeError(ErrorCode::kInvalidArgument,
                        StrCat("entries ", first.value(), " to ", last.value(), " are no range"));
  }
  if (last > writer->acknowledged_head()) {
    co_return MakeError(ErrorCode::kReadFailed,
                        StrCat("entry ", last.value(), " is not acknowledged"));
  }
  co_return co_await ReadEntries({&core->context(), writer->cell(), writer->keys()}, first, last);
}

}  // namespace

WriteHandle::WriteHandle(std::shared_ptr<Lease<LedgerWriter>> writer)
    : writer_(std::move(writer)) {}
WriteHandle::WriteHandle(WriteHandle&&) noexcept = default;
WriteHandle& WriteHandle::operator=(WriteHandle&&) noexcept = default;
WriteHandle::~WriteHandle() = default;

LedgerId WriteHandle::id() const { return (*writer_)->id(); }

void WriteHandle::Append(Buffer entry, Callback<EntryId> done) {
  RunAppend(writer_->edge(), AppendJob{writer_->state().get(), std::move(entry), std::move(done)});
}
std::future<absl::StatusOr<EntryId>> WriteHandle::Append(Buffer entry, UseFuture) {
  auto [done, future] = MakeFutureCallback<absl::StatusOr<EntryId>>();
  Append(std::move(entry), std::move(done));
  return std::move(future);
}
Task<absl::StatusOr<EntryId>> WriteHandle::Append(Buffer entry) {
  return writer_->edge().WaitFor<absl::StatusOr<EntryId>>(
      [&](Callback<EntryId> done) { Append(std::move(entry), std::move(done)); });
}

void WriteHandle::AppendAt(EntryId id, Buffer entry, Callback<EntryId> done) {
  RunAppend(writer_->edge(),
            AppendAtJob{writer_->state().get(), id, std::move(entry), std::move(done)});
}
std::future<absl::StatusOr<EntryId>> WriteHandle::AppendAt(EntryId id, Buffer entry, UseFuture) {
  auto [done, future] = MakeFutureCallback<absl::StatusOr<EntryId>>();
  AppendAt(id, std::move(entry), std::move(done));
  return std::move(future);
}
Task<absl::StatusOr<EntryId>> WriteHandle::AppendAt(EntryId id, Buffer entry) {
  return writer_->edge().WaitFor<absl::StatusOr<EntryId>>(
      [&](Callback<EntryId> done) { AppendAt(id, std::move(entry), std::move(done)); });
}

namespace {

auto ForceOf(std::shared_ptr<LedgerWriter> writer) {
  return [writer = std::move(writer)](ClientCore&) { return LedgerWriter::Force(writer); };
}
auto CloseOf(std::shared_ptr<LedgerWriter> writer) {
  return [writer = std::move(writer)](ClientCore&) { return LedgerWriter::Close(writer); };
}
auto ReadOf(std::shared_ptr<LedgerWriter> writer, EntryId first, EntryId last) {
  return [writer = std::move(writer), first, last](ClientCore& core) {
    return ReadOwn(&core, writer, first, last);
  };
}

}  // namespace

Task<absl::Status> WriteHandle::Force() {
  return writer_->edge().Start<absl::Status>(ForceOf(writer_->state()));
}
std::future<absl::Status> WriteHandle::Force(UseFuture form) {
  return writer_->edge().Start<absl::Status>(ForceOf(writer_->state()), form);
}
void WriteHandle::Force(StatusCallback done) {
  writer_->edge().Start<absl::Status>(ForceOf(writer_->state()), std::move(done));
}

Task<absl::Status> WriteHandle::Close() {
  return writer_->edge().Start<absl::Status>(CloseOf(writer_->state()));
}
std::future<absl::Status> WriteHandle::Close(UseFuture form) {
  return writer_->edge().Start<absl::Status>(CloseOf(writer_->state()), form);
}
void WriteHandle::Close(StatusCallback done) {
  writer_->edge().Start<absl::Status>(CloseOf(writer_->state()), std::move(done));
}

Task<absl::StatusOr<std::vector<Entry>>> WriteHandle::Read(EntryId first, EntryId last) {
  return writer_->edge().Start<absl::StatusOr<std::vector<Entry>>>(
      ReadOf(writer_->state(), first, last));
}
std::future<absl::StatusOr<std::vector<Entry>>> WriteHandle::Read(EntryId first, EntryId last,
                                                                  UseFuture form) {
  return writer_->edge().Start<absl::StatusOr<std::vector<Entry>>>(
      ReadOf(writer_->state(), first, last), form);
}
void WriteHandle::Read(EntryId first, EntryId last, Callback<std::vector<Entry>> done) {
  writer_->edge().Start<absl::StatusOr<std::vector<Entry>>>(ReadOf(writer_->state(), first, last),
                                                            std::move(done));
}

EntryId WriteHandle::last_add_pushed() const {
  return EntryId((*writer_)->progress().last_add_pushed.load(std::memory_order_relaxed));
}
EntryId WriteHandle::last_add_confirmed() const {
  return EntryId((*writer_)->progress().last_add_confirmed.load(std::memory_order_acquire));
}
int64_t WriteHandle::length_bytes() const {
  return (*writer_)->progress().length_bytes.load(std::memory_order_relaxed);
}
bool WriteHandle::is_closed() const {
  return (*writer_)->progress().is_closed.load(std::memory_order_relaxed);
}

}  // namespace stele::client
