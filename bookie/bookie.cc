#include "bookie/bookie.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "bookie/bookie_metrics.h"
#include "bookie/checkpointer.h"
#include "bookie/data_age.h"
#include "bookie/directories.h"
#include "bookie/disk_watch.h"
#include "bookie/garbage_collector.h"
#include "bookie/journal/last_mark.h"
#include "bookie/limbo.h"
#include "bookie/server/durable_log.h"
#include "bookie/server/read_service.h"
#include "bookie/server/write_service.h"
#include "bookie/space_reserve.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_registration.h"
#include "metadata/cluster_init.h"
#include "metadata/ledger_manager.h"

namespace stele::bookie {
namespace {

using observe::LogLevel;

// Seconds since 1970: the years 2020 to 2099.
constexpr int64_t kPlausibleDatesBegin = 1'577'836'800;
constexpr int64_t kPlausibleDatesEnd = 4'102'444'800;

// Nothing that is stored depends on the date; times in metadata and logs do.
void WarnOfClock(absl::Time now, observe::Log* log) {
  const int64_t seconds = absl::ToUnixSeconds(now);
  if (seconds >= kPlausibleDatesBegin && seconds < kPlausibleDatesEnd) return;
  log->Write(LogLevel::kWarning, "the clock of this machine is wrong",
             {{"seconds_since_1970", seconds}});
}

// The parts in the order in which they need each other: what stands below uses what stands above,
// and is destroyed first.
class Node final : public Bookie {
 public:
  Node(Env env, metadata::MetadataStore* store, BookieOptions options, observe::Log* log,
       absl::AnyInvocable<void(absl::Status)> on_fatal)
      : env_(env),
        store_(store),
        options_(std::move(options)),
        log_(log),
        on_fatal_(std::move(on_fatal)),
        disk_rules_(options_.disk_rules),
        scope_(env.executor) {}

  Task<absl::Status> Open();
  BookieStatus Status() const override;
  observe::MetricsText Metrics() const override;
  Task<absl::Status> Stop() override;
  Task<absl::Status> Scrub() override { return scrubber_->Run(); }
  Task<absl::Status> CollectGarbage(std::optional<CompactionKind> compact) override {
    return collector_->Run(compact);
  }
  void SuspendCompaction(CompactionKind kind, bool suspended) override {
    collector_->compactor().SetSuspended(kind, suspended);
  }
  Task<absl::Status> Checkpoint() override;
  std::vector<LedgerId> Ledgers(LedgerId first, size_t count_max) const override;
  Task<absl::Status> SetReadOnly(bool read_only) override;

 private:
  Task<absl::Status> OpenStorage();
  Task<absl::Status> OnLedgersLost();
  void MakeLimbo();
  Task<absl::Status> RecoverJournals(bool ledgers_lost);
  Task<absl::Status> CheckpointReplayed();
  Task<absl::Status> FlushReplayed();
  Task<absl::Status> OpenJournals();
  Task<absl::Status> WhenAllDurable();
  Task<absl::Status> Join();
  Task<void> WatchDisks();
  Task<void> CheckDisks();
  Task<std::vector<DirectorySpace>> SpaceOf(std::vector<std::string> directories);
  Task<void> ProbeNowAndThen();
  void LookAtProbes();
  Task<void> SetMode(bool read_only);
  Task<void> ChangeMode(Completer<bool> admitted);
  void OnTooMuchDamage();
  void OnJournalDiskFull(bool is_full);
  void Fail(absl::Status why);
  metadata::BookieMode Mode() const {
    return admission_.read_only ? metadata::BookieMode::kReadOnly : metadata::BookieMode::kWritable;
  }
  // A record is an entry packet, which a frame carries.
  size_t RecordSizeMaxBytes() const { return options_.server.transport.frame_size_max_bytes + 64; }

  Env env_;
  metadata::MetadataStore* store_;
  BookieOptions options_;
  observe::Log* log_;
  absl::AnyInvocable<void(absl::Status)> on_fatal_;
  bool has_failed_ = false;
  bool stopping_ = false;
  bool registered_read_only_ = false;

