#include "simulation/exhaustive/stage.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/quorum/write_set.h"
#include "metadata/cluster_init.h"
#include "metadata/ledger_metadata.h"
#include "simulation/exhaustive/bookie_probe.h"

namespace stele::simulation {
namespace {

constexpr char kRoot[] = "/ledgers";
// Virtual time after which a call that has no answer hangs.
constexpr absl::Duration kPatience = absl::Minutes(10);
constexpr absl::Duration kRestartDelay = absl::Milliseconds(300);
// A bookie whose directory failed once takes nothing until it has looked at its disks again.
constexpr int kTriesMax = 4;
constexpr absl::Duration kBetweenTries = absl::Seconds(10);

Task<void> Initialize(Env env, metadata::MetadataStore* store, absl::Status* result) {
  *result = co_await metadata::InitializeCluster(store, env.random, kRoot,
                                                 metadata::LayoutType::kHierarchical);
}

using ConnectAnswer = std::optional<absl::StatusOr<std::unique_ptr<client::Client>>>;

Task<void> ConnectClient(Env env, metadata::MetadataStore* store, client::ClientOptions options,
                         std::shared_ptr<ConnectAnswer> answer) {
  auto cluster = co_await metadata::OpenCluster(store, kRoot, std::nullopt);
  if (!cluster.ok()) {
    answer->emplace(cluster.status());
    co_return;
  }
  answer->emplace(co_await client::Client::Connect(env, store, *std::move(cluster), options));
}

Task<void> StopBookie(bookie::Bookie* bookie, std::shared_ptr<bool> done) {
  (co_await bookie->Stop()).IgnoreError();  // a failed last checkpoint leaves DIRTY, and replay
  *done = true;
}

Task<void> Collect(bookie::Bookie* bookie, std::optional<bookie::CompactionKind> compact,
                   std::shared_ptr<bool> done) {
  (co_await bookie->CollectGarbage(compact)).IgnoreError();  // tried again by itself
  *done = true;
}

Task<void> RunAndMark(Task<void> task, std::shared_ptr<bool> ended) {
  co_await std::move(task);
  *ended = true;
}

// A callback that keeps the answer where the script looks for it.
template <typename T>
auto KeepIn(const std::shared_ptr<std::optional<T>>& answer) {
  return [answer](T value) { answer->emplace(std::move(value)); };
}

template <typename T>
std::shared_ptr<std::optional<T>> NoAnswer() {
  return std::make_shared<std::optional<T>>();
}

}  // namespace

class Stage::SilentLog final : public observe::Log {
 public:
  void Write(observe::LogLevel, std::string_view,
             std::initializer_list<observe::LogField>) override {}
};

Stage::Stage(StageOptions options, Injector* injector)
    : options_(std::move(options)),
      injector_(injector),
      log_(std::make_unique<SilentLog>()),
      world_({.seed = options_.seed}) {
  SimProcess* admin = world_.AddProcess(world_.AddMachine("admin"), "admin");
  metadata::MetadataStore* store = admin->Own(world_.NewMetadataStore(admin));
  absl::Status made = absl::UnknownError("did not end");
  STELE_CHECK(world_.RunToEnd(admin, Initialize(world_.env(admin), store, &made)).ok());
  STELE_CHECK(made.ok());
  injector_->set_on_power_cut([this](SimProcess* process) {
    for (auto& [number, node] : nodes_) {
      if (node.process != process) continue;
      node.machine->disk().BeginPowerCut();
      power_cut_ = node.machine->host();
    }
  });
  for (int i = 1; i <= options_.bookies; ++i) AddBookie(i);
  AwaitAllServing();
  world_.scheduler().set_seam_hook(injector_);
}

Stage::~Stage() {
  world_.scheduler().set_seam_hook(nullptr);
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (actor->process->alive()) actor->process->Crash();
  }
  for (auto& [number, node] : nodes_) {
    if (node.process->alive()) node.process->Crash();
  }
}

// ---- Running

bool Stage::RunUntil(absl::FunctionRef<bool()> done) {
  const auto supervised = [&] {
    Supervise();
    return done();
  };
  return world_.scheduler().RunUntil(supervised, world_.scheduler().Now() + kPatience).ok();
}

