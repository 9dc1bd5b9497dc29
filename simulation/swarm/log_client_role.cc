// A log over a chain of ledgers, as applications build them: the list of ledgers is one node of the
// metadata store, changed by compare-and-swap only. Whoever wants to append takes the log over: it
// recovers the last two ledgers of the list, makes a new one, adds it to the list, and only then
// writes. End to end, the log loses nothing that was acknowledged and never forks.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/swarm/roles.h"

namespace stele::simulation {
namespace {

constexpr char kListPath[] = "/swarm-log";
// Ledgers in the list; older ones are forgotten by it.
constexpr size_t kListMax = 64;

struct LedgerList {
  std::vector<LedgerId> ledgers;
  metadata::Version version = 0;
};

std::string ToText(const std::vector<LedgerId>& ledgers) {
  std::string text;
  for (const LedgerId ledger : ledgers) text += StrCat(text.empty() ? "" : " ", ledger.value());
  return text;
}

Task<absl::StatusOr<LedgerList>> ReadList(metadata::MetadataStore* store) {
  auto node = co_await store->Get(kListPath);
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) {
    (void)co_await store->Create(kListPath, "", metadata::NodeKind::kPersistent);
    node = co_await store->Get(kListPath);
  }
  if (!node.ok()) co_return node.status();
  LedgerList list{.version = node->version};
  for (const absl::string_view word : absl::StrSplit(ToAbsl(node->value), ' ', absl::SkipEmpty())) {
    int64_t id = -1;
    if (absl::SimpleAtoi(word, &id)) list.ledgers.push_back(LedgerId(id));
  }
  co_return list;
}

// Takes the log over; null: not this time.
Task<std::shared_ptr<RecordedWriter>> TakeOver(RoleContext context) {
  auto list = co_await ReadList(context.store);
  if (!list.ok()) co_return nullptr;
  const size_t count = list->ledgers.size();
  for (size_t i = count - std::min<size_t>(count, 2); i < count; ++i) {
    const auto recovered = co_await OpenRecorded(context.caller, list->ledgers[i], true);
    const bool deleted = CodeOf(recovered.status()) == ErrorCode::kNoSuchLedgerMetadata;
    if (!recovered.ok() && !deleted) co_return nullptr;
  }
  auto created =
      co_await CreateRecorded(context.caller, {.replication = context.DrawReplication()});
  if (!created.ok()) co_return nullptr;
  std::vector<LedgerId> ledgers = list->ledgers;
  ledgers.push_back((*created)->id());
  if (ledgers.size() > kListMax) ledgers.erase(ledgers.begin());
  const auto put = co_await context.store->Put(kListPath, ToText(ledgers), list->version);
  // An unknown outcome is given up: the next one who takes over recovers what is in the list.
  if (!put.ok()) {
    (void)co_await (*created)->Close();
    co_return nullptr;
  }
  context.stage().Note(StrCat("ledger ", (*created)->id().value(), " joins the log"));
  co_return *created;
}

Task<bool> AppendOne(RoleContext context, std::shared_ptr<RecordedWriter> writer) {
  Completion<bool> told(context.caller.env.executor);
  writer->Append(context.DrawSize(),
                 [completer = told.GetCompleter(), writer](const absl::Status& status) mutable {
                   completer.Set(status.ok());
                 });
  co_return co_await told;
}

}  // namespace

Task<void> PlayLogClient(RoleContext context) {
  int64_t appended = 0;
  while (context.goes_on() && appended < context.actor.operations) {
    co_await context.Think(absl::Seconds(10));
    if (!context.goes_on()) co_return;
    const std::shared_ptr<RecordedWriter> writer = co_await TakeOver(context);
    if (writer == nullptr) continue;
    const int64_t entries = 1 + static_cast<int64_t>(context.Below(60));
    bool leads = true;
    for (int64_t i = 0; i < entries && leads && context.goes_on(); ++i, ++appended) {
      leads = co_await AppendOne(context, writer);
      co_await context.Think(absl::Milliseconds(300));
    }
    if (leads && context.Chance(1, 2)) (void)co_await writer->Close();
  }
}

}  // namespace stele::simulation
