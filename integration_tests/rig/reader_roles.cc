#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "integration_tests/rig/roles.h"

namespace stele::rig {
namespace {

using client::Entry;
using client::ReadHandle;
using history::Answer;
using history::LedgerStateSeen;
using history::Operation;
using history::Question;

constexpr absl::Duration kRetryTime = absl::Milliseconds(200);
constexpr absl::Duration kPollTime = absl::Milliseconds(500);
constexpr int64_t kEntriesPerRead = 64;
constexpr absl::Duration kDeletePause = absl::Milliseconds(700);
// A reader leaves a ledger after so many errors in a row; the ledger may be beyond help now.
constexpr int kErrorsMax = 3;

// One read handle and the calls on it.
class Reader {
 public:
  Reader(RoleContext& context, LedgerId ledger)
      : context_(context), ledger_(ledger), handle_number_(context.history->NextNumber()) {}

  absl::Status Open(bool recover);
  absl::Status Read(EntryId first, EntryId last);
  absl::Status ReadLac();
  absl::Status WaitFor(EntryId entry);
  ReadHandle& handle() { return *handle_; }

  Question QuestionOf(Operation operation) const {
    return {.operation = operation, .ledger = ledger_, .handle = handle_number_};
  }
  Answer EndSeen() const {
    return {.state = handle_->is_closed() ? LedgerStateSeen::kClosed : LedgerStateSeen::kOpen,
            .last = handle_->last_add_confirmed(),
            .length_bytes = handle_->is_closed() ? handle_->length_bytes() : -1};
  }

 private:
  // Writes the end of a call, and gives its status.
  template <typename T, typename Fill>
  absl::Status Heard(int64_t call, const absl::StatusOr<T>& result, Fill fill) {
    if (!result.ok()) {
      context_.history->Error(call, result.status());
      return result.status();
    }
    Answer answer;
    fill(*result, answer);
    context_.history->Ok(call, std::move(answer));
    return absl::OkStatus();
  }

  RoleContext& context_;
  const LedgerId ledger_;
  const int64_t handle_number_;
  std::optional<ReadHandle> handle_;
};

absl::Status Reader::Open(bool recover) {
  Question question = QuestionOf(Operation::kOpen);
  question.recover = recover;
  const int64_t call = context_.history->Invoke(std::move(question));
  auto builder = context_.client->OpenLedger(ledger_);
  builder.Password(kPassword);
  if (recover) builder.Recover();
  absl::StatusOr<ReadHandle> opened = builder.Open(UseFuture()).get();
  if (!opened.ok()) {
    context_.history->Error(call, opened.status());
    return opened.status();
  }
  handle_.emplace(*std::move(opened));
  Answer answer = EndSeen();
  answer.has_lac = true;
  answer.lac = answer.last;
  context_.history->Ok(call, std::move(answer));
  return absl::OkStatus();
}

absl::Status Reader::Read(EntryId first, EntryId last) {
  Question question = QuestionOf(Operation::kRead);
  question.first = first;
  question.last = last;
  const int64_t call = context_.history->Invoke(std::move(question));
  // A batch of several may end early, so it is asked for one.
  const absl::StatusOr<std::vector<Entry>> read =
      first == last ? handle_->ReadBatch(first, 1, 0, UseFuture()).get()
                    : handle_->Read(first, last, UseFuture()).get();
  return Heard(call, read, [](const std::vector<Entry>& entries, Answer& answer) {
    for (const Entry& entry : entries) answer.entries.push_back(SeenOf(entry));
  });
}

absl::Status Reader::ReadLac() {
  const int64_t call = context_.history->Invoke(QuestionOf(Operation::kReadLac));
  return Heard(call, handle_->ReadLastAddConfirmed(UseFuture()).get(),
               [](EntryId lac, Answer& answer) {
                 answer.has_lac = true;
                 answer.lac = lac;
               });
}

absl::Status Reader::WaitFor(EntryId entry) {
  Question question = QuestionOf(Operation::kWait);
  question.entry = entry;
  const int64_t call = context_.history->Invoke(std::move(question));
  return Heard(call, handle_->WaitForEntry(entry, kPollTime, UseFuture()).get(),
               [](const client::LacAndEntry& seen, Answer& answer) {
                 answer.has_lac = true;
                 answer.lac = seen.last_add_confirmed;
                 if (seen.entry.has_value()) answer.entries.push_back(SeenOf(*seen.entry));
               });
}

// Follows the ledger to its end. False: it gave up.
bool FollowToEnd(RoleContext& context, Reader& reader) {
  client::TailStream tail = reader.handle().Tail(EntryId(0));
  int errors = 0;
  for (EntryId next(0); !context.orders->is_quitting();) {
    Question question = reader.QuestionOf(Operation::kTail);
    question.entry = next;
    const int64_t call = context.history->Invoke(std::move(question));
    std::future<absl::StatusOr<std::optional<Entry>>> coming = tail.Next(UseFuture());
    // A stream waits for as long as it takes; whoever is told to quit leaves the call behind, and
    // the client ends it.
    while (coming.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
      if (context.orders->is_quitting()) {
        context.history->Error(call,
                               MakeError(ErrorCode::kStopped, Effect::kNone, "the reader left"));
        return false;
      }
    }
    const absl::StatusOr<std::optional<Entry>> got = coming.get();
    if (!got.ok()) {
      context.history->Error(call, got.status());
      if (++errors > kErrorsMax) return false;
      context.orders->Sleep(kRetryTime);
      continue;
    }
    errors = 0;
    if (!got->has_value()) {
      context.history->Ok(call, reader.EndSeen());
      return true;
    }
    context.history->Ok(call, {.entries = {SeenOf(**got)}});
    next = next.Next();
  }
  return false;
}

// All entries up to `last`, a part at a time.
absl::Status ReadAll(Reader& reader, EntryId last) {
  for (EntryId first(0); first <= last;) {
    const EntryId end = std::min(last, EntryId(first.value() + kEntriesPerRead - 1));
    const absl::Status read = reader.Read(first, end);
    if (!read.ok()) return read;
    first = end.Next();
  }
  return absl::OkStatus();
}

// Of a ledger that grows or not: some ranges, at random.
void ReadSome(RoleContext& context, Reader& reader) {
  int errors = 0;
  for (int i = 0; i < 10 && errors <= kErrorsMax && !context.orders->is_quitting(); ++i) {
    absl::Status status;
    const int64_t lac = reader.handle().last_add_confirmed().value();
    const uint64_t draw = context.random() % 5;
    if (lac < 0 || draw == 0) {
      status = reader.ReadLac();
    } else if (draw == 1) {
      status = reader.WaitFor(EntryId(lac + 1));
    } else {
      const auto first = static_cast<int64_t>(context.random() % static_cast<uint64_t>(lac + 1));
      const int64_t more = draw == 2 ? 0 : static_cast<int64_t>(context.random() % 64);
      status = reader.Read(EntryId(first), EntryId(std::min(lac, first + more)));
    }
    if (!status.ok()) {
      ++errors;
      context.orders->Sleep(kRetryTime);
    }
  }
}

}  // namespace

void Orders::Add(LedgerId ledger) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ledgers_.push_back(ledger);
  changed_.notify_all();
}