void Stage::RunFor(absl::Duration duration) {
  auto over = std::make_shared<bool>(false);
  world_.scheduler().CallAfter(world_.scheduler().world(), duration, [over] { *over = true; });
  RunUntil([&] { return *over; });
}

void Stage::Supervise() {
  for (auto& [number, node] : nodes_) {
    if (node.process->alive()) {
      if (!node.has_failed) continue;
      node.process->Crash();
    }
    node.bookie = nullptr;
    if (power_cut_ == node.machine->host()) {
      power_cut_.reset();
      world_.PowerCut(node.machine);
    }
    if (node.is_restarting || node.is_kept_down) continue;
    node.is_restarting = true;
    world_.scheduler().CallAfter(world_.scheduler().world(), kRestartDelay,
                                 [this, bookie = number] { Boot(bookie); });
  }
}

template <typename T>
bool Stage::AwaitAnswer(Actor* actor, const std::shared_ptr<std::optional<T>>& answer,
                        std::string_view call) {
  if (!RunUntil([&] { return answer->has_value() || actor->gone(); })) {
    Fault(StrCat("L1: ", call, " has no answer after ", absl::FormatDuration(kPatience)));
  }
  return answer->has_value();
}

// ---- Bookies

bookie::BookieOptions Stage::OptionsOf(int bookie) const {
  bookie::BookieOptions options;
  const std::string host = StrCat("b", bookie);
  options.id = BookieId(host + ":3181");
  options.listen = {host, 3181};
  options.advertised = {host, 3181};
  options.journal_directories = {"/data/journal"};
  options.ledger_directories = {"/data/ledgers"};
  options.server.transport.frame_size_max_bytes = 64 << 10;
  options.journal_batch_max_bytes = 64 << 10;
  options.journal_size_max_bytes = 512 << 10;
  options.entry_log_size_max_bytes = 1 << 20;
  options.memtable_max_bytes = 256 << 10;
  options.flush_interval = absl::Seconds(1);
  if (options_.tune_bookie != nullptr) options_.tune_bookie(&options);
  return options;
}

void Stage::AddBookie(int bookie) {
  Node& node = nodes_[bookie];
  const std::string host = StrCat("b", bookie);
  node.machine = world_.AddMachine(host);
  node.process = world_.AddProcess(node.machine, host);
  Boot(bookie);
}

void Stage::Boot(int bookie) {
  Node& node = nodes_.at(bookie);
  node.is_restarting = false;
  if (node.is_kept_down) return;
  node.has_failed = false;
  if (!node.process->alive()) node.process->Restart();
  metadata::MetadataStore* store = node.process->Own(world_.NewMetadataStore(node.process));
  node.process->Spawn(
      RunBookie(world_.env(node.process), &node, store, OptionsOf(bookie), log_.get()));
}

Task<void> Stage::RunBookie(Env env, Node* node, metadata::MetadataStore* store,
                            bookie::BookieOptions options, observe::Log* log) {
  auto started =
      co_await bookie::Bookie::Start(env, store, std::move(options), log, [node](absl::Status why) {
        node->has_failed = true;
        node->why = why.ToString();
      });
  if (started.ok()) {
    node->bookie = node->process->Own(*std::move(started));
  } else {
    node->has_failed = true;
    node->why = started.status().ToString();
  }
}

void Stage::KillBookie(int bookie) {
  Node& node = nodes_.at(bookie);
  if (node.process->alive()) node.process->Crash();
  node.bookie = nullptr;
}

void Stage::PowerCutBookie(int bookie) {
  world_.PowerCut(nodes_.at(bookie).machine);
  nodes_.at(bookie).bookie = nullptr;
}

void Stage::RestartBookie(int bookie) {
  Node& node = nodes_.at(bookie);
  if (!node.process->alive() || node.bookie == nullptr) return;
  auto stopped = std::make_shared<bool>(false);
  node.process->Spawn(StopBookie(node.bookie, stopped));
  if (!RunUntil([&] { return *stopped || !node.process->alive(); })) {
    Fault(StrCat("bookie ", bookie, " does not stop"));
  }
  KillBookie(bookie);
}

void Stage::CollectGarbage(int bookie, std::optional<bookie::CompactionKind> compact) {
  Node& node = nodes_.at(bookie);
  for (int pass = 0; pass < 2; ++pass) {
    if (!node.process->alive() || node.bookie == nullptr) return;
    auto done = std::make_shared<bool>(false);
    node.process->Spawn(Collect(node.bookie, compact, done));
    RunUntil([&] { return *done || !node.process->alive(); });
    RunFor(absl::Seconds(1));
  }
}

