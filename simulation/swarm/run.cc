#include "simulation/swarm/run.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "simulation/cluster.h"
#include "simulation/history/checkers.h"
#include "simulation/history/text_format.h"
#include "simulation/java_bookie.h"
#include "simulation/swarm/actors.h"
#include "simulation/swarm/copies.h"
#include "simulation/swarm/hazards.h"
#include "simulation/swarm/probes.h"
#include "simulation/swarm/stage.h"
#include "simulation/swarm/wire_watch.h"

namespace stele::simulation {
namespace {

// Once everything works again, everything must work within this time, without help (L3, L4, L6).
constexpr absl::Duration kHealTime = absl::Seconds(90);
// In the end every call has ended.
constexpr absl::Duration kQuietTime = absl::Minutes(10);
constexpr absl::Duration kReckoningTime = absl::Minutes(60);
// Until all copies are back; checks of ledgers and tries of a repair are seconds apart (L5).
constexpr absl::Duration kRepairTime = absl::Minutes(15);
// Of a ledger that cannot be opened or read, a second apart.
constexpr int kReadTries = 60;
constexpr int kReadTriesBeyond = 2;
// Of bookies that flush late.
constexpr absl::Duration kLateFlush = absl::Minutes(1);

// What bookies say, into the lines of the stage.
class StageLog final : public observe::Log {
 public:
  explicit StageLog(Stage* stage) : stage_(stage) {}
  void Write(observe::LogLevel level, std::string_view message,
             std::initializer_list<observe::LogField> fields) override {
    if (level < observe::LogLevel::kWarning) return;
    std::string line = StrCat(stage_->now_nanoseconds(), " log: ", message);
    for (const observe::LogField& field : fields) line += StrCat(" ", field.name, "=", field.value);
    stage_->Say(line + "\n");
  }

 private:
  Stage* stage_;
};

class Run final : public ActorControl {
 public:
  Run(const Scenario& scenario, const RunOptions& options);
  ~Run() override;

  RunResult Play();

  SimProcess* process(int64_t number) override;
  void Crash(int64_t number) override;
  void Restart(int64_t number) override;
  void OnBookieUp(int bookie) override;

 private:
  struct Cast {
    Actor actor;
    SimProcess* process = nullptr;
    client::Client* client = nullptr;
  };

  ClusterOptions OptionsOf();
  // Of Apache's kind.
  void MakeJavaBookie(int bookie);
  void OnEarlyFence(int bookie);
  void StartActor(Cast* cast);
  Caller CallerOf(SimProcess* process, client::Client* client);
  // The three acts; false: no verdict, the run was stopped or is stuck.
  bool Safety();
  bool Liveness();
  // Everybody who lives can work.
  bool AllWork();
  // The same, and everything can be recovered, with a bookie away that can be spared.
  bool CoreWorks();
  // What auditors and workers are for.
  bool AwaitRepair();
  bool Reckoning();
  bool ReadAllOnce(const std::string& reader, bool recover);
  // For its own copies of everything, each of them.
  bool AskBookies(SimProcess* reckoner);
  // Runs until `done`, at most for `patience`. False, with a violation: it was not enough.
  bool Await(std::string_view checker, absl::Duration patience, absl::FunctionRef<bool()> done,
             absl::FunctionRef<std::string()> what);
  bool AllServe();
  bool IsStopped() {
    return options_.until_step > 0 && cluster_.world().scheduler().steps() >= options_.until_step;
  }
  // More is destroyed than can be survived: then errors are all right, and lies are not.
  bool is_beyond() const { return scenario_.profile == "beyond"; }
  RunResult Verdict();

