#include "simulation/exhaustive/scripts.h"

#include <utility>

#include "common/base/strings.h"

namespace stele::simulation {
namespace {

using Played = std::function<void()>;

quorum::Replication Copies(int ensemble, int write, int ack) {
  return {.ensemble_size = ensemble, .write_quorum_size = write, .ack_quorum_size = ack};
}

// What becomes of a result does not matter to a script: the oracle has seen it.
void Ignore(const absl::Status& status) { status.IgnoreError(); }

StageOptions With(int bookies, std::function<void(bookie::BookieOptions*)> tune_bookie = nullptr,
                  std::function<void(client::ClientOptions*)> tune_client = nullptr) {
  return {.bookies = bookies,
          .tune_bookie = std::move(tune_bookie),
          .tune_client = std::move(tune_client)};
}

// A ledger with entries whose writer has died.
LedgerOracle* Abandoned(Stage& stage, CreateOptions options, int entries) {
  Actor* writer = stage.Connect("writer");
  LedgerOracle* ledger = stage.Create(writer, options);
  stage.Append(writer, ledger, entries);
  stage.Kill(writer);
  return ledger;
}

void FewBytesPerLog(bookie::BookieOptions* options) {
  options->entry_log_size_max_bytes = 8 << 10;
  options->memtable_max_bytes = 16 << 10;
}

void ShortGrace(bookie::BookieOptions* options) { options->gc_interval = absl::Milliseconds(500); }

std::vector<Script> Writing() {
  return {
      {"create-append-close", "the whole life of a ledger", With(3), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         return [&s, writer] {
           LedgerOracle* ledger = s.Create(writer);
           s.Append(writer, ledger, 3);
           Ignore(s.Close(writer, ledger));
         };
       }},
      {"connect", "a client's first steps", With(3), "c",
       [](Stage& s) -> Played {
         return [&s] {
           Actor* writer = s.Connect("c-writer");
           s.Append(writer, s.Create(writer), 1);
         };
       }},
      {"append-with-spare", "appends with a bookie to spare", With(4), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         return [&s, writer, ledger] {
           s.Append(writer, ledger, 4);
           s.Append(writer, ledger, 1);
         };
       }},
      {"append-striped", "an ensemble of four, two copies", With(5), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer, {.replication = Copies(4, 2, 2)});
         return [&s, writer, ledger] {
           s.Append(writer, ledger, 5);
           Ignore(s.Close(writer, ledger));
         };
       }},
      {"append-all-must-ack", "three of three", With(4), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer, {.replication = Copies(3, 3, 3)});
         return [&s, writer, ledger] {
           s.Append(writer, ledger, 3);
           Ignore(s.Close(writer, ledger));
         };
       }},
      {"ensemble-change", "a bookie dies under a writer", With(4), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         s.Append(writer, ledger, 2);
         return [&s, writer, ledger] {
           s.KeepDown(1);
           s.KillBookie(1);
           s.Append(writer, ledger, 3);
           Ignore(s.Close(writer, ledger));
         };
       }},
      {"ensemble-change-first-entry", "a bookie is dead before the first entry", With(4), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer, {.replication = Copies(3, 3, 3)});
         return [&s, writer, ledger] {
           for (int bookie : {1, 2}) s.KillBookie(bookie);
           s.KeepDown(1);
           s.Append(writer, ledger, 2);
         };
       }},
      {"ensemble-change-twice", "two bookies die, one after the other", With(5), "w",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         return [&s, writer, ledger] {
           s.StartAppends(writer, ledger, 2);
           s.KeepDown(1);
           s.KillBookie(1);
           s.Append(writer, ledger, 2);
           s.KeepDown(2);
           s.KillBookie(2);
           s.Append(writer, ledger, 2);
           Ignore(s.Close(writer, ledger));
         };
       }},
      {"explicit-lac", "an idle writer tells its LAC, a reader sees it",
       With(3, nullptr,
            [](client::ClientOptions* options) {
              options->explicit_lac_interval = absl::Milliseconds(100);
            }),
       "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         Actor* reader = s.Connect("reader");
         LedgerOracle* ledger = s.Create(writer);
         return [&s, writer, reader, ledger] {
           s.Append(writer, ledger, 2);
           s.RunFor(absl::Milliseconds(300));
           Ignore(s.OpenForReading(reader, ledger));
           Ignore(s.ReadAll(reader, ledger));
           s.Kill(writer);
         };
       }},
      {"deferred-sync", "append, force, append, close", With(3), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer, {.deferred_sync = true});
         return [&s, writer, ledger] {
           s.Append(writer, ledger, 2);
           Ignore(s.Force(writer, ledger));
           s.Append(writer, ledger, 2);
           Ignore(s.Close(writer, ledger));
         };
       }},
      {"caller-ids", "ids of the caller, out of order, one twice", With(4), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer, {.caller_ids = true});
         return [&s, writer, ledger] {
           s.AppendAt(writer, ledger, {2, 0, 1});
           s.AppendAt(writer, ledger, {1, 3});
           Ignore(s.Close(writer, ledger));
         };
       }},
  };
}