void Stage::AwaitAllServing() {
  const bool all = RunUntil([this] {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
      return node.second.is_kept_down || node.second.bookie != nullptr;
    });
  });
  if (all) return;
  for (const auto& [number, node] : nodes_) {
    if (!node.is_kept_down && node.bookie == nullptr) {
      Fault(StrCat("L4: bookie ", number, " does not come back: ", node.why));
    }
  }
}

// ---- Applications

Actor* Stage::Connect(const std::string& name) {
  Actor* actor = actors_.emplace_back(std::make_unique<Actor>()).get();
  actor->process = world_.AddProcess(world_.AddMachine(name), name);
  metadata::MetadataStore* store = actor->process->Own(world_.NewMetadataStore(actor->process));
  client::ClientOptions options;
  options.frame_size_max_bytes = 64 << 10;
  if (options_.tune_client != nullptr) options_.tune_client(&options);
  auto answer = std::make_shared<ConnectAnswer>();
  actor->process->Spawn(ConnectClient(world_.env(actor->process), store, options, answer));
  if (!RunUntil([&] { return answer->has_value() || !actor->process->alive(); })) {
    Fault("L1: connecting has no answer");
  }
  if (answer->has_value() && (*answer)->ok() && actor->process->alive()) {
    actor->client = actor->process->Own(**std::move(*answer));
  }
  appends_pending_[actor] = std::make_shared<int>(0);
  return actor;
}

void Stage::Kill(Actor* actor) {
  if (actor->process->alive()) actor->process->Crash();
}

LedgerOracle* Stage::Create(Actor* actor, CreateOptions options) {
  if (actor->gone()) return nullptr;
  using Answer = absl::StatusOr<client::WriteHandle>;
  auto answer = NoAnswer<Answer>();
  client::CreateLedgerBuilder builder = actor->client->CreateLedger();
  builder.Replication(options.replication);
  if (options.caller_ids) builder.CallerAssignsEntryIds();
  if (options.deferred_sync) builder.DeferredSync();
  if (options.id.has_value()) builder.Id(*options.id);
  builder.Create(KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "create") || !(*answer)->ok()) return nullptr;
  const LedgerId id = (**answer)->id();
  for (const std::unique_ptr<LedgerOracle>& ledger : ledgers_) {
    if (ledger->id() == id) Fault(StrCat("two creators of ledger ", id.value()));
  }
  LedgerOracle* ledger = ledgers_.emplace_back(std::make_unique<LedgerOracle>(id, &faults_)).get();
  created_with_[ledger] = options;
  actor->writers.emplace(id, **std::move(*answer));
  return ledger;
}

client::WriteHandle* Stage::WriterOf(Actor* actor, LedgerOracle* ledger) {
  if (actor->gone() || ledger == nullptr) return nullptr;
  const auto found = actor->writers.find(ledger->id());
  return found == actor->writers.end() ? nullptr : &found->second;
}

void Stage::StartAppends(Actor* actor, LedgerOracle* ledger, int count) {
  client::WriteHandle* writer = WriterOf(actor, ledger);
  if (writer == nullptr) return;
  const bool is_durable = !created_with_.at(ledger).deferred_sync;
  for (int i = 0; i < count; ++i) {
    // Counted here: the handle counts an append when its shard has taken it.
    const EntryId entry = ledger->submitted().Next();
    ledger->OnSubmitted(entry);
    std::shared_ptr<int> pending = appends_pending_.at(actor);
    ++*pending;
    writer->Append(Buffer::FromString(ledger->PayloadOf(entry)),
                   [ledger, pending, is_durable](absl::StatusOr<EntryId> appended) {
                     --*pending;
                     if (appended.ok()) ledger->OnAcknowledged(*appended, is_durable);
                   });
  }
}

void Stage::AwaitAppends(Actor* actor) {
  if (actor->gone()) return;
  const std::shared_ptr<int> pending = appends_pending_.at(actor);
  if (!RunUntil([&] { return *pending == 0 || actor->gone(); })) {
    Fault(StrCat("L1: ", *pending, " appends have no answer"));
  }
}

