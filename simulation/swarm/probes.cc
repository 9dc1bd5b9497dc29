#include "simulation/swarm/probes.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::simulation {
namespace {

constexpr absl::Duration kPause = absl::Seconds(1);
constexpr int64_t kReadEntriesMax = 100;
constexpr int kTriesMax = 60;
constexpr int kProbeEntries = 3;

Task<absl::Status> AppendOne(Caller caller, std::shared_ptr<RecordedWriter> writer) {
  Completion<absl::Status> told(caller.env.executor);
  writer->Append(100, [completer = told.GetCompleter(),
                       writer](const absl::Status& status) mutable { completer.Set(status); });
  co_return co_await told;
}

Task<absl::Status> WorkOnce(Caller caller, quorum::Replication replication) {
  auto created = co_await CreateRecorded(caller, {.replication = replication});
  if (!created.ok()) co_return WithContext(created.status(), "create");
  for (int i = 0; i < kProbeEntries; ++i) {
    const absl::Status appended = co_await AppendOne(caller, *created);
    if (!appended.ok()) co_return WithContext(appended, "append");
  }
  const absl::Status closed = co_await (*created)->Close();
  if (!closed.ok()) co_return WithContext(closed, "close");
  auto opened = co_await OpenRecorded(caller, (*created)->id(), false);
  if (!opened.ok()) co_return WithContext(opened.status(), "open");
  RecordedReader reader = *std::move(opened);
  const absl::Status read = co_await reader.Read(EntryId(0), EntryId(kProbeEntries - 1));
  co_return read.ok() ? read : WithContext(read, "read");
}

Task<absl::Status> ReadLedger(Caller caller, LedgerId ledger, bool recover) {
  auto opened = co_await OpenRecorded(caller, ledger, recover);
  if (!opened.ok()) co_return opened.status();
  RecordedReader reader = *std::move(opened);
  const EntryId last = reader.last_add_confirmed();
  for (EntryId first(0); first <= last;) {
    const EntryId end = std::min(last, EntryId(first.value() + kReadEntriesMax - 1));
    const absl::Status read = co_await reader.Read(first, end);
    if (!read.ok()) co_return read;
    first = end.Next();
  }
  co_return absl::OkStatus();
}

}  // namespace

Task<void> ProbeWork(Caller caller, quorum::Replication replication, ProbeResult* result) {
  for (;;) {
    const absl::Status worked = co_await WorkOnce(caller, replication);
    result->failure = worked.ok() ? "" : StrCat(caller.process, ": ", ToStd(worked.message()));
    if (worked.ok()) break;
    co_await SleepFor(caller.env.executor, caller.env.clock, kPause);
  }
  result->ended = true;
}

Task<void> ReadEverything(Caller caller, std::vector<KnownLedger> ledgers, bool recover,
                          ProbeResult* result) {
  for (const KnownLedger& ledger : ledgers) {
    absl::Status read;
    for (int i = 0; i < kTriesMax; ++i) {
      read = co_await ReadLedger(caller, ledger.id, recover);
      if (read.ok()) break;
      if (ledger.deleted && CodeOf(read) == ErrorCode::kNoSuchLedgerMetadata) break;
      co_await SleepFor(caller.env.executor, caller.env.clock, kPause);
    }
    // Where somebody has deleted it, the bookies may have let go of it.
    if (!read.ok() && !ledger.deleted && result->failure.empty()) {
      result->failure = StrCat("ledger ", ledger.id.value(), ": ", ToStd(read.message()));
    }
  }
  result->ended = true;
}

}  // namespace stele::simulation