std::vector<Script> Recovering() {
  return {
      {"recovery", "the writer has died", With(3), "",
       [](Stage& s) -> Played {
         LedgerOracle* ledger = Abandoned(s, {}, 3);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, recoverer, ledger] { Ignore(s.Recover(recoverer, ledger)); };
       }},
      {"recovery-of-nothing", "a ledger without an entry", With(3), "",
       [](Stage& s) -> Played {
         LedgerOracle* ledger = Abandoned(s, {}, 0);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, recoverer, ledger] { Ignore(s.Recover(recoverer, ledger)); };
       }},
      {"recovery-with-one-down", "a member of the ensemble is dead", With(4), "",
       [](Stage& s) -> Played {
         LedgerOracle* ledger = Abandoned(s, {}, 3);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, recoverer, ledger] {
           s.KeepDown(2);
           s.KillBookie(2);
           Ignore(s.Recover(recoverer, ledger));
         };
       }},
      {"recovery-in-flight", "the writer dies with appends in flight", With(3), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, writer, recoverer, ledger] {
           s.StartAppends(writer, ledger, 6);
           s.RunFor(absl::Microseconds(900));
           s.Kill(writer);
           Ignore(s.Recover(recoverer, ledger));
         };
       }},
      {"fence-living-writer", "the writer is alive and goes on", With(4), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         s.Append(writer, ledger, 2);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, writer, recoverer, ledger] {
           s.StartAppends(writer, ledger, 3);
           Ignore(s.Recover(recoverer, ledger));
           s.Append(writer, ledger, 2);
         };
       }},
      {"two-recoverers", "at the same time", With(3), "",
       [](Stage& s) -> Played {
         LedgerOracle* ledger = Abandoned(s, {}, 3);
         Actor* one = s.Connect("recoverer-1");
         Actor* two = s.Connect("recoverer-2");
         return [&s, one, two, ledger] { s.RecoverTogether({one, two}, ledger); };
       }},
      {"second-recovery", "the first recoverer dies half-way", With(4), "",
       [](Stage& s) -> Played {
         LedgerOracle* ledger = Abandoned(s, {.replication = Copies(3, 3, 2)}, 3);
         Actor* second = s.Connect("recoverer-2");
         return [&s, second, ledger] {
           Actor* first = s.Connect("recoverer-1");
           if (!first->gone() && ledger != nullptr) {
             first->client->OpenLedger(ledger->id()).Recover().Open([](auto) {});
             s.RunFor(absl::Milliseconds(6));
             s.Kill(first);
           }
           Ignore(s.Recover(second, ledger));
         };
       }},
      {"recovery-after-change", "the last fragment is young", With(4), "r",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         s.Append(writer, ledger, 2);
         s.KeepDown(1);
         s.KillBookie(1);
         s.Append(writer, ledger, 2);
         s.Kill(writer);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, recoverer, ledger] { Ignore(s.Recover(recoverer, ledger)); };
       }},
      {"close-against-recovery", "both at once", With(3), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         s.Append(writer, ledger, 2);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, writer, recoverer, ledger] {
           if (!recoverer->gone() && ledger != nullptr) {
             recoverer->client->OpenLedger(ledger->id()).Recover().Open([](auto) {});
           }
           Ignore(s.Close(writer, ledger));
           Ignore(s.Recover(recoverer, ledger));
         };
       }},
      {"recovery-of-deferred", "never forced, partly forced", With(3), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer, {.deferred_sync = true});
         s.Append(writer, ledger, 2);
         Ignore(s.Force(writer, ledger));
         s.Append(writer, ledger, 2);
         s.Kill(writer);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, recoverer, ledger] { Ignore(s.Recover(recoverer, ledger)); };
       }},
  };
}

