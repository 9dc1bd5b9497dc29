#include "simulation/swarm/probes.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "bookie/testing/wire_client.h"
#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/availability.h"
#include "simulation/cluster.h"

namespace stele::simulation {
namespace {

constexpr absl::Duration kPause = absl::Seconds(1);
constexpr absl::Duration kSettleTime = absl::Seconds(10);
constexpr int64_t kReadEntriesMax = 100;
constexpr int kProbeEntries = 3;
// A bookie that does not serve by then will be started again.
constexpr int kRollTries = 40;
constexpr absl::Duration kRollPause = absl::Milliseconds(50);

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

// Somebody has tried to, perhaps just now.
bool IsDeleted(const Stage* stage, LedgerId ledger) {
  return std::ranges::any_of(stage->ledgers(), [ledger](const KnownLedger& known) {
    return known.id == ledger && known.deleted;
  });
}

// What a bookie has of a ledger, as it says itself; nothing when it does not answer.
Task<std::optional<wire::Availability>> AskWhatItHas(Env env, std::string host, LedgerId ledger) {
  bookie::WireClient wire(env, wire::ProtocolVersion::kV3);
  const bookie::LedgerRequests requests{
      .ledger = ledger, .password = "", .digest_type = DigestType::kCrc32};
  if (!(co_await wire.Connect({host, kBookiePort})).ok()) co_return std::nullopt;
  const auto listed = co_await wire.Call(requests.ListEntries());
  if (!listed.ok() || listed->code != wire::ReplyCode::kOk) co_return std::nullopt;
  auto has = wire::Availability::Parse(std::get<wire::ListEntriesReply>(listed->body).availability);
  if (!has.ok()) co_return std::nullopt;
  co_return *std::move(has);
}

// What is missing of one ledger; empty: nothing.
Task<std::string> FindMissingCopy(Env env, const WireWatch* watch, const Hazards* hazards,
                                  LedgerId ledger) {
  const auto found = watch->ledgers().find(ledger);
  if (found == watch->ledgers().end() || watch->IsDeleted(ledger)) co_return "";
  const metadata::LedgerMetadata metadata = found->second;
  std::map<std::string, std::optional<wire::Availability>> asked;
  for (EntryId entry(0); entry <= metadata.last_entry(); entry = entry.Next()) {
    for (const std::string& host : WireWatch::HostsOf(metadata, entry)) {
      if (hazards->is_gone(host)) {
        co_return StrCat("ledger ", ledger.value(), " names ", host, ", which is gone");
      }
      if (hazards->is_excused(host)) continue;
      // What it was seen to have may be damaged since, until a scrub has repaired it.
      if (!asked.contains(host)) asked[host] = co_await AskWhatItHas(env, host, ledger);
      if (asked[host].has_value() && asked[host]->Contains(entry)) continue;
      co_return StrCat("ledger ", ledger.value(), " entry ", entry.value(), " is not on ", host);
    }
  }
  co_return "";
}

}  // namespace

Task<void> CallRoll(Env env, const WireWatch* watch, std::string host) {
  bookie::WireClient wire(env, wire::ProtocolVersion::kV3);
  bool connected = false;
  for (int i = 0; i < kRollTries && !connected; ++i) {
    co_await SleepFor(env.executor, env.clock, kRollPause);
    connected = (co_await wire.Connect({host, kBookiePort})).ok();
  }
  if (!connected) co_return;
  for (const auto& [ledger, entry] : watch->RollCall(host)) {
    const bookie::LedgerRequests requests{
        .ledger = ledger, .password = "", .digest_type = DigestType::kCrc32};
    if (!(co_await wire.Call(requests.Read(entry.value()))).ok()) co_return;
  }
}

Task<void> AwaitCopies(Env env, const WireWatch* watch, const Hazards* hazards,
                       std::set<LedgerId> ledgers, ProbeResult* result) {
  for (const LedgerId ledger : ledgers) {
    for (;;) {
      result->failure = co_await FindMissingCopy(env, watch, hazards, ledger);
      if (result->failure.empty()) break;
      co_await SleepFor(env.executor, env.clock, kPause);
    }
  }
  // What a bookie lists is durable soon.
  co_await SleepFor(env.executor, env.clock, kSettleTime);
  result->ended = true;
}

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
                          int tries_max, ProbeResult* result) {
  for (const KnownLedger& ledger : ledgers) {
    absl::Status read;
    for (int i = 0; i < tries_max; ++i) {
      read = co_await ReadLedger(caller, ledger.id, recover);
      if (read.ok()) break;
      if (IsDeleted(caller.stage, ledger.id) && CodeOf(read) == ErrorCode::kNoSuchLedgerMetadata) {
        break;
      }
      co_await SleepFor(caller.env.executor, caller.env.clock, kPause);
    }
    // Where somebody has deleted it, the bookies may have let go of it.
    if (!read.ok() && !IsDeleted(caller.stage, ledger.id) && result->failure.empty()) {
      result->failure = StrCat("ledger ", ledger.id.value(), ": ", ToStd(read.message()));
    }
  }
  result->ended = true;
}

}  // namespace stele::simulation
