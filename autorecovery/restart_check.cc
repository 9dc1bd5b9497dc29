#include "autorecovery/restart_check.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "autorecovery/internal/ledger_scan.h"
#include "common/base/errors.h"
#include "common/base/try.h"

namespace stele::autorecovery {
namespace {

using metadata::LedgerMetadata;

constexpr size_t kReadsInFlightMax = 256;

struct Work {
  metadata::LedgerManager* ledgers;
  RestartQuestion question;
  RestartVerdict verdict;

  void Refuse(RefusalKind kind, LedgerId ledger) {
    ++verdict.counts[kind];
    std::vector<LedgerId>& examples = verdict.examples[kind];
    if (examples.size() < kExamplesMax) examples.push_back(ledger);
  }
};

// The bookies of a ledger that would be down.
std::set<BookieId> AwayOf(const LedgerMetadata& metadata, const RestartQuestion& question,
                          bool* is_touched) {
  std::set<BookieId> away;
  for (const metadata::Fragment& fragment : metadata.fragments()) {
    for (const BookieId& bookie : fragment.ensemble) {
      const bool stops = question.stopping.contains(bookie);
      const bool is_whole = question.bookies.IsUp(bookie) && !question.in_limbo.contains(bookie);
      if (stops || !is_whole) away.insert(bookie);
      *is_touched = *is_touched || stops;
    }
  }
  return away;
}

Task<absl::Status> Visit(Work* work, LedgerId ledger) {
  const auto read = co_await work->ledgers->Read(ledger);
  if (CodeOf(read.status()) == ErrorCode::kNoSuchLedgerMetadata) co_return absl::OkStatus();
  if (IsMatterOfTheStore(read.status())) co_return read.status();
  ++work->verdict.ledgers;
  if (!read.ok()) {
    ++work->verdict.ledgers_unreadable;
    work->Refuse(RefusalKind::kUnderReplicated, ledger);
    co_return absl::OkStatus();
  }
  const LedgerMetadata& metadata = read->value;
  work->verdict.ensemble_size_max =
      std::max(work->verdict.ensemble_size_max, metadata.replication().ensemble_size);
  bool is_touched = false;
  const std::set<BookieId> away = AwayOf(metadata, work->question, &is_touched);
  if (!is_touched) co_return absl::OkStatus();
  ++work->verdict.ledgers_touched;
  for (RefusalKind kind : RefusalsFor(metadata, away, work->question.rules)) {
    work->Refuse(kind, ledger);
  }
  if (work->question.under_repair.contains(ledger)) {
    work->Refuse(RefusalKind::kUnderReplicated, ledger);
  }
  co_return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<RestartVerdict>> CheckRestart(metadata::LedgerManager* ledgers,
                                                  RestartQuestion question) {
  const auto work = std::make_unique<Work>(Work{ledgers, std::move(question), {}});
  const auto visit = [&work](LedgerId ledger) { return Visit(work.get(), ledger); };
  STELE_CO_TRY_OK(co_await ForEachLedger(ledgers, LedgerId(0), kReadsInFlightMax, visit));
  RestartVerdict& verdict = work->verdict;
  for (const BookieId& bookie : work->question.bookies.writable) {
    if (!work->question.stopping.contains(bookie)) ++verdict.writable_left;
  }
  if (verdict.writable_left < verdict.ensemble_size_max) {
    verdict.counts[RefusalKind::kTooFewWritable] = 1;
  }
  for (auto& [kind, examples] : verdict.examples) std::sort(examples.begin(), examples.end());
  co_return std::move(verdict);
}

}  // namespace stele::autorecovery