  std::optional<metadata::Cluster> cluster_;
  std::unique_ptr<Directories> directories_;
  std::unique_ptr<Tombstones> tombstones_;
  std::unique_ptr<LedgerStorage> storage_;
  std::vector<std::unique_ptr<LastMark>> marks_;
  std::vector<JournalMark> journal_ends_;  // where the replay of this start stopped
  std::vector<std::unique_ptr<DurableLog>> logs_;
  RecoveredJournals recovered_;
  WriteAdmission admission_;
  DiskRules disk_rules_;
  DiskTotals disk_totals_;
  std::unique_ptr<DiskWatch> disk_watch_;
  std::set<std::string> failed_directories_;
  std::vector<std::string> full_directories_;
  std::vector<DirectorySpace> ledger_spaces_;
  bool damaged_ = false;  // the scrubber found too much
  bool operator_wants_read_only_ = false;
  int full_journals_ = 0;  // journals that could not prepare their next file
  std::unique_ptr<Checkpointer> checkpointer_;
  std::unique_ptr<WriteService> writes_;
  std::unique_ptr<ReadService> reads_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<metadata::LedgerManager> ledgers_;
  std::unique_ptr<metadata::AutorecoveryRecords> records_;
  std::unique_ptr<GarbageCollector> collector_;
  std::unique_ptr<Scrubber> scrubber_;
  std::unique_ptr<Limbo> limbo_;
  std::unique_ptr<metadata::BookieRegistration> registration_;
  TaskScope scope_;
};

Task<absl::Status> Node::Open() {
  STELE_CO_TRY(cluster_,
               co_await metadata::OpenCluster(store_, options_.ledgers_root, std::nullopt));
  STELE_CO_TRY(directories_,
               co_await OpenDirectories(env_, store_, &options_, cluster_->instance_id));
  STELE_CO_TRY_OK(co_await OpenStorage());
  MakeLimbo();
  STELE_CO_TRY(const bool ledgers_lost, co_await limbo_->LookForLosses());
  STELE_CO_TRY_OK(co_await RecoverJournals(ledgers_lost));
  STELE_CO_TRY_OK(co_await limbo_->Open());
  STELE_CO_TRY_OK(co_await OpenJournals());
  disk_watch_ = std::make_unique<DiskWatch>(env_, directories_->all_currents());
  co_await CheckDisks();
  STELE_CO_TRY_OK(co_await Join());
  checkpointer_->Start();
  collector_->Start();
  scrubber_->Start();
  limbo_->Start(scrubber_.get());
  scope_.Spawn(WatchDisks());
  scope_.Spawn(ProbeNowAndThen());
  co_return absl::OkStatus();
}

Task<absl::Status> Node::OpenStorage() {
  tombstones_ = co_await Tombstones::Open(env_.files, directories_->ledger_currents());
  if (!tombstones_->damage().ok()) {
    log_->Write(LogLevel::kError, "tombstones of deleted ledgers were lost",
                {{"error", ToStd(tombstones_->damage().message())}});
  }
  StorageOptions storage{
      .is_deleted = [this](LedgerId ledger) { return tombstones_->Contains(ledger); },
      .ledger_directories = directories_->ledger_currents(),
      .index_directories = directories_->index_currents(),
      .index_format = options_.index_format,
      .on_index_converted =
          [this](int64_t ledgers, int64_t of) {
            log_->Write(LogLevel::kInfo, "the index is being converted to stele.indexFormat",
                        {{"ledgers", ledgers}, {"of", of}});
          },
      .on_ledgers_lost = [this] { return OnLedgersLost(); },
      .entry_log_size_max_bytes = options_.entry_log_size_max_bytes,
      .memtable_max_bytes = options_.memtable_max_bytes,
      .open_index_files_max = options_.open_index_files_max,
  };
  STELE_CO_TRY(storage_, co_await OpenLedgerStorage(env_, std::move(storage)));
  storage_->SetLossListener([this](LedgerId ledger) {
    log_->Write(LogLevel::kError, "an index file has lost locations: `stele repair index`",
                {{"ledger", ledger.value()}});
  });
  if (const size_t strays = storage_->StrayLedgers().size(); strays > 0) {
    log_->Write(LogLevel::kWarning, "entry logs have ledgers without an index file",
                {{"ledgers", static_cast<int64_t>(strays)}});
  }
  // What a process that died in the middle of a deletion left.
  for (const LedgerId ledger : storage_->Ledgers()) {
    if (!tombstones_->Contains(ledger)) continue;
    const absl::Status deleted = co_await storage_->DeleteLedger(ledger);
    // The collector does it when it has made room.
    if (CodeOf(deleted) != ErrorCode::kDiskFull) STELE_CO_TRY_OK(deleted);
  }
  co_return absl::OkStatus();
}

// They must not be taken for new ones: as after any loss, metadata is asked which there are.
Task<absl::Status> Node::OnLedgersLost() {
  log_->Write(LogLevel::kError, "the index is damaged so that ledgers may have been lost with it");
  co_return co_await ForgetAge(env_.files, directories_->index_currents());
}

// Everything that was acknowledged and not checkpointed comes back, and is checkpointed before the
// first new write: a journal is never appended to by a second process.
Task<absl::Status> Node::RecoverJournals(bool ledgers_lost) {
  const auto& currents = directories_->journal_currents();
  JournalRecovery recovery(env_, storage_.get(), tombstones_.get(), RecordSizeMaxBytes(),
                           ledgers_lost, [this] { return FlushReplayed(); });
  for (size_t i = 0; i < currents.size(); ++i) {
    const int count = static_cast<int>(currents.size());
    std::vector<std::string> names = {LastMarkFileName(static_cast<int>(i), count)};
    // The directories may have been used with another number of journals.
    if (i == 0) names.push_back(LastMarkFileName(0, count == 1 ? 2 : 1));
    marks_.push_back(
        std::make_unique<LastMark>(env_.files, directories_->ledger_currents(), std::move(names)));
    const JournalMark mark = co_await marks_.back()->Read();
    STELE_CO_TRY(const JournalMark end, co_await recovery.Replay(currents[i], mark));
    journal_ends_.push_back(std::max(end, mark));
    STELE_CO_TRY_OK(co_await recovery.RecoverFences(currents[i], mark));
  }
  recovered_ = recovery.report();
  for (const std::string& note : recovered_.notes) {
    log_->Write(LogLevel::kWarning, "journal replay", {{"note", std::string_view(note)}});
  }
  STELE_CO_TRY_OK(co_await storage_->JudgeReplayedStrays());
  STELE_SOMETIMES(kReplayRecords, recovered_.records > 0);
  if (recovered_.records > 0 || recovered_.backup_records > 0) {
    STELE_CO_TRY_OK(co_await CheckpointReplayed());
  }
  log_->Write(LogLevel::kInfo, "journals replayed",
              {{"files", recovered_.files},
               {"records", recovered_.records},
               {"bytes", recovered_.bytes},
               {"torn_tails", recovered_.torn_tails},
               {"skipped_records", recovered_.skipped_records}});
  co_return absl::OkStatus();
}

Task<absl::Status> Node::CheckpointReplayed() {
  const absl::Status flushed = co_await FlushReplayed();
  if (CodeOf(flushed) == ErrorCode::kDiskFull) {
    // It all fits into memory, and the journals keep it: no reason not to serve it. The first
    // checkpoint that finds space moves the marks.
    log_->Write(LogLevel::kError, "what was replayed stays in memory and in the journals",
                {{"error", ToStd(flushed.message())}});
    co_return absl::OkStatus();
  }
  STELE_CO_TRY_OK(flushed);
  for (size_t i = 0; i < marks_.size(); ++i) {
    STELE_CO_TRY_OK(co_await marks_[i]->Write(journal_ends_[i]));
  }
  co_return absl::OkStatus();
}

// A disk without a free byte would keep the bookie from starting for ever, and only a bookie that
// runs can empty it.
Task<absl::Status> Node::FlushReplayed() {
  const absl::Status flushed = co_await storage_->Flush();
  if (CodeOf(flushed) != ErrorCode::kDiskFull) co_return flushed;
  log_->Write(LogLevel::kWarning, "the reserve is given up: the replay needs space",
              {{"error", ToStd(flushed.message())}});
  SpaceReserve reserve(env_.files, directories_->ledger_currents(),
                       options_.compaction.reserve_bytes);
  STELE_CO_TRY_OK(co_await reserve.Release());
  co_return co_await storage_->Flush();
}

void Node::MakeLimbo() {
  ledgers_ = std::make_unique<metadata::LedgerManager>(env_, store_, cluster_->layout);
  records_ = std::make_unique<metadata::AutorecoveryRecords>(store_, *cluster_);
  limbo_ = std::make_unique<Limbo>(
      LimboParts{.env = env_,
                 .storage = storage_.get(),
                 .ledgers = ledgers_.get(),
                 .records = records_.get(),
                 .log = log_,
                 .ledger_directories = directories_->ledger_currents()},
      DataAge(env_.files, directories_->all_currents(),
              metadata::BookieAge(store_, cluster_->instance_id, options_.id)),
      options_.id);
}

Task<absl::Status> Node::OpenJournals() {
  std::vector<DurableLog*> logs;
  std::vector<MarkedLog> marked;
  for (const std::string& directory : directories_->journal_currents()) {
    logs_.push_back(std::make_unique<DurableLog>(
        env_.executor, [this] { writes_->OnRoom(); },
        [this](bool is_full) { OnJournalDiskFull(is_full); },
        [this](absl::Status why) { Fail(WithContext(why, "journal")); }));
    JournalOptions journal{
        .directory = directory,
        .file_size_max_bytes = options_.journal_size_max_bytes,
        .batch_size_max_bytes = options_.journal_batch_max_bytes,
        .record_size_max_bytes = RecordSizeMaxBytes(),
        .backup_files = options_.journal_backups,
        .pending_max_bytes = options_.journal_pending_max_bytes,
        .file_id_above = journal_ends_[logs.size()].file_id,
    };
    STELE_CO_TRY_OK(co_await logs_.back()->Open(env_, std::move(journal)));
    marked.push_back({logs_.back().get(), marks_[logs.size()].get()});
    logs.push_back(logs_.back().get());
  }
  writes_ = std::make_unique<WriteService>(
      env_.executor, storage_.get(), tombstones_.get(), std::move(logs), &admission_,
      [this](bool overloaded) { server_->OnOverload(overloaded); });
  reads_ = std::make_unique<ReadService>(env_, storage_.get(), writes_.get(), options_.reads);
  server_ = std::make_unique<Server>(env_, writes_.get(), reads_.get(), options_.server,
                                     options_.peers, log_, [this] { return disk_totals_; });
  checkpointer_ = std::make_unique<Checkpointer>(
      env_, options_.flush_interval, storage_.get(), std::move(marked), [this](absl::Status why) {
        log_->Write(LogLevel::kError, "checkpoint failed; it is tried again",
                    {{"error", ToStd(why.message())}});
      });
  storage_->SetJournalWait([this] { return WhenAllDurable(); });
  storage_->SetFlushListener([this] { checkpointer_->Wake(); });
  storage_->SetRoomListener([this] { env_.executor->Post([this] { writes_->OnRoom(); }); });
  co_return absl::OkStatus();
}

// Everything appended until now is durable in all journals.
Task<absl::Status> Node::WhenAllDurable() {
  absl::Status first_error = absl::OkStatus();
  for (const auto& log : logs_) {
    absl::Status durable = co_await log->WhenAllDurable();
    if (first_error.ok()) first_error = std::move(durable);
  }
  co_return first_error;
}

// Listens first and registers then: whoever finds this bookie in the registry can talk to it.
Task<absl::Status> Node::Join() {
  STELE_CO_TRY_OK(server_->Listen(options_.listen));
  Endpoint advertised = options_.advertised;
  if (advertised.host.empty()) advertised.host = options_.listen.host;
  if (advertised.port == 0) advertised.port = server_->endpoint().port;
  options_.advertised = advertised;
  collector_ = std::make_unique<GarbageCollector>(
      GarbageParts{.env = env_,
                   .storage = storage_.get(),
                   .tombstones = tombstones_.get(),
                   .store = store_,
                   .ledgers = ledgers_.get(),
                   .log = log_},
      GarbageOptions{
          .interval = options_.gc_interval,
          .instance_id_path = metadata::ClusterPaths(options_.ledgers_root).instance_id(),
          .instance_id = cluster_->instance_id,
          .compaction = options_.compaction,
          .ledger_directories = directories_->ledger_currents()},
      [this](LedgerId ledger) { writes_->OnDeleted(ledger); });
  scrubber_ =
      std::make_unique<Scrubber>(ScrubParts{.env = env_,
                                            .storage = storage_.get(),
                                            .ledgers = ledgers_.get(),
                                            .source = options_.entry_source,
                                            .log = log_},
                                 options_.id, options_.scrub, [this] { OnTooMuchDamage(); });
  metadata::BookieServiceInfo info;
  info.endpoints.push_back({.id = "bookie",
                            .port = advertised.port,
                            .host = advertised.host,
                            .protocol = std::string(metadata::kBookieProtocol)});
  if (options_.peers.tls != nullptr) info.endpoints.back().extensions.push_back("tls");
  if (options_.admin.port != 0) {
    info.endpoints.push_back({.id = "httpserver",
                              .port = options_.admin.port,
                              .host = options_.admin.host,
                              .protocol = std::string(metadata::kAdminProtocol)});
  }
  // The locks of all directories are ours and their cookies name this id: an old registration from
  // this address can only be our own.
  registration_ = std::make_unique<metadata::BookieRegistration>(
      env_, store_, metadata::ClusterPaths(options_.ledgers_root), options_.id, info,
      metadata::BookieRegistrationOptions{.wait_for_other = options_.metadata_timeout,
                                          .old_registration = metadata::OldRegistration::kTakeOver},
      [this](absl::Status why) { Fail(WithContext(why, "registration")); });
  STELE_CO_TRY_OK(co_await registration_->Register(Mode()));
  registered_read_only_ = admission_.read_only;
  WarnOfClock(env_.clock->WallNow(), log_);
  log_->Write(LogLevel::kInfo, "serving",
              {{"bookie", options_.id.value()},
               {"port", server_->endpoint().port},
               {"ledgers", storage_->Stats().ledgers},
               {"mode", std::string_view(admission_.read_only ? "read-only" : "writable")}});
  co_return absl::OkStatus();
}

BookieStatus Node::Status() const {
  std::vector<JournalMark> marks;
  for (const auto& mark : marks_) marks.push_back(mark->last());
  return {
      .id = options_.id,
      .endpoint = options_.advertised,
      .mode = Mode(),
      .registered = registration_->registered(),
      .is_stopping = stopping_,
      .takes_high_priority_writes = admission_.high_priority_allowed,
      .is_forced_read_only = options_.force_read_only,
      .is_read_only_by_operator = operator_wants_read_only_,
      .full_directories = full_directories_,
      .ledger_directories = ledger_spaces_,
      .journals = static_cast<int>(logs_.size()),
      .journal_marks = std::move(marks),
      .directories = {.journals = directories_->journal_currents(),
                      .ledgers = directories_->ledger_currents(),
                      .indexes = directories_->index_currents()},
      .disk = disk_totals_,
      .storage = storage_->Stats(),
      .memtable_max_bytes = 2 * options_.memtable_max_bytes,
      .connections = server_->connections(),
      .adds_stalled = writes_->stalled(),
      .recovered = recovered_,
      .garbage = collector_->stats(),
      .scrub = scrubber_->stats(),
      .limbo = limbo_->status(),
      .is_collecting_garbage = collector_->is_running(),
      .compacting = collector_->compactor().running(),
      .minor_compaction_suspended = collector_->compactor().IsSuspended(CompactionKind::kMinor),
      .major_compaction_suspended = collector_->compactor().IsSuspended(CompactionKind::kMajor),
      .was_unclean = directories_->was_unclean(),
  };
}

observe::MetricsText Node::Metrics() const {
  observe::MetricsText text(env_.clock->Now());
  ExportStatus(Status(), text);
  server_->Export(text);
  if (checkpointer_ != nullptr) checkpointer_->Export(text);
  ExportEntryLogs(storage_->EntryLogUsages(), text);
  collector_->Export(text);
  scrubber_->Export(text);
  for (size_t i = 0; i < logs_.size(); ++i) {
    logs_[i]->journal()->Export(static_cast<int>(i), text);
  }
  return text;
}

Task<absl::Status> Node::Checkpoint() {
  if (stopping_) co_return MakeError(ErrorCode::kStopped, "the bookie is stopping");
  Completion<absl::Status> done = checkpointer_->Request();
  co_return co_await done;
}

std::vector<LedgerId> Node::Ledgers(LedgerId first, size_t count_max) const {
  std::vector<LedgerId> all = storage_->Ledgers();
  const auto from = std::lower_bound(all.begin(), all.end(), first);
  const size_t count = std::min(count_max, static_cast<size_t>(all.end() - from));
  return {from, from + static_cast<ptrdiff_t>(count)};
}

Task<absl::Status> Node::SetReadOnly(bool read_only) {
  if (stopping_) co_return MakeError(ErrorCode::kStopped, "the bookie is stopping");
  if (read_only && !options_.read_only_mode_enabled) {
    co_return MakeError(ErrorCode::kInvalidArgument, "readOnlyModeEnabled is false");
  }
  if (!read_only && options_.force_read_only) {
    co_return MakeError(ErrorCode::kInvalidArgument, "forceReadOnlyBookie is true");
  }
  operator_wants_read_only_ = read_only;
  // In this scope, so that nothing comes back here when the node is gone.
  Completion<bool> admitted(env_.executor);
  scope_.Spawn(ChangeMode(admitted.GetCompleter()));
  co_await admitted;
  co_return absl::OkStatus();
}

Task<void> Node::ChangeMode(Completer<bool> admitted) {
  co_await CheckDisks();
  admitted.Set(true);
  if (stopping_ || admission_.read_only == registered_read_only_) co_return;
  co_await SetMode(admission_.read_only);
}

Task<void> Node::WatchDisks() {
  for (;;) {
    co_await SleepFor(env_.executor, env_.clock, options_.disk_check_interval);
    co_await CheckDisks();
    if (stopping_) co_return;
    if (admission_.read_only != registered_read_only_) co_await SetMode(admission_.read_only);
  }
}

// Beside WatchDisks, which asks a disk for its space and hangs with it.
Task<void> Node::ProbeNowAndThen() {
  while (!stopping_) {
    disk_watch_->BeginRound();
    co_await SleepFor(env_.executor, env_.clock, options_.disk_check_interval);
    LookAtProbes();
  }
}

// A disk that does not answer is given up together with the process: what waits for it would wait
// for ever, and clients go to other bookies. One that fails may be one of several.
void Node::LookAtProbes() {
  for (const DirectoryHealth& health : disk_watch_->health()) {
    if (health.rounds_without_answer * options_.disk_check_interval >= options_.disk_hang_max) {
      return Fail(MakeError(ErrorCode::kIoError,
                            StrCat(health.directory, ": the disk has not answered for ",
                                   absl::FormatDuration(options_.disk_hang_max))));
    }
    const std::string_view directory = health.directory;
    if (health.status.ok() && failed_directories_.erase(health.directory) > 0) {
      log_->Write(LogLevel::kWarning, "a directory works again", {{"directory", directory}});
    }
    if (!health.status.ok() && failed_directories_.insert(health.directory).second) {
      log_->Write(LogLevel::kError, "a directory fails: it counts as full",
                  {{"directory", directory}, {"error", ToStd(health.status.message())}});
    }
  }
}

// What fails has no space.
Task<std::vector<DirectorySpace>> Node::SpaceOf(std::vector<std::string> directories) {
  std::vector<DirectorySpace> spaces;
  for (std::string& directory : directories) {
    const absl::StatusOr<DiskSpace> space = co_await env_.files->Space(directory);
    const bool fails = !space.ok() || failed_directories_.contains(directory);
    spaces.push_back({std::move(directory), fails ? DiskSpace{} : *space});
  }
  co_return spaces;
}

Task<void> Node::CheckDisks() {
  std::vector<std::string> data = directories_->ledger_currents();
  for (const std::string& index : directories_->index_currents()) {
    // By default the indexes are in the ledger directories.
    if (std::find(data.begin(), data.end(), index) == data.end()) data.push_back(index);
  }
  const auto ledgers = co_await SpaceOf(directories_->ledger_currents());
  const auto all = co_await SpaceOf(std::move(data));
  const auto journals = co_await SpaceOf(directories_->journal_currents());
  const auto works = [](const DirectorySpace& ledger) { return ledger.space.total_bytes > 0; };
  if (std::none_of(ledgers.begin(), ledgers.end(), works)) {
    co_return Fail(MakeError(ErrorCode::kIoError, "no ledger directory can be used"));
  }
  ledger_spaces_ = ledgers;
  disk_totals_ = {};
  std::set<uint64_t> devices;
  for (const DirectorySpace& directory : ledgers) {
    if (!devices.insert(directory.space.device).second) continue;
    disk_totals_.total_bytes += directory.space.total_bytes;
    disk_totals_.free_bytes += directory.space.free_bytes;
  }
  // It takes nothing and is not registered any more, whatever the disks say.
  if (stopping_) co_return;
  const DiskDecision decision = disk_rules_.Decide(all, journals);
  full_directories_ = decision.full;
  admission_.high_priority_allowed = decision.high_priority_allowed && full_journals_ == 0;
  admission_.read_only = decision.read_only || options_.force_read_only || full_journals_ > 0 ||
                         damaged_ || operator_wants_read_only_;
}

// Registration follows the mode; admission has changed before, so no write slips in between.
Task<void> Node::SetMode(bool read_only) {
  STELE_SOMETIMES(kReadOnly, read_only);
  STELE_SOMETIMES(kWritableAgain, !read_only);
  std::string full;
  for (const std::string& directory : full_directories_)
    full += (full.empty() ? "" : ", ") + directory;
  const char* why = damaged_                                    ? "disks lose data: read-only"
                    : !read_only                                ? "writable again"
                    : operator_wants_read_only_ && full.empty() ? "the operator wants it: read-only"
                                                                : "disks are full: read-only";
  log_->Write(LogLevel::kWarning, why, {{"full_directories", std::string_view(full)}});
  if (read_only && !options_.read_only_mode_enabled) {
    co_return Fail(
        MakeError(ErrorCode::kDiskFull, "disks are full and readOnlyModeEnabled is false"));
  }
  const absl::Status registered = co_await registration_->Register(Mode());
  if (registered.ok()) {
    registered_read_only_ = read_only;
    co_return;
  }
  // Whoever does not know that we are writable writes elsewhere; whoever does not know that we are
  // read-only learns it from the refusal. The registration goes on trying.
  log_->Write(LogLevel::kWarning, "the new mode is not registered yet",
              {{"error", ToStd(registered.message())}});
}

// What is left of the journal's file is kept for fences; the next disk check registers the mode.
void Node::OnJournalDiskFull(bool is_full) {
  full_journals_ += is_full ? 1 : -1;
  if (!is_full) return;
  admission_.read_only = true;
  admission_.high_priority_allowed = false;
}

// A disk that loses what it has is not given more; readers and repairs still use it.
void Node::OnTooMuchDamage() {
  if (std::exchange(damaged_, true)) return;
  admission_.read_only = true;
  log_->Write(LogLevel::kError, "too much damage on disk: read-only; drain this bookie", {});
}

void Node::Fail(absl::Status why) {
  if (has_failed_) return;
  has_failed_ = true;
  log_->Write(LogLevel::kError, "this bookie cannot go on", {{"error", ToStd(why.message())}});
  env_.executor->Post([this, why = std::move(why)]() mutable { on_fatal_(std::move(why)); });
}

Task<absl::Status> Node::Stop() {
  if (std::exchange(stopping_, true)) {
    co_return MakeError(ErrorCode::kStopped, "the bookie is stopping already");
  }
  admission_.read_only = true;
  admission_.high_priority_allowed = false;
  absl::Status first_error = absl::OkStatus();
  const auto keep = [&](absl::Status status) {
    if (first_error.ok()) first_error = std::move(status);
  };
  keep(co_await registration_->Unregister());
  co_await collector_->Stop();
  co_await scrubber_->Stop();
  co_await limbo_->Stop();
  // What was accepted becomes durable and is answered before the peers are dropped.
  keep(co_await WhenAllDurable());
  keep(co_await checkpointer_->Run(Checkpointer::Trim::kNo));
  server_->Stop();
  // A request that waits for its ledger may be the last to write, and to ask for a flush.
  co_await writes_->Stop();
  checkpointer_.reset();
  for (const auto& log : logs_) keep(co_await log->journal()->Close());
  keep(co_await storage_->Close());
  if (first_error.ok()) keep(co_await directories_->MarkClean());
  co_return first_error;
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<Bookie>>> Bookie::Start(
    Env env, metadata::MetadataStore* store, BookieOptions options, observe::Log* log,
    absl::AnyInvocable<void(absl::Status)> on_fatal) {
  auto node = std::make_unique<Node>(env, store, std::move(options), log, std::move(on_fatal));
  STELE_CO_TRY_OK(co_await node->Open());
  co_return std::move(node);
}

}  // namespace stele::bookie
