#include "client/read_handle.h"

#include <utility>

#include "client/internal/client_edge.h"
#include "client/internal/ledger_reader.h"
#include "common/base/try.h"

namespace stele::client {
namespace {

using Entries = absl::StatusOr<std::vector<Entry>>;
using State = std::shared_ptr<LedgerReader>;

auto ReadOf(State reader, EntryId first, EntryId last) {
  return [=](ClientCore&) { return LedgerReader::Read(reader, first, last); };
}
auto ReadUnconfirmedOf(State reader, EntryId first, EntryId last) {
  return [=](ClientCore&) { return LedgerReader::ReadUnconfirmed(reader, first, last); };
}
auto ReadBatchOf(State reader, EntryId first, int32_t count_max, int64_t size_max_bytes) {
  return [=](ClientCore&) {
    return LedgerReader::ReadBatch(reader, first, count_max, size_max_bytes);
  };
}
auto ReadLacOf(State reader) {
  return [=](ClientCore&) { return LedgerReader::ReadLastAddConfirmed(reader); };
}

Task<absl::StatusOr<LacAndEntry>> Poll(State reader, EntryId entry, absl::Duration timeout) {
  STELE_CO_TRY(LongPollResult result, co_await LedgerReader::ReadNext(reader, entry, timeout));
  co_return LacAndEntry{result.last_add_confirmed, std::move(result.entry)};
}
auto WaitForEntryOf(State reader, EntryId entry, absl::Duration timeout) {
  return [=](ClientCore&) { return Poll(reader, entry, timeout); };
}

Task<absl::StatusOr<metadata::LedgerMetadata>> CopyMetadata(State reader) {
  co_return reader->cell()->value();
}
auto MetadataOf(State reader) {
  return [=](ClientCore&) { return CopyMetadata(reader); };
}

}  // namespace

ReadHandle::ReadHandle(std::shared_ptr<Lease<LedgerReader>> reader) : reader_(std::move(reader)) {}
ReadHandle::ReadHandle(ReadHandle&&) noexcept = default;
ReadHandle& ReadHandle::operator=(ReadHandle&&) noexcept = default;
ReadHandle::~ReadHandle() = default;

LedgerId ReadHandle::id() const { return (*reader_)->id(); }

Task<Entries> ReadHandle::Read(EntryId first, EntryId last) {
  return reader_->edge().Start<Entries>(ReadOf(reader_->state(), first, last));
}
std::future<Entries> ReadHandle::Read(EntryId first, EntryId last, UseFuture form) {
  return reader_->edge().Start<Entries>(ReadOf(reader_->state(), first, last), form);
}
void ReadHandle::Read(EntryId first, EntryId last, Callback<std::vector<Entry>> done) {
  reader_->edge().Start<Entries>(ReadOf(reader_->state(), first, last), std::move(done));
}

Task<Entries> ReadHandle::ReadUnconfirmed(EntryId first, EntryId last) {
  return reader_->edge().Start<Entries>(ReadUnconfirmedOf(reader_->state(), first, last));
}
std::future<Entries> ReadHandle::ReadUnconfirmed(EntryId first, EntryId last, UseFuture form) {
  return reader_->edge().Start<Entries>(ReadUnconfirmedOf(reader_->state(), first, last), form);
}
void ReadHandle::ReadUnconfirmed(EntryId first, EntryId last, Callback<std::vector<Entry>> done) {
  reader_->edge().Start<Entries>(ReadUnconfirmedOf(reader_->state(), first, last), std::move(done));
}

Task<Entries> ReadHandle::ReadBatch(EntryId first, int32_t count_max, int64_t size_max_bytes) {
  return reader_->edge().Start<Entries>(
      ReadBatchOf(reader_->state(), first, count_max, size_max_bytes));
}
std::future<Entries> ReadHandle::ReadBatch(EntryId first, int32_t count_max, int64_t size_max_bytes,
                                           UseFuture form) {
  return reader_->edge().Start<Entries>(
      ReadBatchOf(reader_->state(), first, count_max, size_max_bytes), form);
}
void ReadHandle::ReadBatch(EntryId first, int32_t count_max, int64_t size_max_bytes,
                           Callback<std::vector<Entry>> done) {
  reader_->edge().Start<Entries>(ReadBatchOf(reader_->state(), first, count_max, size_max_bytes),
                                 std::move(done));
}

Task<absl::StatusOr<EntryId>> ReadHandle::ReadLastAddConfirmed() {
  return reader_->edge().Start<absl::StatusOr<EntryId>>(ReadLacOf(reader_->state()));
}
std::future<absl::StatusOr<EntryId>> ReadHandle::ReadLastAddConfirmed(UseFuture form) {
  return reader_->edge().Start<absl::StatusOr<EntryId>>(ReadLacOf(reader_->state()), form);
}
void ReadHandle::ReadLastAddConfirmed(Callback<EntryId> done) {
  reader_->edge().Start<absl::StatusOr<EntryId>>(ReadLacOf(reader_->state()), std::move(done));
}

Task<absl::StatusOr<LacAndEntry>> ReadHandle::WaitForEntry(EntryId entry, absl::Duration timeout) {
  return reader_->edge().Start<absl::StatusOr<LacAndEntry>>(
      WaitForEntryOf(reader_->state(), entry, timeout));
}
std::future<absl::StatusOr<LacAndEntry>> ReadHandle::WaitForEntry(EntryId entry,
                                                                  absl::Duration timeout,
                                                                  UseFuture form) {
  return reader_->edge().Start<absl::StatusOr<LacAndEntry>>(
      WaitForEntryOf(reader_->state(), entry, timeout), form);
}
void ReadHandle::WaitForEntry(EntryId entry, absl::Duration timeout, Callback<LacAndEntry> done) {
  reader_->edge().Start<absl::StatusOr<LacAndEntry>>(
      WaitForEntryOf(reader_->state(), entry, timeout), std::move(done));
}

TailStream ReadHandle::Tail(EntryId first) const { return TailStream(reader_, first); }

EntryId ReadHandle::last_add_confirmed() const {
  return EntryId((*reader_)->progress().last_add_confirmed.load(std::memory_order_acquire));
}
bool ReadHandle::is_closed() const {
  return (*reader_)->progress().is_closed.load(std::memory_order_acquire);
}
int64_t ReadHandle::length_bytes() const {
  return (*reader_)->progress().length_bytes.load(std::memory_order_relaxed);
}

Task<absl::StatusOr<metadata::LedgerMetadata>> ReadHandle::Metadata() {
  return reader_->edge().Start<absl::StatusOr<metadata::LedgerMetadata>>(
      MetadataOf(reader_->state()));
}
std::future<absl::StatusOr<metadata::LedgerMetadata>> ReadHandle::Metadata(UseFuture form) {
  return reader_->edge().Start<absl::StatusOr<metadata::LedgerMetadata>>(
      MetadataOf(reader_->state()), form);
}
void ReadHandle::Metadata(Callback<metadata::LedgerMetadata> done) {
  reader_->edge().Start<absl::StatusOr<metadata::LedgerMetadata>>(MetadataOf(reader_->state()),
                                                                  std::move(done));
}

}  // namespace stele::client
