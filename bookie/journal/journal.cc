#include "bookie/journal/journal.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "bookie/journal/batch_buffer.h"
#include "bookie/journal/journal_files.h"
#include "bookie/journal/journal_format.h"
#include "common/async/notification.h"
#include "common/async/task_scope.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/stable_hash.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

// The first file, which a start waits for, and the least that is taken early.
constexpr uint64_t kSmallFileBytes = 8 << 20;
// How long the journal is idle, at least, before it adds a batch that claims the last one durable.
// A client with one append outstanding is faster, so it never waits behind such a batch.
constexpr absl::Duration kClaimDelay = absl::Milliseconds(10);
constexpr absl::Duration kDiskFullRetryDelay = absl::Seconds(1);
// Batch buffers that are kept beside those in flight.
constexpr size_t kSpareBuffers = 2;
// Files that wait to be written again: as many as lie between two checkpoints, of the largest size.
constexpr size_t kSpareFiles = 2;
constexpr int kBatchesInFlightLimit = 64;

// What the options come to.
struct Sizes {
  size_t records_per_batch_bytes = 0;
  uint64_t batch_size_max_bytes = 0;
  uint64_t file_capacity_min_bytes = 0;  // any batch fits
  uint64_t file_capacity_max_bytes = 0;
};

absl::StatusOr<Sizes> ComputeSizes(const JournalOptions& options) {
  constexpr uint64_t kBlock = kJournalBlockSizeBytes;
  if (options.batches_in_flight_max < 1 || options.batches_in_flight_max > kBatchesInFlightLimit ||
      options.backup_files < 0 || options.record_size_max_bytes < kRecordBodySizeMinBytes ||
      options.record_size_max_bytes > kBatchSizeLimitBytes / 2 ||
      options.batch_size_max_bytes < kBlock ||
      options.batch_size_max_bytes > kBatchSizeLimitBytes / 2 || options.pending_max_bytes == 0) {
    return MakeError(ErrorCode::kInvalidArgument, "a limit of the journal is out of range");
  }
  Sizes sizes;
  // Such that a full batch is not longer than was asked for.
  sizes.records_per_batch_bytes =
      options.batch_size_max_bytes / kBlock * kBlock - kBatchFooterRecordSizeBytes - 8;
  const uint64_t largest = std::max<uint64_t>(
      sizes.records_per_batch_bytes, kRecordLengthSizeBytes + options.record_size_max_bytes);
  sizes.batch_size_max_bytes = BatchSize(largest) + kBlock;
  sizes.file_capacity_min_bytes = kBlock + sizes.batch_size_max_bytes;
  sizes.file_capacity_max_bytes =
      std::min(options.file_size_max_bytes, options.prealloc_bytes) / kBlock * kBlock;
  if (sizes.file_capacity_max_bytes < sizes.file_capacity_min_bytes) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("a journal file must have room for a batch: at least ",
                            sizes.file_capacity_min_bytes, " bytes"));
  }
  return sizes;
}

// The states of a record: in `queue_` (gathered), in `in_flight_` (being written, or written and
// waiting for an older batch), reported by OnDurable. Batches are submitted in order, at most
// batches_in_flight_max beyond the last one that is durable with all before it, and reported in
// order.
class GroupCommitJournal : public Journal {
 public:
  GroupCommitJournal(Env env, JournalOptions options, Sizes sizes, uint64_t stream_uuid,
                     std::unique_ptr<JournalFile> first_file, JournalListener* listener)
      : env_(env),
        options_(std::move(options)),
        sizes_(sizes),
        listener_(listener),
        file_(std::move(first_file)),
        stream_{stream_uuid, {file_->id, kJournalBlockSizeBytes}},
        durable_mark_(stream_.begin),
        changed_(env.executor),
        link_(std::make_shared<GroupCommitJournal*>(this)),
        scope_(env.executor) {
    own_files_[file_->id] = file_->capacity_bytes;
  }

  // A job that is still queued finds the link cut.
  ~GroupCommitJournal() override { *link_ = nullptr; }

  uint64_t Append(Buffer body) override {
    STELE_CHECK(!is_closing_);
    STELE_CHECK_OP(body.size(), >=, kRecordBodySizeMinBytes);
    STELE_CHECK_OP(body.size(), <=, options_.record_size_max_bytes);
    ++last_record_;
    if (!failure_.ok()) return last_record_;
    if (queue_.empty() || !queue_.back()->Fits(body.view())) {
      queue_.push_back(TakeBuffer(kRecordLengthSizeBytes + body.size()));
    }
    queue_.back()->Add(body.view());
    pending_bytes_ += kRecordLengthSizeBytes + body.size();
    if (!has_room()) room_is_wanted_ = true;
    SchedulePump();
    return last_record_;
  }