std::vector<Script> Reading() {
  return {
      {"read-closed", "while a bookie comes back", With(3), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         s.Append(writer, ledger, 4);
         Ignore(s.Close(writer, ledger));
         Actor* reader = s.Connect("reader");
         return [&s, reader, ledger] {
           s.KillBookie(1);
           Ignore(s.OpenForReading(reader, ledger));
           Ignore(s.ReadAll(reader, ledger));
         };
       }},
      {"tail", "a reader follows a writer by long polls", With(3), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         Actor* reader = s.Connect("reader");
         s.Append(writer, ledger, 1);
         return [&s, writer, reader, ledger] {
           Ignore(s.OpenForReading(reader, ledger));
           s.StartAppends(writer, ledger, 2);
           s.WaitForEntry(reader, ledger, EntryId(1));
           s.AwaitAppends(writer);
           Ignore(s.ReadAll(reader, ledger));
         };
       }},
      {"delete-closed", "and collect it", With(3, ShortGrace), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         LedgerOracle* other = s.Create(writer);
         s.Append(writer, ledger, 2);
         s.Append(writer, other, 2);
         Ignore(s.Close(writer, ledger));
         return [&s, writer, ledger] {
           Ignore(s.Delete(writer, ledger));
           s.CollectGarbage(1);
           s.CollectGarbage(2);
         };
       }},
      {"delete-open", "under its writer, with recovery after it", With(3, ShortGrace), "",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         s.Append(writer, ledger, 2);
         Actor* deleter = s.Connect("deleter");
         return [&s, writer, deleter, ledger] {
           Ignore(s.Delete(deleter, ledger));
           s.CollectGarbage(1);
           s.Append(writer, ledger, 1);
           Ignore(s.Recover(deleter, ledger));
         };
       }},
      {"two-creators", "of one id", With(3), "",
       [](Stage& s) -> Played {
         Actor* one = s.Connect("creator-1");
         Actor* two = s.Connect("creator-2");
         return [&s, one, two] {
           LedgerOracle* first = s.Create(one, {.id = LedgerId(77)});
           LedgerOracle* second = s.Create(two, {.id = LedgerId(77)});
           s.Append(one, first, 1);
           s.Append(two, second, 1);
         };
       }},
  };
}