  const Scenario& scenario_;
  const RunOptions& options_;
  Stage stage_;
  StageLog log_;
  SometimesHits sometimes_{};
  // Made when the cluster stands.
  std::unique_ptr<WireWatch> watch_;
  std::unique_ptr<Hazards> hazards_;
  SimRandom java_random_;
  SimRandom format_random_;
  std::map<int, std::unique_ptr<JavaBookie>> java_bookies_;
  Cluster cluster_;
  // Nothing happens to it.
  SimProcess* inspector_ = nullptr;
  std::map<int64_t, Cast> cast_;
  std::vector<std::unique_ptr<ProbeResult>> probes_;
  std::set<LedgerId> repaired_;  // by autorecovery, completely
};

Run::Run(const Scenario& scenario, const RunOptions& options)
    : scenario_(scenario),
      options_(options),
      stage_(scenario),
      log_(&stage_),
      java_random_(SimRandom(scenario.seed).Child("java")),
      format_random_(SimRandom(scenario.seed).Child("format")),
      cluster_(OptionsOf()) {
  CountSometimes(&sometimes_);
  watch_ = std::make_unique<WireWatch>(&stage_, &cluster_.world().scheduler());
  cluster_.world().network().set_observer(watch_.get());
  cluster_.world().metadata().set_observer(watch_.get());
  stage_.set_on_acknowledged(
      [this](LedgerId ledger, EntryId entry) { watch_->OnAcknowledged(ledger, entry); });
  hazards_ = std::make_unique<Hazards>(&stage_, &cluster_, this, watch_.get());
  inspector_ = cluster_.world().AddProcess(cluster_.world().AddMachine("inspector"), "inspector");
  stage_.SetScheduler(&cluster_.world().scheduler());
  if (options.listener) {
    stage_.set_listener([this](std::string_view line) { options_.listener(line); });
  }
  for (const Actor& actor : scenario.actors) {
    World& world = cluster_.world();
    const std::string name = StrCat(NameOf(actor.role), "-", actor.number);
    Cast& cast = cast_[actor.number];
    cast.actor = actor;
    cast.process = world.AddProcess(world.AddMachine(name), name);
    if (const int64_t limit = DebtLimitOf(actor); limit > 0) {
      watch_->LimitDebt(name, static_cast<size_t>(limit),
                        ClientOptionsOf(scenario, actor).add_timeout);
    }
    if ((actor.flags & Actor::kClosesAsJava) != 0) watch_->LetOverride(name);
    Scheduler& scheduler = world.scheduler();
    scheduler.CallAfter(scheduler.world(), absl::Milliseconds(actor.at_ms), [this, &cast] {
      if (cast.process->alive()) StartActor(&cast);
    });
  }
}

Run::~Run() {
  CountSometimes(nullptr);
  for (auto& [number, cast] : cast_) {
    if (cast.process->alive()) cast.process->Crash();
  }
  inspector_->Crash();
}

ClusterOptions Run::OptionsOf() {
  ClusterOptions options;
  options.bookies = scenario_.bookies;
  options.scheduler.seed = scenario_.seed;
  // Longer ones only make the play slower.
  const int64_t percent = std::min<int64_t>(scenario_.timeouts_percent, 100);
  options.metadata.operation_timeout = options.metadata.operation_timeout * percent / 100;
  options.metadata.session_timeout = options.metadata.session_timeout * percent / 100;
  options.log = &log_;
  options.on_failure = [this](int bookie, const absl::Status& why) {
    // Nothing breaks while the cluster is made.
    if (hazards_ == nullptr) CheckFailed(__FILE__, __LINE__, why.ToString());
    hazards_->OnBookieFailure(bookie, why);
  };
  for (int bookie = 1; bookie <= scenario_.java_bookies; ++bookie) MakeJavaBookie(bookie);
  options.adjust_env = [this](int bookie, SimProcess* process, Env* env) {
    const auto java = java_bookies_.find(bookie);
    if (java != java_bookies_.end()) env->transport = process->Own(java->second->NewLife(*env));
  };
  options.adjust_bookie = [this](int bookie, bookie::BookieOptions* to) {
    to->gc_interval = absl::Seconds(30);
    if (scenario_.extents > 0) {
      const bool is_extents = scenario_.extents == 1 || format_random_.Below(2) == 0;
      to->index_format = is_extents ? bookie::IndexFormat::kExtents : bookie::IndexFormat::kFiles;
    }
    if (scenario_.small_bookies == 2) to->flush_interval = kLateFlush;
    if (scenario_.small_bookies != 1) return;
    to->journal_size_max_bytes = 6 << 20;
    to->journal_batch_max_bytes = 16 << 10;
    to->entry_log_size_max_bytes = 256 << 10;
    to->memtable_max_bytes = 64 << 10;
    to->open_index_files_max = 2;
    to->flush_interval = absl::Milliseconds(200);
    to->gc_interval = absl::Seconds(5);
    // Logs move whenever something in them has died.
    to->compaction.minor_threshold_ppm = 800'000;
    to->compaction.minor_interval = absl::Seconds(10);
    to->compaction.major_threshold_ppm = 990'000;
    to->compaction.major_interval = absl::Seconds(45);
    // Slow enough to be overtaken by deletions, flushes and power cuts.
    to->compaction.bytes_per_second = 256 << 10;
    to->scrub = {.enabled = true,
                 .pause = absl::Seconds(7),
                 .first = absl::Seconds(3),
                 .bytes_per_second = 1 << 20};
    if (scenario_.extents == 0) return;
    // Journal files are used up, and written again.
    to->server.transport.frame_size_max_bytes = 512 << 10;
    to->journal_size_max_bytes = 640 << 10;
    to->journal_backups = 0;
  };
  return options;
}

void Run::MakeJavaBookie(int bookie) {
  const std::string host = StrCat("b", bookie);
  java_bookies_[bookie] = std::make_unique<JavaBookie>(
      java_random_.Child(host), JavaBookie::Options{.spared = {"inspector", "reckoner"}},
      JavaBookieEvents{
          .on_early_fence = [this, bookie](LedgerId) { OnEarlyFence(bookie); },
          .on_lost_fence = [this, host](LedgerId ledger) { watch_->OnLostFence(host, ledger); },
          .before_stray = [this] { watch_->BeforeStray(); }});
}

// A fence that is only in memory is forgotten when the process ends now.
void Run::OnEarlyFence(int bookie) {
  cluster_.world().scheduler().faults().Count("java.early fence");
  if (!java_random_.Chance(1, 4)) return;
  const bool power = java_random_.Chance(1, 2);
  hazards_->StrikeSoon({.kind = power ? FaultKind::kPower : FaultKind::kCrash,
                        .at_ms = static_cast<int64_t>(java_random_.Below(500)),
                        .for_ms = 1 + static_cast<int64_t>(java_random_.Below(2'000)),
                        .a = bookie});
}

// ---- Actors

SimProcess* Run::process(int64_t number) {
  const auto found = cast_.find(number);
  return found == cast_.end() ? nullptr : found->second.process;
}

void Run::StartActor(Cast* cast) {
  World& world = cluster_.world();
  metadata::MetadataStore* store = cast->process->Own(world.NewMetadataStore(cast->process));
  if (cast->actor.role == Role::kAutorecovery) {
    cast->process->Spawn(
        RunAutorecovery(&stage_, cast->actor, cast->process, world.env(cast->process), store));
    return;
  }
  cast->process->Spawn(RunActor(&stage_, cast->actor, cast->process, world.env(cast->process),
                                store, &cast->client));
}

void Run::Crash(int64_t number) {
  Cast& cast = cast_.at(number);
  cast.client = nullptr;
  stage_.Mark(history::Mark::Kind::kCrash, cast.process->name(), "");
  cast.process->Crash();
}

void Run::Restart(int64_t number) {
  Cast& cast = cast_.at(number);
  if (cast.process->alive()) return;
  cast.process->Restart();
  StartActor(&cast);
}

void Run::OnBookieUp(int bookie) {
  const std::string& host = cluster_.process(bookie)->name();
  watch_->OnRestart(host);
  inspector_->Spawn(CallRoll(cluster_.world().env(inspector_), watch_.get(), host));
}

Caller Run::CallerOf(SimProcess* process, client::Client* client) {
  return {.stage = &stage_,
          .process = process->name(),
          .env = cluster_.world().env(process),
          .client = client};
}

// ---- The acts

bool Run::Await(std::string_view checker, absl::Duration patience, absl::FunctionRef<bool()> done,
                absl::FunctionRef<std::string()> what) {
  Scheduler& scheduler = cluster_.world().scheduler();
  const absl::Status status =
      scheduler.RunUntil([&] { return done() || IsStopped(); }, scheduler.Now() + patience);
  if (status.ok()) return !IsStopped();
  stage_.Violate(checker, StrCat(what(), ": ", ToStd(status.message())));
  return false;
}

bool Run::Safety() {
  hazards_->Schedule(scenario_);
  Scheduler& scheduler = cluster_.world().scheduler();
  const MonotonicTime end = scheduler.Now() + absl::Milliseconds(scenario_.duration_ms);
  // Ok means stopped; the end of the act is a deadline.
  const absl::Status ended = scheduler.RunUntil([this] { return IsStopped(); }, end);
  if (scheduler.IsStuck()) stage_.Violate("LiveLock", ToStd(ended.message()));
  return !IsStopped() && !scheduler.IsStuck();
}

bool Run::AllServe() {
  for (int bookie = 1; bookie <= scenario_.bookies; ++bookie) {
    if (!hazards_->is_excused(bookie) && !cluster_.IsServing(bookie)) return false;
  }
  return true;
}

bool Run::Liveness() {
  hazards_->HealAll();
  stage_.Note("everything is healed");
  if (!Await(
          "Liveness", kHealTime, [this] { return AllServe(); },
          [] { return std::string("a bookie does not serve although all is healed"); })) {
    return false;
  }
  if (!AllWork()) return false;
  return scenario_.profile != "liveness" || CoreWorks();
}

bool Run::CoreWorks() {
  const auto number = scenario_.seed;
  int away = 1 + static_cast<int>(number % static_cast<uint64_t>(scenario_.bookies));
  for (int bookie = 1; bookie <= scenario_.bookies; ++bookie) {
    if (hazards_->is_excused(bookie)) away = bookie;  // no other can be spared
  }
  hazards_->BreakAgain(away, static_cast<Hazards::Away>(number / 16 % 5), "reckoner-0");
  stage_.Note(StrCat("b", away, " is away"));
  if (!AllWork() || !ReadAllOnce("reckoner-0", true)) return false;
  hazards_->Mend(away);
  stage_.Note(StrCat("b", away, " is back"));
  return Await(
      "Liveness", kHealTime, [this] { return AllServe(); },
      [] { return std::string("a bookie does not serve after it was away"); });
}

bool Run::AllWork() {
  const int losses = std::max(hazards_->excused(), scenario_.losses_max);
  const int copies = std::min(3, scenario_.bookies - losses);
  if (copies < 1) return true;
  const quorum::Replication replication{
      .ensemble_size = copies, .write_quorum_size = copies, .ack_quorum_size = std::min(copies, 2)};
  std::vector<ProbeResult*> results;
  for (auto& [number, cast] : cast_) {
    if (cast.client == nullptr || !cast.process->alive()) continue;
    probes_.push_back(std::make_unique<ProbeResult>());
    results.push_back(probes_.back().get());
    cast.process->Spawn(
        ProbeWork(CallerOf(cast.process, cast.client), replication, results.back()));
  }
  return Await(
      "Liveness", kHealTime * std::max<int64_t>(1, scenario_.timeouts_percent / 100),
      [&] { return std::ranges::all_of(results, &ProbeResult::ended); },
      [&] {
        std::string who = "not everybody can work although all is healed";
        for (const ProbeResult* result : results) {
          if (!result->ended) who += StrCat("\n  ", result->failure);
        }
        return who;
      });
}

bool Run::ReadAllOnce(const std::string& reader, bool recover) {
  World& world = cluster_.world();
  client::Client& client = cluster_.NewClient(reader);
  SimProcess* process = cluster_.client_process(reader);
  stage_.Mark(history::Mark::Kind::kReckoning, "", "");
  probes_.push_back(std::make_unique<ProbeResult>());
  ProbeResult* result = probes_.back().get();
  process->Spawn(ReadEverything(
      {.stage = &stage_, .process = reader, .env = world.env(process), .client = &client},
      stage_.ledgers(), recover, is_beyond() ? kReadTriesBeyond : kReadTries, result));
  if (!Await(
          "Reckoning", kReckoningTime, [result] { return result->ended; },
          [&] { return StrCat(reader, " does not end; ", result->failure); })) {
    return false;
  }
  if (result->failure.empty() || is_beyond()) return true;
  stage_.Violate("Reckoning", result->failure);
  return false;
}

bool Run::AskBookies(SimProcess* reckoner) {
  CopyAudit audit(&stage_, watch_.get());
  std::vector<ProbeResult*> results;
  for (int bookie = 1; bookie <= scenario_.bookies; ++bookie) {
    if (hazards_->is_excused(bookie)) continue;
    probes_.push_back(std::make_unique<ProbeResult>());
    results.push_back(probes_.back().get());
    reckoner->Spawn(audit.Ask(cluster_.world().env(reckoner), cluster_.process(bookie)->name(),
                              results.back()));
  }
  const auto what = [&] {
    std::string who = "bookies do not answer";
    for (const ProbeResult* result : results) who += StrCat(" ", result->failure);
    return who;
  };
  const auto ended = [&] { return std::ranges::all_of(results, &ProbeResult::ended); };
  if (!Await("OwnCopies", kReckoningTime, ended, what)) return false;
  for (const ProbeResult* result : results) {
    if (!result->failure.empty()) stage_.Violate("OwnCopies", result->failure);
  }
  audit.CheckQuorums(*hazards_, repaired_);
  return true;
}

bool Run::Reckoning() {
  stage_.EndPlay();
  if (!ReadAllOnce("reckoner-1", true) || !AwaitRepair()) return false;
  stage_.EndRepair();
  if (!Await(
          "NothingHangs", kQuietTime,
          [this] {
            return std::ranges::all_of(
                cast_, [](const auto& cast) { return cast.second.process->waiting_tasks() == 0; });
          },
          [] { return std::string("an actor does not end"); })) {
    return false;
  }
  // A ledger that was made meanwhile is of the reckoning too.
  if (!ReadAllOnce("reckoner-2", true)) return false;
  hazards_->PowerCycleAll();
  stage_.Note("power cut of all bookies");
  if (!Await(
          "Liveness", kHealTime, [this] { return AllServe(); },
          [] { return std::string("a bookie does not serve after the last power cut"); })) {
    return false;
  }
  if (!ReadAllOnce("reckoner-3", false)) return false;
  if (!AskBookies(cluster_.client_process("reckoner-3"))) return false;
  stage_.Mark(history::Mark::Kind::kEnd, "", "");
  return true;
}

bool Run::AwaitRepair() {
  const bool repairs = std::ranges::any_of(
      scenario_.actors, [](const Actor& actor) { return actor.role == Role::kAutorecovery; });
  if (!repairs || is_beyond()) return true;
  for (const auto& [ledger, metadata] : watch_->ledgers()) {
    if (metadata.IsClosed() && !watch_->IsDeleted(ledger)) repaired_.insert(ledger);
  }
  probes_.push_back(std::make_unique<ProbeResult>());
  ProbeResult* result = probes_.back().get();
  SimProcess* reckoner = cluster_.client_process("reckoner-1");
  reckoner->Spawn(
      AwaitCopies(cluster_.world().env(reckoner), watch_.get(), hazards_.get(), repaired_, result));
  return Await(
      "CopiesAreBack", kRepairTime, [result] { return result->ended; },
      [result] { return result->failure; });
}

RunResult Run::Verdict() {
  RunResult result;
  Scheduler& scheduler = cluster_.world().scheduler();
  for (const Stage::Violation& violation : stage_.violations()) {
    result.findings.push_back({violation.checker, StrCat("at ", violation.nanoseconds, " ns, step ",
                                                         violation.step, ": ", violation.text)});
  }
  if (!IsStopped()) {
    for (const history::Violation& violation :
         history::CheckHistory(stage_.history(), {.beyond_budget = is_beyond()})) {
      result.findings.push_back({violation.checker, violation.text});
    }
  }
  result.trace_hash = scheduler.trace().hash();
  result.steps = scheduler.steps();
  result.virtual_ms = scheduler.Now().nanoseconds() / 1'000'000;
  result.calls = stage_.history().calls().size();
  result.calls_ok =
      static_cast<uint64_t>(std::ranges::count_if(stage_.history().calls(), &history::Call::ok));
  result.checks = watch_->checks();
  for (const auto& [name, count] : scheduler.faults().all()) result.faults[name] = count;
  for (size_t place = 0; place < kSometimesCount; ++place) {
    result.sometimes[std::string(TextOf(static_cast<Sometimes>(place)))] = sometimes_[place];
  }
  result.last_lines.assign(stage_.lines().begin(), stage_.lines().end());
  result.history = history::ToText(stage_.history());
  return result;
}

RunResult Run::Play() {
  (void)(Safety() && Liveness() && Reckoning());
  return Verdict();
}

}  // namespace

RunResult RunScenario(const Scenario& scenario, const RunOptions& options) {
  return Run(scenario, options).Play();
}

}  // namespace stele::simulation