  bool has_room() const override { return pending_bytes_ < options_.pending_max_bytes; }

  void Export(int index, observe::MetricsText& into) const override {
    const std::string label = std::to_string(index);
    const observe::MetricsText::Labels labels = {{"journalIndex", label}};
    into.OfLatency("bookie_journal_JOURNAL_SYNC", labels, sync_);
    into.OfLatency("bookie_journal_JOURNAL_CREATION_LATENCY", labels, created_);
    into.OfSizes("bookie_journal_JOURNAL_FORCE_WRITE_BATCH_ENTRIES", labels, batch_records_);
    into.OfSizes("bookie_journal_JOURNAL_FORCE_WRITE_BATCH_BYTES", labels, batch_bytes_);
    into.Counter("bookie_journal_JOURNAL_WRITE_BYTES", labels, batch_bytes_.sum());
    into.Gauge("bookie_journal_JOURNAL_MEMORY_USED", labels, static_cast<int64_t>(pending_bytes_));
    into.Gauge("bookie_journal_JOURNAL_MEMORY_MAX", labels,
               static_cast<int64_t>(options_.pending_max_bytes));
    // They go down, and are counters nevertheless: dashboards know them so.
    into.Counter("bookie_journal_JOURNAL_QUEUE_SIZE", labels,
                 static_cast<int64_t>(last_record_ - submitted_record_));
    into.Counter("bookie_journal_JOURNAL_FORCE_WRITE_QUEUE_SIZE", labels,
                 static_cast<int64_t>(in_flight_.size()));
    into.Gauge("stele_journal_disk_full", labels, disk_is_full_ ? 1 : 0);
  }

  JournalMark DurableMark() const override { return durable_mark_; }

  JournalStream Stream() const override { return stream_; }

  Task<absl::Status> RewriteHeader() override {
    const std::shared_ptr<JournalFile> file = file_;
    MutableBuffer block(kJournalBlockSizeBytes, kDirectAlignmentBytes);
    WriteHeaderBlock(file->header, block.data());
    absl::Status written = co_await file->file->WriteAt(0, std::move(block).Freeze());
    if (!written.ok()) Fail(WithContext(written, StrCat("writing the header of ", file->path)));
    co_return written;
  }