std::vector<Script> Storing() {
  return {
      {"first-boot", "a new bookie joins", With(3), "b9",
       [](Stage& s) -> Played {
         return [&s] {
           s.AddBookie(9);
           s.AwaitAllServing();
         };
       }},
      {"boot-after-kill", "replay of what the dead process wrote", With(3), "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         s.Append(writer, ledger, 5);
         return [&s] {
           s.KillBookie(1);
           s.AwaitAllServing();
         };
       }},
      {"boot-after-power-cut", "replay of what was durable, a fence included", With(3), "b1",
       [](Stage& s) -> Played {
         LedgerOracle* ledger = Abandoned(s, {}, 5);
         Actor* recoverer = s.Connect("recoverer");
         Ignore(s.Recover(recoverer, ledger));
         return [&s] {
           s.PowerCutBookie(1);
           s.AwaitAllServing();
         };
       }},
      {"stop-and-boot", "an orderly end and a start over old data", With(3), "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         s.Append(writer, ledger, 5);
         s.RunFor(absl::Seconds(2));
         s.Append(writer, ledger, 2);
         return [&s] {
           s.RestartBookie(1);
           s.AwaitAllServing();
         };
       }},
      {"checkpoint", "two ledgers are flushed, the mark moves, journals go", With(3), "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* one = s.Create(writer);
         LedgerOracle* two = s.Create(writer);
         s.Append(writer, one, 3);
         return [&s, writer, one, two] {
           s.Append(writer, two, 3);
           s.RunFor(absl::Milliseconds(2'500));
           s.Append(writer, one, 1);
         };
       }},
      {"checkpoint-of-a-fence", "nothing but a fence to flush, on an idle ledger", With(3), "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         Actor* recoverer = s.Connect("recoverer");
         return [&s, recoverer, ledger] {
           Ignore(s.Recover(recoverer, ledger));
           s.RunFor(absl::Milliseconds(2'500));
           s.PowerCutBookie(1);
           s.AwaitAllServing();
         };
       }},
      {"entry-log-roll", "logs of 8 KiB", With(3, FewBytesPerLog), "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         return [&s, writer, ledger] {
           s.Append(writer, ledger, 12);
           s.RunFor(absl::Milliseconds(1'500));
           s.Append(writer, ledger, 4);
           s.RunFor(absl::Milliseconds(1'500));
         };
       }},
      {"compaction", "a log whose other ledger was deleted",
       With(3,
            [](bookie::BookieOptions* options) {
              FewBytesPerLog(options);
              ShortGrace(options);
            }),
       "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* kept = s.Create(writer);
         LedgerOracle* deleted = s.Create(writer);
         for (int i = 0; i < 6; ++i) {
           s.Append(writer, kept, 1);
           s.Append(writer, deleted, 2);
         }
         s.RunFor(absl::Milliseconds(1'500));
         Ignore(s.Close(writer, deleted));
         Ignore(s.Delete(writer, deleted));
         return [&s, writer, kept] {
           s.CollectGarbage(1, bookie::CompactionKind::kMajor);
           s.Append(writer, kept, 1);
         };
       }},
      {"journal-roll", "several journal files, the oldest ones are trimmed",
       With(3, [](bookie::BookieOptions* options) { options->journal_backups = 0; }), "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         return [&s, writer, ledger] {
           for (int i = 0; i < 60; ++i) s.Append(writer, ledger, 2);
           s.RunFor(absl::Milliseconds(1'500));
         };
       }},
      {"journal-reuse", "journal files are written again, since Java need not read them",
       With(3,
            [](bookie::BookieOptions* options) {
              options->journal_backups = 0;
              options->index_format = bookie::IndexFormat::kExtents;
            }),
       "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* ledger = s.Create(writer);
         // Some files are used up, and set aside.
         for (int i = 0; i < 110; ++i) s.Append(writer, ledger, 8);
         s.RunFor(absl::Milliseconds(1'500));
         return [&s, writer, ledger] {
           for (int i = 0; i < 80; ++i) s.Append(writer, ledger, 8);
           s.RunFor(absl::Milliseconds(1'500));
         };
       }},
      {"two-directories", "two journals, two ledger directories",
       With(3,
            [](bookie::BookieOptions* options) {
              options->journal_directories = {"/data/journal-1", "/data/journal-2"};
              options->ledger_directories = {"/data/ledgers-1", "/data/ledgers-2"};
            }),
       "b1",
       [](Stage& s) -> Played {
         Actor* writer = s.Connect("writer");
         LedgerOracle* one = s.Create(writer);
         LedgerOracle* two = s.Create(writer);
         return [&s, writer, one, two] {
           s.Append(writer, one, 3);
           s.Append(writer, two, 3);
           s.RunFor(absl::Milliseconds(1'500));
           s.KillBookie(1);
           s.AwaitAllServing();
         };
       }},
  };
}

std::vector<Script> MakeAll() {
  std::vector<Script> all;
  for (auto part : {Writing(), Recovering(), Reading(), Storing()}) {
    for (Script& script : part) all.push_back(std::move(script));
  }
  return all;
}

}  // namespace

const std::vector<Script>& AllScripts() {
  static const auto* const scripts = new std::vector<Script>(MakeAll());
  return *scripts;
}

std::vector<std::string> Play(const Script& script, uint64_t seed, Injector* injector) {
  StageOptions options = script.stage;
  options.seed = seed;
  injector->set_scope(script.scope);
  Stage stage(std::move(options), injector);
  const Played play = script.prepare(stage);
  injector->set_on(true);
  play();
  stage.Reckon();
  return stage.faults();
}

}  // namespace stele::simulation