void Orders::Quit() {
  const std::lock_guard<std::mutex> lock(mutex_);
  quitting_ = true;
  changed_.notify_all();
}

LedgerId Orders::Pick(std::mt19937_64& random) {
  constexpr size_t kRecent = 8;
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return quitting_ || !ledgers_.empty(); });
  if (quitting_) return LedgerId();
  const size_t among = random() % 4 == 0 ? ledgers_.size() : std::min(kRecent, ledgers_.size());
  return ledgers_[ledgers_.size() - 1 - random() % among];
}

LedgerId Orders::Next() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return quitting_ || next_ < ledgers_.size(); });
  return next_ < ledgers_.size() ? ledgers_[next_++] : LedgerId();
}

void Orders::Sleep(absl::Duration time) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoMicroseconds(time), [&] { return quitting_.load(); });
}

void RunTailer(RoleContext context) {
  for (;;) {
    const LedgerId ledger = context.orders->Pick(context.random);
    if (!ledger.IsValid()) return;
    Reader reader(context, ledger);
    if (!reader.Open(false).ok() || !FollowToEnd(context, reader)) {
      context.orders->Sleep(kRetryTime);
    }
  }
}

void RunCatchUpReader(RoleContext context) {
  for (;;) {
    const LedgerId ledger = context.orders->Pick(context.random);
    if (!ledger.IsValid()) return;
    Reader reader(context, ledger);
    if (reader.Open(false).ok()) {
      ReadSome(context, reader);
    } else {
      context.orders->Sleep(kRetryTime);
    }
  }
}

void RunDeleter(RoleContext context) {
  for (;;) {
    context.orders->Sleep(kDeletePause);
    const LedgerId ledger = context.orders->Pick(context.random);
    if (!ledger.IsValid()) return;
    const int64_t call =
        context.history->Invoke({.operation = Operation::kDelete, .ledger = ledger});
    context.history->End(call, context.client->DeleteLedger(ledger, UseFuture()).get());
  }
}

void RunRecoverer(RoleContext context) {
  for (;;) {
    const LedgerId ledger = context.orders->Next();
    if (!ledger.IsValid()) return;
    Reader reader(context, ledger);
    absl::Status status = reader.Open(true);
    if (status.ok()) status = ReadAll(reader, reader.handle().last_add_confirmed());
    const auto id = static_cast<long long>(ledger.value());
    if (status.ok()) {
      std::printf("recovered %lld %lld\n", id,
                  static_cast<long long>(reader.handle().last_add_confirmed().value()));
    } else if (CodeOf(status) == ErrorCode::kNoSuchLedgerMetadata) {
      std::printf("gone %lld\n", id);
    } else {
      std::printf("failed %lld %s %s\n", id, std::string(NameOf(CodeOf(status))).c_str(),
                  std::string(ToStd(status.message())).c_str());
    }
    std::fflush(stdout);
  }
}

}  // namespace stele::rig