  Task<absl::Status> Trim(JournalMark mark) override {
    if (mark > durable_mark_) {
      co_return MakeError(ErrorCode::kInvalidArgument,
                          "a journal cannot be trimmed to a mark that it has not reached");
    }
    STELE_CO_TRY(const std::vector<int64_t> ids,
                 co_await ListJournalFilesBefore(env_.files, options_.directory, mark.file_id,
                                                 options_.backup_files));
    for (const int64_t id : ids) {
      const auto own = own_files_.find(id);
      const uint64_t capacity = own == own_files_.end() ? 0 : own->second;
      own_files_.erase(id);
      if (!WantsSpare(capacity)) {
        STELE_CO_TRY_OK(co_await RemoveJournalFile(env_.files, options_.directory, id));
        continue;
      }
      STELE_CO_TRY(SpareFile spare,
                   co_await SetAsideJournalFile(env_.files, options_.directory, id, capacity));
      spares_.push_back(std::move(spare));
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> Close() override {
    STELE_CHECK(!is_closing_);
    is_closing_ = true;
    claim_is_wanted_ = true;
    SchedulePump();
    while (failure_.ok() && (!queue_.empty() || !in_flight_.empty() || NeedsClaim())) {
      co_await changed_.Wait();
    }
    prepare_.stop = true;
    while (is_filling_) co_await changed_.Wait();
    co_return failure_;
  }

 private:
  struct InFlight {
    uint64_t sequence = 0;          // of the batch
    uint64_t durable_sequence = 0;  // what its footer claims
    uint64_t last_record = 0;
    JournalMark end;
    std::unique_ptr<BatchBuffer> buffer;
    bool is_written = false;
  };

  std::unique_ptr<BatchBuffer> TakeBuffer(size_t record_size_bytes) {
    if (record_size_bytes > sizes_.records_per_batch_bytes) {
      return std::make_unique<BatchBuffer>(record_size_bytes);
    }
    if (spare_buffers_.empty()) {
      return std::make_unique<BatchBuffer>(sizes_.records_per_batch_bytes);
    }
    std::unique_ptr<BatchBuffer> buffer = std::move(spare_buffers_.back());
    spare_buffers_.pop_back();
    return buffer;
  }

  void GiveBack(std::unique_ptr<BatchBuffer> buffer) {
    if (buffer->records_size_max_bytes() != sizes_.records_per_batch_bytes ||
        !buffer->IsReusable() || spare_buffers_.size() >= kSpareBuffers) {
      return;
    }
    buffer->Clear();
    spare_buffers_.push_back(std::move(buffer));
  }

  // Everything is submitted from the end of a turn, so that a batch has all that the turn brought.
  void SchedulePump() {
    if (pump_is_scheduled_) return;
    pump_is_scheduled_ = true;
    env_.executor->PostAtTurnEnd([link = link_] {
      if (*link != nullptr) (*link)->Pump();
    });
  }

  // Submits what may be submitted: full batches as long as there is a place in flight, the one that
  // is still being gathered only when the device has no records to write.
  void Pump() {
    pump_is_scheduled_ = false;
    while (failure_.ok() && !queue_.empty() && HasPlaceInFlight()) {
      const bool is_full = queue_.size() > 1;
      if (!is_full && records_in_flight_) break;
      if (!MakeSpace(queue_.front()->size_bytes())) break;
      std::unique_ptr<BatchBuffer> batch = std::move(queue_.front());
      queue_.pop_front();
      Submit(std::move(batch));
    }
    if (!failure_.ok() || !queue_.empty() || !in_flight_.empty() || !NeedsClaim()) return;
    if (!claim_is_wanted_) {
      ArmClaimTimer();
    } else if (MakeSpace(BatchSize(0))) {
      Submit(TakeBuffer(0));
    }
  }

  bool WantsSpare(uint64_t capacity) const {
    // On a full disk one gets the writer on, and the space of the others is wanted.
    const size_t places = disk_is_full_ ? 1 : kSpareFiles;
    // A smaller one is of the time when this journal began.
    return options_.reuse_files && spares_.size() < places && capacity >= file_->capacity_bytes;
  }

  bool HasPlaceInFlight() const {
    return in_flight_.size() < static_cast<size_t>(options_.batches_in_flight_max);
  }

  // True when the current file has room for `size` bytes, after a change to the next file if need
  // be. False: the next file is not ready; its preparation pumps again.
  bool MakeSpace(uint64_t size) {
    if (file_offset_ + size <= file_->capacity_bytes) return true;
    if (next_file_ == nullptr) {
      if (disk_is_full_) {
        Fail(MakeError(ErrorCode::kDiskFull, "the journal's last file is used up"));
        return false;
      }
      prepare_.take_early = true;
      StartPreparing();
      return false;
    }
    STELE_SOMETIMES(kJournalRolls, true);
    file_ = std::move(next_file_);
    own_files_[file_->id] = file_->capacity_bytes;
    file_offset_ = kJournalBlockSizeBytes;
    return true;
  }

  void Submit(std::unique_ptr<BatchBuffer> batch) {
    InFlight& submitted = in_flight_.emplace_back();
    submitted.sequence = ++last_batch_;
    submitted.durable_sequence = durable_batch_;
    if (!batch->empty()) {
      last_batch_with_records_ = submitted.sequence;
      records_in_flight_ = true;
      submitted_record_ += batch->record_count();
      claim_is_wanted_ = is_closing_;
    }
    submitted.last_record = submitted_record_;
    const uint64_t offset = file_offset_;
    file_offset_ += batch->size_bytes();
    submitted.end = {file_->id, static_cast<int64_t>(file_offset_)};
    Buffer bytes = batch->Seal({.stream_uuid = stream_.uuid,
                                .sequence = submitted.sequence,
                                .start_offset = offset,
                                .durable_sequence = submitted.durable_sequence,
                                .file_id = file_->id});
    submitted.buffer = std::move(batch);
    if (!submitted.buffer->empty()) {
      const MonotonicTime now = env_.clock->Now();
      batch_records_.Record(now, static_cast<int64_t>(submitted.buffer->record_count()));
      batch_bytes_.Record(now, static_cast<int64_t>(submitted.buffer->records_size_bytes()));
    }
    scope_.Spawn(WriteBatch(submitted.sequence, file_, offset, std::move(bytes)));
    if (!is_closing_) StartPreparing();
  }

  Task<void> WriteBatch(uint64_t sequence, std::shared_ptr<JournalFile> file, uint64_t offset,
                        Buffer bytes) {
    const MonotonicTime begun = env_.clock->Now();
    const absl::Status written = co_await file->file->WriteAt(offset, std::move(bytes));
    sync_.Record(written.ok(), begun, env_.clock->Now());
    if (!written.ok()) {
      Fail(WithContext(written, StrCat("writing ", file->path, " at offset ", offset)));
      co_return;
    }
    // After a failure elsewhere nothing is reported any more.
    if (!failure_.ok()) co_return;
    in_flight_[sequence - in_flight_.front().sequence].is_written = true;
    Report();
  }

  // Takes what is durable, with all before it, out of flight and tells the listener.
  void Report() {
    const uint64_t reported = durable_record_;
    while (!in_flight_.empty() && in_flight_.front().is_written) {
      InFlight& done = in_flight_.front();
      durable_batch_ = done.sequence;
      durable_record_ = done.last_record;
      durable_mark_ = done.end;
      claimed_batch_ = done.durable_sequence;
      pending_bytes_ -= done.buffer->records_size_bytes();
      GiveBack(std::move(done.buffer));
      in_flight_.pop_front();
    }
    records_in_flight_ = last_batch_with_records_ > durable_batch_;
    SchedulePump();
    changed_.NotifyAll();
    if (durable_record_ != reported) listener_->OnDurable(durable_record_);
    if (room_is_wanted_ && pending_bytes_ <= options_.pending_max_bytes / 2) {
      room_is_wanted_ = false;
      listener_->OnRoom();
    }
  }

  // Prepares the file behind the current one, if nobody does and none is ready.
  void StartPreparing() {
    if (next_file_ != nullptr || is_preparing_ || !failure_.ok()) return;
    is_preparing_ = true;
    scope_.Spawn(PrepareNextFile());
  }

  Task<void> PrepareNextFile() {
    PrepareOptions next = {
        .directory = options_.directory,
        .header = {.stream_uuid = stream_.uuid,
                   .batch_size_max_bytes = static_cast<uint32_t>(sizes_.batch_size_max_bytes),
                   .file_id = file_->id + 1,
                   .previous_file_id = file_->id},
        .capacity_bytes = std::min(2 * file_->capacity_bytes, sizes_.file_capacity_max_bytes)};
    next.capacity_min_bytes =
        std::min(next.capacity_bytes, std::max(sizes_.file_capacity_min_bytes, kSmallFileBytes));
    for (;;) {
      // A checkpoint may have left one while the disk was full.
      if (!spares_.empty()) {
        STELE_SOMETIMES(kJournalFileIsReused, true);
        next.spare = std::move(spares_.back());
        spares_.pop_back();
      }
      is_filling_ = true;
      const MonotonicTime begun = env_.clock->Now();
      absl::StatusOr<std::unique_ptr<JournalFile>> file =
          co_await PrepareJournalFile(env_.files, next, &prepare_);
      is_filling_ = false;
      created_.Record(file.ok(), begun, env_.clock->Now());
      changed_.NotifyAll();
      if (prepare_.stop) break;
      if (file.ok()) {
        next_file_ = *std::move(file);
        prepare_.take_early = false;
        SetDiskFull(false);
        SchedulePump();
        break;
      }
      // Somebody has tidied up.
      const bool is_spare_gone =
          next.spare.has_value() && CodeOf(file.status()) == ErrorCode::kNoSuchFile;
      next.spare.reset();
      if (is_spare_gone) continue;
      // Only this error leaves the disk as it was. The writer goes on while the current file lasts.
      if (CodeOf(file.status()) != ErrorCode::kDiskFull || prepare_.take_early) {
        Fail(file.status());
        break;
      }
      SetDiskFull(true);
      co_await SleepFor(env_.executor, env_.clock, kDiskFullRetryDelay);
      if (prepare_.stop) break;
    }
    is_preparing_ = false;
  }

  void SetDiskFull(bool is_full) {
    if (disk_is_full_ == is_full) return;
    STELE_SOMETIMES(kJournalDiskFull, is_full);
    disk_is_full_ = is_full;
    listener_->OnDiskFull(is_full);
  }

  // The last batch with records is not yet covered by the claim of a later one, so damage to it
  // could not be told from a torn tail.
  bool NeedsClaim() const { return last_batch_with_records_ > claimed_batch_; }

  void ArmClaimTimer() {
    if (claim_timer_is_armed_) return;
    claim_timer_is_armed_ = true;
    claim_timer_saw_batch_ = last_batch_with_records_;
    claim_timer_ = env_.clock->CallAt(env_.clock->Now() + kClaimDelay, [this] { OnClaimTimer(); });
  }

  // One timer runs at a time and looks whether anything came since it was set, so that a busy
  // journal does not set one for each batch.
  void OnClaimTimer() {
    claim_timer_is_armed_ = false;
    if (last_batch_with_records_ == claim_timer_saw_batch_) claim_is_wanted_ = true;
    SchedulePump();
  }

  void Fail(absl::Status why) {
    if (!failure_.ok()) return;
    STELE_SOMETIMES(kJournalFailed, true);
    failure_ = std::move(why);
    prepare_.stop = true;
    queue_.clear();
    in_flight_.clear();
    changed_.NotifyAll();
    listener_->OnFailed(failure_);
  }

  const Env env_;
  const JournalOptions options_;
  const Sizes sizes_;
  JournalListener* const listener_;

  absl::Status failure_;  // not ok: poisoned
  bool is_closing_ = false;

  std::deque<std::unique_ptr<BatchBuffer>> queue_;  // the last one is being gathered
  std::deque<InFlight> in_flight_;                  // consecutive sequences
  std::vector<std::unique_ptr<BatchBuffer>> spare_buffers_;
  bool records_in_flight_ = false;
  size_t pending_bytes_ = 0;  // of records that are not durable
  bool room_is_wanted_ = false;
  bool pump_is_scheduled_ = false;

  // Sequences of records and of batches: given, submitted, durable with all before.
  uint64_t last_record_ = 0;
  uint64_t submitted_record_ = 0;
  uint64_t durable_record_ = 0;
  uint64_t last_batch_ = 0;
  uint64_t last_batch_with_records_ = 0;
  uint64_t durable_batch_ = 0;
  uint64_t claimed_batch_ = 0;  // some durable footer claims it

  std::shared_ptr<JournalFile> file_;
  uint64_t file_offset_ = kJournalBlockSizeBytes;
  const JournalStream stream_;
  JournalMark durable_mark_;
  std::unique_ptr<JournalFile> next_file_;
  std::map<int64_t, uint64_t> own_files_;  // capacity of those that were or are in use, by id
  std::vector<SpareFile> spares_;
  PrepareControl prepare_;
  bool is_preparing_ = false;
  bool is_filling_ = false;
  bool disk_is_full_ = false;

  bool claim_is_wanted_ = false;
  bool claim_timer_is_armed_ = false;
  uint64_t claim_timer_saw_batch_ = 0;
  std::unique_ptr<Timer> claim_timer_;

  observe::Latency created_;        // the next file, prepared behind the current one
  observe::Latency sync_;           // one write of a batch, which is durable then
  observe::Summary batch_records_;  // of batches with records
  observe::Summary batch_bytes_;

  Notification changed_;
  std::shared_ptr<GroupCommitJournal*> link_;
  TaskScope scope_;
};

}  // namespace

Task<absl::StatusOr<std::unique_ptr<Journal>>> OpenJournal(Env env, JournalOptions options,
                                                           JournalListener* listener) {
  STELE_CO_TRY(const Sizes sizes, ComputeSizes(options));
  STELE_CO_TRY_OK(co_await RemovePreparedJournalFiles(env.files, options.directory));
  STELE_CO_TRY(const std::vector<int64_t> ids,
               co_await ListJournalFiles(env.files, options.directory));
  // The wall clock only names the first file of an empty directory, as Java does.
  int64_t id = ids.empty() ? absl::ToUnixMillis(env.clock->WallNow()) : ids.back();
  id = std::max({id, options.file_id_above, int64_t{0}}) + 1;
  // Mixed with the id, which no two incarnations share: a weak source of randomness is enough.
  const uint64_t stream_uuid =
      StableHash(env.random->Below(UINT64_MAX) ^ StableHash(static_cast<uint64_t>(id)));
  const PrepareControl control;
  PrepareOptions first = {
      .directory = options.directory,
      .header = {.stream_uuid = stream_uuid,
                 .batch_size_max_bytes = static_cast<uint32_t>(sizes.batch_size_max_bytes),
                 .file_id = id,
                 .previous_file_id = 0},
      .capacity_bytes = std::min(sizes.file_capacity_max_bytes,
                                 std::max(sizes.file_capacity_min_bytes, kSmallFileBytes))};
  STELE_CO_TRY(std::unique_ptr<JournalFile> file,
               co_await PrepareJournalFile(env.files, std::move(first), &control));
  co_return std::make_unique<GroupCommitJournal>(env, std::move(options), sizes, stream_uuid,
                                                 std::move(file), listener);
}

}  // namespace stele::bookie
