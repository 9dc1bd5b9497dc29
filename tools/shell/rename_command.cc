#include "tools/shell/rename_command.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "autorecovery/bookie_rename.h"
#include "autorecovery/references.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/digest.h"
#include "common/wire/entry_packet.h"
#include "metadata/bookie_id.h"
#include "metadata/ledger_manager.h"
#include "tools/shell/cluster_access.h"

namespace stele::shell {
namespace {

using autorecovery::Reference;
using metadata::LedgerMetadata;

absl::Status CheckNames(Session& session, const RenameCommand& command) {
  for (const std::string& name : {command.from, command.to}) {
    if (metadata::IsValidBookieId(name)) continue;
    return MakeError(ErrorCode::kInvalidArgument, StrCat(name, " is no bookie id"));
  }
  if (command.from == command.to) {
    return MakeError(ErrorCode::kInvalidArgument, "--from and --to are the same");
  }
  STELE_TRY(const auto registry, OpenRegistry(session));
  if (registry->bookies().IsUp(BookieId(command.from))) {
    return MakeError(ErrorCode::kMetadataConflict,
                     StrCat("bookie ", command.from,
                            " is up: it has its entries itself; stele node drain moves them"));
  }
  if (!registry->bookies().IsUp(BookieId(command.to))) {
    return MakeError(
        ErrorCode::kNotEnoughBookies,
        StrCat("bookie ", command.to, " is not up: it has to show that it has the entries"));
  }
  return absl::OkStatus();
}

// What is to be done, and what cannot be.
struct Plan {
  std::vector<LedgerId> ledgers;  // ascending
  int64_t open = 0;               // whose open end names the old name
  int64_t unreadable = 0;
};

absl::StatusOr<Plan> MakePlan(Session& session, metadata::LedgerManager& ledgers,
                              const BookieId& from) {
  STELE_TRY(autorecovery::References found,
            session.shard().RunUntil(autorecovery::FindReferences(&ledgers, {from})));
  Plan plan{.unreadable = static_cast<int64_t>(found.unreadable.size())};
  for (const Reference& reference : found.of[from]) {
    plan.ledgers.push_back(reference.ledger);
    plan.open += reference.is_in_open_tail ? 1 : 0;
  }
  return plan;
}

// Asks the new name for an entry of the ledger that the old one must have. True: it has it. False:
// there is none to ask for.
absl::StatusOr<bool> Prove(Session& session, metadata::LedgerManager& ledgers,
                           const Checker& checker, const RenameCommand& command, LedgerId ledger) {
  const auto read = session.shard().RunUntil(ledgers.Read(ledger));
  if (CodeOf(read.status()) == ErrorCode::kNoSuchLedgerMetadata) return false;
  STELE_TRY_OK(read.status());
  const LedgerMetadata& metadata = read->value;
  const std::optional<EntryId> entry = autorecovery::SomeEntryOf(metadata, BookieId(command.from));
  if (!entry.has_value()) return false;
  const auto packet =
      session.shard().RunUntil(checker.get()->ReadPacket(BookieId(command.to), ledger, *entry));
  absl::Status proof = packet.status();
  if (proof.ok()) {
    const wire::Digester digester(metadata.digest_type(), metadata.password().value_or(""));
    proof = wire::VerifyEntry(*packet, digester, ledger, *entry).status();
  }
  if (proof.ok()) return true;
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("bookie ", command.to, " does not give entry ", entry->value(),
                          " of ledger ", ledger.value(), ", which ", command.from,
                          " has by its metadata: ", proof.ToString(), "; nothing was changed"));
}

// Of ledgers evenly spread over all that are to be changed. Gives how many had something to show.
absl::StatusOr<int64_t> ProveSome(Session& session, metadata::LedgerManager& ledgers,
                                  const RenameCommand& command, const Plan& plan) {
  STELE_TRY(const auto checker, Checker::Open(session));
  const auto total = static_cast<int64_t>(plan.ledgers.size());
  const int64_t wanted = std::min(command.proofs, total);
  Progress progress(session.env().clock, "asking for entries", wanted, "ledgers");
  int64_t proven = 0;
  for (int64_t i = 0; i < wanted; ++i) {
    const LedgerId ledger = plan.ledgers[static_cast<size_t>(i * total / wanted)];
    STELE_TRY(const bool is_proven, Prove(session, ledgers, *checker, command, ledger));
    proven += is_proven ? 1 : 0;
    progress.Update(i + 1);
  }
  return proven;
}

struct Done {
  int64_t renamed = 0;
  int64_t refused = 0;  // they name both
};

absl::StatusOr<Done> Apply(Session& session, metadata::LedgerManager& ledgers,
                           const RenameCommand& command, const Plan& plan) {
  const MonotonicTime begin = session.env().clock->Now();
  Progress progress(session.env().clock, "renaming", static_cast<int64_t>(plan.ledgers.size()),
                    "ledgers");
  Done done;
  int64_t looked_at = 0;
  for (const LedgerId ledger : plan.ledgers) {
    if (command.limit > 0 && done.renamed >= command.limit) break;
    const auto renamed = session.shard().RunUntil(autorecovery::RenameInLedger(
        &ledgers, ledger, BookieId(command.from), BookieId(command.to)));
    const bool is_refused = CodeOf(renamed.status()) == ErrorCode::kInvalidArgument;
    if (!renamed.ok() && !is_refused) {
      return WithContext(renamed.status(),
                         StrCat("ledger ", ledger.value(), ", after ", done.renamed,
                                " that were renamed; the same command goes on"));
    }
    done.refused += is_refused ? 1 : 0;
    done.renamed += renamed.value_or(false) ? 1 : 0;
    if (command.verbose) {
      std::fprintf(stderr, "ledger %lld %s\n", static_cast<long long>(ledger.value()),
                   is_refused ? "names both"
                   : *renamed ? "renamed"
                              : "nothing to do");
    }
    progress.Update(++looked_at);
    if (command.rate == 0 || !renamed.value_or(false)) continue;
    const MonotonicTime next = begin + absl::Seconds(1) * done.renamed / command.rate;
    session.shard().RunUntil(
        SleepFor(session.env().executor, session.env().clock, next - session.env().clock->Now()));
  }
  return done;
}

absl::Status Rename(Session& session, const RenameCommand& command) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY_OK(CheckNames(session, command));
  metadata::LedgerManager ledgers(session.env(), session.store(), cluster.layout);
  STELE_TRY(const Plan plan, MakePlan(session, ledgers, BookieId(command.from)));
  STELE_TRY(const int64_t proven, ProveSome(session, ledgers, command, plan));
  // Without a single proof the other bookie may be any.
  const bool is_shown = proven > 0 || plan.ledgers.empty() || command.force;
  Done done;
  Plan left = plan;
  if (command.applies && is_shown) {
    STELE_TRY(done, Apply(session, ledgers, command, plan));
    STELE_TRY(left, MakePlan(session, ledgers, BookieId(command.from)));
  }
  PrintRecord(Record()
                  .Set("from", command.from)
                  .Set("to", command.to)
                  .Set("applied", command.applies && is_shown)
                  .Set("ledgers", static_cast<int64_t>(plan.ledgers.size()))
                  .Set("proven", proven)
                  .Set("renamed", done.renamed)
                  .Set("ledgers_left", static_cast<int64_t>(left.ledgers.size()))
                  .Set("ledgers_open", left.open)
                  .Set("ledgers_with_both", done.refused)
                  .Set("ledgers_unreadable", left.unreadable),
              session.options().format);
  if (!is_shown) {
    const auto asked = std::min(command.proofs, static_cast<int64_t>(plan.ledgers.size()));
    return MakeError(
        ErrorCode::kMetadataConflict,
        StrCat("nothing was changed: of the ", asked,
               " ledgers that were looked at none has an "
               "entry with which ",
               command.to, " could show that it is ", command.from,
               "; --proofs looks at more, stele ledger recover closes those that are open, --force "
               "goes on without"));
  }
  if (!command.applies) {
    std::fprintf(stderr, "nothing was changed: --apply does it\n");
    return absl::OkStatus();
  }
  if (left.ledgers.empty() && left.unreadable == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kNotEnoughBookies,
                   StrCat(left.ledgers.size(), " ledgers still name ", command.from,
                          left.open > 0 ? "; stele ledger recover closes those that are open" : "",
                          left.unreadable > 0 ? "; some cannot be read" : ""));
}

}  // namespace

ExitCode RunBookiesRename(const RenameCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Rename(session, command); });
}

}  // namespace stele::shell