void Stage::Append(Actor* actor, LedgerOracle* ledger, int count) {
  StartAppends(actor, ledger, count);
  AwaitAppends(actor);
}

void Stage::AppendAt(Actor* actor, LedgerOracle* ledger, std::vector<int64_t> entries) {
  client::WriteHandle* writer = WriterOf(actor, ledger);
  if (writer == nullptr) return;
  for (const int64_t number : entries) {
    const EntryId entry(number);
    ledger->OnSubmitted(entry);
    std::shared_ptr<int> pending = appends_pending_.at(actor);
    ++*pending;
    writer->AppendAt(entry, Buffer::FromString(ledger->PayloadOf(entry)),
                     [ledger, pending](absl::StatusOr<EntryId> appended) {
                       --*pending;
                       if (appended.ok()) ledger->OnAcknowledged(*appended, true);
                     });
  }
  AwaitAppends(actor);
}

absl::Status Stage::Force(Actor* actor, LedgerOracle* ledger) {
  client::WriteHandle* writer = WriterOf(actor, ledger);
  if (writer == nullptr) return absl::CancelledError("nobody is there");
  auto answer = NoAnswer<absl::Status>();
  writer->Force(KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "force")) return absl::CancelledError("died");
  if ((*answer)->ok()) ledger->OnForced(writer->last_add_confirmed());
  return **answer;
}

absl::Status Stage::Close(Actor* actor, LedgerOracle* ledger) {
  client::WriteHandle* writer = WriterOf(actor, ledger);
  if (writer == nullptr) return absl::CancelledError("nobody is there");
  auto answer = NoAnswer<absl::Status>();
  writer->Close(KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "close")) return absl::CancelledError("died");
  if ((*answer)->ok()) ledger->OnClosed(writer->last_add_confirmed());
  return **answer;
}

absl::Status Stage::Recover(Actor* actor, LedgerOracle* ledger) {
  if (actor->gone() || ledger == nullptr) return absl::CancelledError("nobody is there");
  auto answer = NoAnswer<absl::StatusOr<client::ReadHandle>>();
  actor->client->OpenLedger(ledger->id()).Recover().Open(KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "recovery")) return absl::CancelledError("died");
  if (!(*answer)->ok()) return (*answer)->status();
  ledger->OnRecovered((**answer)->last_add_confirmed());
  actor->readers.erase(ledger->id());
  actor->readers.emplace(ledger->id(), **std::move(*answer));
  return absl::OkStatus();
}

void Stage::RecoverTogether(std::vector<Actor*> actors, LedgerOracle* ledger) {
  if (ledger == nullptr) return;
  using Answer = absl::StatusOr<client::ReadHandle>;
  std::vector<std::pair<Actor*, std::shared_ptr<std::optional<Answer>>>> waiting;
  for (Actor* actor : actors) {
    if (actor->gone()) continue;
    waiting.emplace_back(actor, NoAnswer<Answer>());
    actor->client->OpenLedger(ledger->id()).Recover().Open(KeepIn(waiting.back().second));
  }
  for (const auto& [actor, answer] : waiting) {
    if (AwaitAnswer(actor, answer, "recovery") && (*answer)->ok()) {
      ledger->OnRecovered((**answer)->last_add_confirmed());
    }
  }
}

absl::Status Stage::OpenForReading(Actor* actor, LedgerOracle* ledger) {
  if (actor->gone() || ledger == nullptr) return absl::CancelledError("nobody is there");
  auto answer = NoAnswer<absl::StatusOr<client::ReadHandle>>();
  actor->client->OpenLedger(ledger->id()).Open(KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "open")) return absl::CancelledError("died");
  if (!(*answer)->ok()) return (*answer)->status();
  ledger->OnLacShown((**answer)->last_add_confirmed());
  actor->readers.erase(ledger->id());
  actor->readers.emplace(ledger->id(), **std::move(*answer));
  return absl::OkStatus();
}

absl::Status Stage::ReadAll(Actor* actor, LedgerOracle* ledger) {
  if (actor->gone() || ledger == nullptr) return absl::CancelledError("nobody is there");
  const auto reader = actor->readers.find(ledger->id());
  if (reader == actor->readers.end()) return absl::CancelledError("not open");
  auto lac = NoAnswer<absl::StatusOr<EntryId>>();
  reader->second.ReadLastAddConfirmed(KeepIn(lac));
  if (!AwaitAnswer(actor, lac, "read LAC")) return absl::CancelledError("died");
  if (!(*lac)->ok()) return (*lac)->status();
  const EntryId last = ***lac;
  ledger->OnLacShown(last);
  if (last.IsNone()) return absl::OkStatus();
  auto answer = NoAnswer<absl::StatusOr<std::vector<client::Entry>>>();
  reader->second.Read(EntryId(0), last, KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "read")) return absl::CancelledError("died");
  if (!(*answer)->ok()) {
    const ErrorCode code = CodeOf((*answer)->status());
    if ((code == ErrorCode::kNoSuchEntry || code == ErrorCode::kNoSuchLedger) &&
        !ledger->may_be_deleted()) {
      Fault(StrCat("G1: ledger ", ledger->id().value(), " to ", last.value(), ": ",
                   ToStd((*answer)->status().ToString())));
    }
    return (*answer)->status();
  }
  for (const client::Entry& entry : ***answer) ledger->OnRead(entry);
  return absl::OkStatus();
}

void Stage::WaitForEntry(Actor* actor, LedgerOracle* ledger, EntryId entry) {
  if (actor->gone() || ledger == nullptr) return;
  const auto reader = actor->readers.find(ledger->id());
  if (reader == actor->readers.end()) return;
  auto answer = NoAnswer<absl::StatusOr<client::LacAndEntry>>();
  reader->second.WaitForEntry(entry, absl::Seconds(3), KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "wait for an entry") || !(*answer)->ok()) return;
  ledger->OnLacShown((**answer)->last_add_confirmed);
  if ((**answer)->entry.has_value()) ledger->OnRead(*(**answer)->entry);
}

absl::Status Stage::Delete(Actor* actor, LedgerOracle* ledger) {
  if (actor->gone() || ledger == nullptr) return absl::CancelledError("nobody is there");
  auto answer = NoAnswer<absl::Status>();
  actor->client->DeleteLedger(ledger->id(), KeepIn(answer));
  const absl::Status result = AwaitAnswer(actor, answer, "delete")
                                  ? **answer
                                  : MakeError(ErrorCode::kStopped, Effect::kUnknown, "died");
  ledger->OnDelete(result);
  return result;
}

// ---- The reckoning

void Stage::TryForAWhile(absl::FunctionRef<bool()> attempt) {
  for (int tries = 1; !attempt() && tries < kTriesMax; ++tries) RunFor(kBetweenTries);
}

void Stage::CheckLedger(Actor* actor, LedgerOracle* ledger) {
  const std::string name = StrCat("ledger ", ledger->id().value());
  absl::Status status;
  TryForAWhile([&] {
    status = Recover(actor, ledger);
    return status.ok() || CodeOf(status) == ErrorCode::kNoSuchLedgerMetadata;
  });
  if (CodeOf(status) == ErrorCode::kNoSuchLedgerMetadata) {
    if (!ledger->may_be_deleted()) Fault(StrCat("G1: ", name, " is gone and was never deleted"));
    return;
  }
  if (ledger->is_deleted()) return Fault(StrCat("G15: ", name, " was deleted and is there"));
  if (!status.ok()) {
    return Fault(StrCat("L4: ", name, " cannot be recovered: ", ToStd(status.ToString())));
  }
  status = ReadAll(actor, ledger);
  if (!status.ok()) Fault(StrCat("G1: ", name, " cannot be read: ", ToStd(status.ToString())));
  CheckCopies(actor, ledger);
}

void Stage::RunTask(Actor* actor, Task<void> task) {
  auto ended = std::make_shared<bool>(false);
  actor->process->Spawn(RunAndMark(std::move(task), ended));
  RunUntil([&] { return *ended || actor->gone(); });
}

void Stage::CheckCopies(Actor* actor, LedgerOracle* ledger) {
  auto answer = NoAnswer<absl::StatusOr<metadata::LedgerMetadata>>();
  actor->client->ReadMetadata(ledger->id(), KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "read metadata") || !(*answer)->ok()) return;
  const metadata::LedgerMetadata& known = ***answer;
  std::map<BookieId, std::vector<EntryId>> held;
  for (EntryId entry(0); entry <= known.last_entry(); entry = entry.Next()) {
    const metadata::Ensemble& ensemble = known.FragmentOf(entry).ensemble;
    const quorum::WriteSet write_set(entry, known.replication());
    for (int offset = 0; offset < write_set.size(); ++offset) {
      held[ensemble[static_cast<size_t>(write_set[offset])]].push_back(entry);
    }
  }
  auto copies = std::make_shared<CopyCounts>();
  for (const auto& [bookie, entries] : held) {
    RunTask(actor, CountCopies(world_.env(actor->process), bookie, ledger, entries, copies));
  }
  for (EntryId entry(0); entry <= known.last_entry(); entry = entry.Next()) {
    if ((*copies)[entry] >= known.replication().ack_quorum_size) continue;
    Fault(StrCat("G13 AllCommittedEntriesReachAckQuorum: ledger ", ledger->id().value(), " entry ",
                 entry.value(), " has ", (*copies)[entry], " copies"));
  }
}

void Stage::FenceEverywhere(Actor* actor, LedgerOracle* ledger) {
  auto answer = NoAnswer<absl::StatusOr<metadata::LedgerMetadata>>();
  actor->client->ReadMetadata(ledger->id(), KeepIn(answer));
  if (!AwaitAnswer(actor, answer, "read metadata") || !(*answer)->ok()) return;
  const metadata::LedgerMetadata& known = ***answer;
  for (const BookieId& bookie : known.last_fragment().ensemble) {
    auto fenced = std::make_shared<bool>(false);
    RunTask(actor, FenceDirectly(world_.env(actor->process), bookie, ledger->id(),
                                 known.last_entry().Next(), fenced));
    if (*fenced) fenced_.emplace_back(ledger, bookie);
  }
}

void Stage::CheckFences(Actor* actor) {
  for (const auto& [ledger, bookie] : fenced_) {
    auto accepted = std::make_shared<bool>(false);
    RunTask(actor, AddDirectly(world_.env(actor->process), bookie, ledger->id(),
                               EntryId(ledger->submitted().value() + 100), accepted));
    if (*accepted) {
      Fault(StrCat("G9 FenceMonotone: ledger ", ledger->id().value(), " on ", bookie.value()));
    }
  }
}

void Stage::CheckOldWriters() {
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (actor->gone()) continue;
    for (const std::unique_ptr<LedgerOracle>& ledger : ledgers_) {
      if (WriterOf(actor.get(), ledger.get()) == nullptr || !ledger->end().has_value()) continue;
      if (created_with_.at(ledger.get()).caller_ids) {
        AppendAt(actor.get(), ledger.get(), {ledger->end()->value() + 1});
      } else {
        Append(actor.get(), ledger.get(), 1);
      }
    }
  }
}

void Stage::CheckNewLedger(Actor* actor) {
  LedgerOracle* ledger = nullptr;
  TryForAWhile([&] { return (ledger = Create(actor)) != nullptr; });
  if (ledger == nullptr) return Fault("L4: no ledger can be created");
  Append(actor, ledger, 3);
  if (ledger->must_have() != EntryId(2)) Fault("L4: a new ledger does not take appends");
  const absl::Status closed = Close(actor, ledger);
  if (!closed.ok()) Fault(StrCat("L4: a new ledger cannot be closed: ", ToStd(closed.ToString())));
}

void Stage::Reckon() {
  injector_->set_on(false);
  world_.HealAll();
  for (auto& [number, node] : nodes_) node.is_kept_down = false;
  AwaitAllServing();
  RunFor(absl::Seconds(1));
  Actor* auditor = Connect("reckoner-1");
  if (auditor->gone()) return Fault("L4: no client can connect");
  const size_t count = ledgers_.size();
  for (size_t i = 0; i < count; ++i) CheckLedger(auditor, ledgers_[i].get());
  CheckOldWriters();
  for (size_t i = 0; i < count; ++i) FenceEverywhere(auditor, ledgers_[i].get());
  CheckNewLedger(auditor);
  RunFor(absl::Seconds(3));  // idle, over a checkpoint

  for (auto& [number, node] : nodes_) PowerCutBookie(number);
  AwaitAllServing();
  CheckOldWriters();
  auditor = Connect("reckoner-2");
  if (auditor->gone()) return Fault("L4: no client can connect after the power cut");
  CheckFences(auditor);
  for (const std::unique_ptr<LedgerOracle>& ledger : ledgers_) CheckLedger(auditor, ledger.get());
}

}  // namespace stele::simulation
