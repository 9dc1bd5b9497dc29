// A random life of one storage, many times over: puts in and out of order, fences, LACs, reads,
// deletions, flushes, failing and full disks; kills and power cuts at any step; then the replay of
// what the checkpoints have not covered. A model outside remembers what was acknowledged.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/storage_rig.h"
#include "common/base/endian.h"
#include "common/seams/contract/co_assert.h"
#include "simulation/sim_random.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using simulation::FileRequest;
using simulation::SimRandom;

constexpr int64_t kLedgers = 6;

// What the bookie's journal would hold.
struct JournalRecord {
  enum class Kind { kKey, kEntry, kFence, kLac };
  Kind kind;
  LedgerId ledger;
  EntryId entry;  // kLac: the LAC
  Buffer body;
};

struct ModelLedger {
  bool deleted = false;  // DeleteLedger has returned, or was begun when the process died
  bool deleting = false;
  bool fenced = false;  // acknowledged
  bool may_be_fenced = false;
  EntryId explicit_lac;               // acknowledged
  std::map<int64_t, Buffer> entries;  // in storage now; after a crash those that were acknowledged
  std::map<int64_t, Buffer> maybe;    // stored once, never acknowledged
  int64_t next = 0;
};

class Life {
 public:
  Life(uint64_t seed, IndexFormat format) : random_(seed), rig_(seed, /*directories=*/2) {
    rig_.options.entry_log_size_max_bytes = 8'000 + random_.Below(60'000);
    rig_.options.memtable_max_bytes = 3'000 + random_.Below(40'000);
    rig_.options.open_index_files_max = random_.Below(4);
    rig_.options.open_entry_logs_max = random_.Below(4);
    rig_.options.location_cache_max_bytes = random_.Below(4) * 4096;
    rig_.options.resident_ledgers_max = 1 + random_.Below(6);
    rig_.options.index_format = format;
    rig_.options.is_deleted = [this](LedgerId ledger) { return ledgers_[ledger].deleted; };
    faulty_ = random_.Below(2) == 0;
    SetFaults();
  }

  void Live() {
    rig_.MustOpen();
    faults_on_ = faulty_;
    for (int round = 0; round < 5 && !testing::Test::HasFailure(); ++round) {
      bool ended = false;
      RunUntilEndOrCrash(Drive(this, 40 + static_cast<int>(random_.Below(120)), &ended), &ended);
      Crash();
      faults_on_ = false;
      rig_.machine->disk().set_size_bytes(uint64_t{1} << 40);
      // Nothing fails any more: the storage must recover.
      rig_.MustOpen();
      Check(Replay(this));
      if (random_.Below(2) == 0) Check(VerifyAll(this));
      Check(CheckpointNow(this));
      if (random_.Below(2) == 0) rig_.Reopen();
      Check(VerifyAll(this));
      faults_on_ = faulty_;
    }
  }

 private:
  // ---- The world

  void SetFaults() {
    rig_.faults.Set([this](const FileRequest& request) {
      if (!faults_on_ || fault_random_.Below(150) != 0) return absl::OkStatus();
      const bool is_write = request.operation == FileOperation::kWrite;
      return MakeError(
          is_write && fault_random_.Below(2) == 0 ? ErrorCode::kDiskFull : ErrorCode::kIoError,
          "injected");
    });
    faults_on_ = false;
  }

  void RunUntilEndOrCrash(Task<void> task, bool* ended) {
    rig_.process->Spawn(std::move(task));
    const uint64_t last_step = rig_.world.scheduler().steps() + random_.Below(3000);
    const absl::Status run = rig_.world.scheduler().RunUntil(
        [&] { return *ended || rig_.world.scheduler().steps() >= last_step; });
    EXPECT_TRUE(run.ok()) << run;
  }

  void Check(Task<void> task) {
    const absl::Status run = rig_.world.RunToEnd(rig_.process, std::move(task));
    EXPECT_TRUE(run.ok()) << run;
  }

  void Crash() {
    // The journal keeps everything acknowledged and some of the rest.
    const size_t kept = acknowledged_ + random_.Below(journal_.size() - acknowledged_ + 1);
    const std::vector<JournalRecord> lost(journal_.begin() + static_cast<std::ptrdiff_t>(kept),
                                          journal_.end());
    journal_.resize(kept);
    for (const JournalRecord& record : lost) Unacknowledge(record);
    for (auto& [id, ledger] : ledgers_) ledger.deleted |= std::exchange(ledger.deleting, false);
    if (random_.Below(2) == 0) {
      rig_.PowerCut();
    } else {
      rig_.Kill();
    }
    acknowledged_ = kept;
    collecting_ = false;
  }

  // `record` is not in the journal any more; an equal one may be.
  void Unacknowledge(const JournalRecord& record) {
    ModelLedger& ledger = ledgers_[record.ledger];
    const JournalRecord* kept = nullptr;  // the last of its kind
    for (const JournalRecord& other : journal_) {
      if (other.kind == record.kind && other.ledger == record.ledger &&
          (record.kind != JournalRecord::Kind::kEntry || other.entry == record.entry)) {
        kept = &other;
      }
    }
    switch (record.kind) {
      case JournalRecord::Kind::kKey: break;
      case JournalRecord::Kind::kEntry:
        if (kept == nullptr) ledger.maybe[record.entry.value()] = record.body;
        if (kept == nullptr) ledger.entries.erase(record.entry.value());
        break;
      case JournalRecord::Kind::kFence:
        ledger.fenced = kept != nullptr;
        ledger.may_be_fenced = true;
        break;
      case JournalRecord::Kind::kLac:
        ledger.explicit_lac = kept != nullptr ? kept->entry : kNoEntry;
        break;
    }
  }

  void Journal(JournalRecord record) {
    const LedgerState* state = rig_.storage->FindLoaded(record.ledger);
    if (!state->key_in_journal) {
      journal_.push_back({.kind = JournalRecord::Kind::kKey, .ledger = record.ledger});
      rig_.storage->SetKeyInJournal(record.ledger);
    }
    journal_.push_back(std::move(record));
  }

  // ---- The driver

  static Task<void> Drive(Life* life, int operations, bool* ended) {
    for (int i = 0; i < operations && !testing::Test::HasFailure(); ++i) {
      co_await life->DriveOne();
      // Acknowledgements come in their own time.
      if (life->random_.Below(2) == 0) life->acknowledged_ = life->journal_.size();
    }
    *ended = true;
  }

  Task<void> DriveOne() {
    const LedgerId ledger(static_cast<int64_t>(random_.Below(kLedgers)) * 0x8001 + 1);
    switch (random_.Below(20)) {
      case 0: co_await Fence(ledger); break;
      case 1: co_await WriteLac(ledger); break;
      case 2: co_await (random_.Below(2) == 0 ? PutAgain(ledger) : Resend(ledger)); break;
      case 3: rig_.process->Spawn(CheckpointInBackground(this)); break;
      case 4: co_await Checkpoint(this); break;
      case 5: co_await List(ledger); break;
      case 6:
        if (random_.Below(8) == 0) rig_.process->Spawn(Delete(this, ledger));
        break;
      case 7: rig_.process->Spawn(CollectLogs(this)); break;
      case 8: LimitDisk(); break;
      case 9:
      case 10:
      case 11: rig_.process->Spawn(ReadOne(this, ledger, RandomEntry(ledger))); break;
      default: co_await PutNew(ledger); break;
    }
  }

  void LimitDisk() {
    if (!faults_on_) return;
    simulation::SimDisk& disk = rig_.machine->disk();
    disk.set_size_bytes(random_.Below(3) == 0 ? disk.used_bytes() + random_.Below(60'000)
                                              : uint64_t{1} << 40);
  }

  EntryId RandomEntry(LedgerId ledger) {
    return EntryId(
        static_cast<int64_t>(random_.Below(static_cast<uint64_t>(ledgers_[ledger].next) + 3)));
  }

  // False: the disk fails at the moment, or the ledger was deleted for good.
  Task<bool> LoadOrCreate(LedgerId ledger) {
    ModelLedger& model = ledgers_[ledger];
    if (model.deleted || model.deleting) co_return false;
    const auto loaded = co_await rig_.storage->Load(ledger);
    if (model.deleted || model.deleting) co_return false;
    if (loaded.ok()) {
      EXPECT_EQ((*loaded)->master_key, KeyOf(ledger));
      co_return true;
    }
    if (CodeOf(loaded.status()) == ErrorCode::kNoSuchLedger) {
      EXPECT_TRUE(model.entries.empty());
      rig_.storage->CreateLedger(ledger, KeyOf(ledger));
      co_return true;
    }
    EXPECT_TRUE(faults_on_ ||
                (CodeOf(loaded.status()) == ErrorCode::kUnknownLedgerState && IsUncertain(ledger)))
        << loaded.status();
    co_return false;
  }

  Buffer MakeRandomBody(LedgerId ledger, EntryId entry) {
    const size_t size = random_.Below(20) == 0 ? random_.Below(9000) : random_.Below(600);
    const auto fill = static_cast<char>('a' + random_.Below(26));
    return MakeBody(ledger, entry, std::string(size, fill));
  }

  Task<void> PutNew(LedgerId ledger) {
    if (!co_await LoadOrCreate(ledger)) co_return;
    ModelLedger& model = ledgers_[ledger];
    const int count = 1 + static_cast<int>(random_.Below(6));
    for (int i = 0; i < count; ++i) {
      // Mostly the next, sometimes with a gap that is filled later, sometimes into a gap.
      int64_t id =
          model.next + (random_.Below(5) == 0 ? static_cast<int64_t>(random_.Below(700)) : 0);
      if (random_.Below(4) == 0 && model.next > 0) {
        id = static_cast<int64_t>(random_.Below(static_cast<uint64_t>(model.next)));
      }
      if (model.entries.contains(id) || model.maybe.contains(id)) continue;
      const Buffer body = MakeRandomBody(ledger, EntryId(id));
      PutResult result = rig_.storage->Put(ledger, EntryId(id), body);
      if (result == PutResult::kNeedsComparison) {
        const auto checked = co_await rig_.storage->PutChecked(ledger, EntryId(id), body);
        if (model.deleted || model.deleting) co_return;
        if (!checked.ok()) {
          EXPECT_TRUE(faults_on_) << checked.status();
          co_return;
        }
        result = *checked;
      }
      if (result == PutResult::kFull) {
        co_await Checkpoint(this);
        co_return;
      }
      EXPECT_EQ(result, PutResult::kStored) << id;
      model.entries[id] = body;
      model.next = std::max(model.next, id + 1);
      Journal({JournalRecord::Kind::kEntry, ledger, EntryId(id), body});
    }
  }

  // Offers an entry that is there, with equal or with other bytes.
  Task<void> PutAgain(LedgerId ledger) {
    if (!co_await LoadOrCreate(ledger)) co_return;
    ModelLedger& model = ledgers_[ledger];
    const auto found = model.entries.lower_bound(RandomEntry(ledger).value());
    if (found == model.entries.end()) co_return;
    const EntryId entry(found->first);
    const bool is_same = random_.Below(2) == 0;
    const Buffer stored = found->second;
    const Buffer body = is_same ? stored : MakeBody(ledger, entry, "something else entirely");
    const auto result = co_await rig_.storage->PutChecked(ledger, entry, body);
    if (model.deleted || model.deleting) co_return;
    if (!result.ok()) {
      EXPECT_TRUE(faults_on_) << result.status();
    } else if (!is_same) {
      EXPECT_TRUE(*result == PutResult::kConflict) << static_cast<int>(*result);
    } else if (*result == PutResult::kStored) {
      // Of an earlier process: the caller journals it, as new.
      Journal({JournalRecord::Kind::kEntry, ledger, entry, body});
    } else {
      EXPECT_TRUE(*result == PutResult::kSameEntryExists || *result == PutResult::kFull);
    }
  }

  // A client offers again what it has no answer for, over the life of a process.
  Task<void> Resend(LedgerId ledger) {
    if (!co_await LoadOrCreate(ledger)) co_return;
    ModelLedger& model = ledgers_[ledger];
    if (model.maybe.empty()) co_return;
    const EntryId entry(model.maybe.begin()->first);
    const Buffer body = model.maybe.begin()->second;
    const auto result = co_await rig_.storage->PutChecked(ledger, entry, body);
    if (model.deleted || model.deleting) co_return;
    if (!result.ok()) {
      EXPECT_TRUE(faults_on_) << result.status();
      co_return;
    }
    if (*result == PutResult::kFull) co_return;
    model.maybe.erase(entry.value());
    model.entries[entry.value()] = body;
    model.next = std::max(model.next, entry.value() + 1);
    if (*result == PutResult::kStored) {
      Journal({JournalRecord::Kind::kEntry, ledger, entry, body});
    } else {
      // Acknowledged at once: the first copy is said to be safe.
      EXPECT_TRUE(*result == PutResult::kSameEntryExists);
    }
  }

  Task<void> Fence(LedgerId ledger) {
    if (!co_await LoadOrCreate(ledger)) co_return;
    rig_.storage->SetFenced(ledger);
    ledgers_[ledger].fenced = true;
    Journal({.kind = JournalRecord::Kind::kFence, .ledger = ledger});
  }

  Task<void> WriteLac(LedgerId ledger) {
    if (!co_await LoadOrCreate(ledger)) co_return;
    ModelLedger& model = ledgers_[ledger];
    const EntryId lac(std::max(model.explicit_lac.value(), model.next) + 1);
    model.explicit_lac = lac;
    const Buffer packet = MakeLacPacket(ledger, lac);
    rig_.storage->SetExplicitLac(ledger, lac, packet);
    Journal({JournalRecord::Kind::kLac, ledger, lac, packet});
  }

  static Task<void> CheckpointInBackground(Life* life) { co_await Checkpoint(life); }

  static Task<bool> Checkpoint(Life* life) {
    const size_t mark = life->acknowledged_;
    const uint64_t crash = life->rig_.process->life();
    const absl::Status flushed = co_await life->rig_.storage->Flush();
    if (flushed.ok()) {
      life->mark_ = std::max(life->mark_, mark);
    } else {
      EXPECT_TRUE(life->faults_on_) << flushed;
    }
    EXPECT_EQ(crash, life->rig_.process->life());
    co_return flushed.ok();
  }

  static Task<void> CheckpointNow(Life* life) {
    const bool done = co_await Checkpoint(life);
    EXPECT_TRUE(done);
  }

  static Task<void> Delete(Life* life, LedgerId ledger) {
    ModelLedger& model = life->ledgers_[ledger];
    if (model.deleted || model.deleting) co_return;
    model.deleting = true;
    const absl::Status deleted = co_await life->rig_.storage->DeleteLedger(ledger);
    EXPECT_TRUE(deleted.ok() || life->faults_on_) << deleted;
    model.deleting = false;
    model.deleted = true;
  }

  // Removes dead entry logs, then compacts some of the others; one such run at a time.
  static Task<void> CollectLogs(Life* life) {
    if (std::exchange(life->collecting_, true)) co_return;
    LedgerStorage* storage = life->rig_.storage;
    const auto removed = co_await storage->RemoveDeadEntryLogs(SayGone);
    EXPECT_TRUE(removed.ok() || life->faults_on_) << removed.status();
    for (const EntryLogUsage& usage : storage->EntryLogUsages()) {
      if (life->random_.Below(2) == 0) continue;
      const auto compacted =
          co_await storage->CompactEntryLog(usage.log, usage.live_bytes, SayGone, &life->pace_);
      EXPECT_TRUE(compacted.ok() || life->faults_on_) << compacted.status();
    }
    life->collecting_ = false;
  }

  // ---- Reading

  // A ledger of which a flush had written unacknowledged entries when the process died is taken for
  // one that has lost its index: that is safe, and no more than that.
  bool IsUncertain(LedgerId ledger) {
    const LedgerState* state = rig_.storage->FindLoaded(ledger);
    ModelLedger& model = ledgers_[ledger];
    const bool uncertain = state == nullptr || state->uncertain;
    if (uncertain) {
      EXPECT_FALSE(model.maybe.empty()) << "ledger " << ledger.value();
      model.may_be_fenced = true;
    }
    return uncertain;
  }

  static Task<void> ReadOne(Life* life, LedgerId ledger, EntryId entry) {
    const ModelLedger& model = life->ledgers_[ledger];
    if (model.deleted || model.deleting) co_return;
    const auto found = model.entries.find(entry.value());
    const bool was_there = found != model.entries.end();
    const Buffer expected = was_there ? found->second : Buffer();
    const auto read = co_await life->rig_.storage->Read(ledger, entry);
    if (model.deleted || model.deleting) co_return;
    const ErrorCode code = CodeOf(read.status());
    if (read.ok()) {
      life->ExpectBody(model, entry, *read, was_there ? &expected : nullptr);
    } else if (code == ErrorCode::kNoSuchEntry || code == ErrorCode::kNoSuchLedger) {
      EXPECT_FALSE(was_there) << "ledger " << ledger.value() << " entry " << entry.value();
    } else if (code == ErrorCode::kUnknownLedgerState) {
      EXPECT_TRUE(!was_there && life->IsUncertain(ledger)) << entry.value();
    } else {
      EXPECT_TRUE(life->faults_on_ && code == ErrorCode::kIoError) << read.status();
    }
  }

  void ExpectBody(const ModelLedger& model, EntryId entry, const Buffer& body,
                  const Buffer* expected) {
    if (expected != nullptr) {
      EXPECT_TRUE(body == *expected) << "entry " << entry.value();
      return;
    }
    const auto maybe = model.maybe.find(entry.value());
    const auto now = model.entries.find(entry.value());
    EXPECT_TRUE((maybe != model.maybe.end() && maybe->second == body) ||
                (now != model.entries.end() && now->second == body))
        << "entry " << entry.value() << " was never put so";
  }

  Task<void> List(LedgerId ledger) {
    const ModelLedger& model = ledgers_[ledger];
    if (model.deleted || model.deleting) co_return;
    std::set<int64_t> expected;
    for (const auto& [id, body] : model.entries) expected.insert(id);
    const auto listed = co_await rig_.storage->ListEntries(ledger);
    if (model.deleted || model.deleting) co_return;
    if (CodeOf(listed.status()) == ErrorCode::kUnknownLedgerState && IsUncertain(ledger)) co_return;
    if (!listed.ok()) {
      EXPECT_TRUE(CodeOf(listed.status()) == ErrorCode::kNoSuchLedger ? expected.empty()
                                                                      : faults_on_)
          << listed.status();
      co_return;
    }
    EXPECT_TRUE(std::is_sorted(listed->begin(), listed->end()));
    for (const EntryId entry : *listed) {
      const int64_t id = entry.value();
      EXPECT_TRUE(expected.erase(id) > 0 || model.maybe.contains(id) || model.entries.contains(id))
          << id;
    }
    EXPECT_TRUE(expected.empty()) << "entry " << *expected.begin() << " is not listed";
  }

  // ---- Recovery

  static Task<void> Replay(Life* life) {
    LedgerStorage* storage = life->rig_.storage;
    for (size_t i = life->mark_; i < life->journal_.size(); ++i) {
      const JournalRecord record = life->journal_[i];
      if (life->ledgers_[record.ledger].deleted) continue;
      const auto loaded = co_await storage->Load(record.ledger);
      const ErrorCode code = CodeOf(loaded.status());
      if (code == ErrorCode::kNoSuchLedger || code == ErrorCode::kUnknownLedgerState) {
        // A key comes first, always.
        EXPECT_TRUE(record.kind == JournalRecord::Kind::kKey);
        storage->CreateLedger(record.ledger, KeyOf(record.ledger));
        continue;
      }
      STELE_CO_ASSERT_OK(loaded);
      switch (record.kind) {
        case JournalRecord::Kind::kKey:
          EXPECT_TRUE(storage->SetMasterKey(record.ledger, KeyOf(record.ledger)));
          break;
        case JournalRecord::Kind::kFence: storage->SetFenced(record.ledger); break;
        case JournalRecord::Kind::kLac:
          storage->SetExplicitLac(record.ledger, record.entry, record.body);
          break;
        case JournalRecord::Kind::kEntry: {
          PutResult result = storage->PutReplayed(record.ledger, record.entry, record.body);
          if (result == PutResult::kFull) {
            STELE_CO_ASSERT_OK(co_await storage->Flush());
            STELE_CO_ASSERT_OK(co_await storage->Load(record.ledger));
            result = storage->PutReplayed(record.ledger, record.entry, record.body);
          }
          EXPECT_TRUE(result == PutResult::kStored || result == PutResult::kSameEntryExists);
          break;
        }
      }
    }
    STELE_CO_ASSERT_OK(co_await storage->JudgeReplayedStrays());
  }

  static Task<void> VerifyAll(Life* life) {
    for (const auto& [ledger, model] : life->ledgers_) {
      if (model.deleted) continue;
      const auto loaded = co_await life->rig_.storage->Load(ledger);
      const ErrorCode code = CodeOf(loaded.status());
      if (code == ErrorCode::kNoSuchLedger || code == ErrorCode::kUnknownLedgerState) {
        EXPECT_TRUE(model.entries.empty() && !model.fenced && model.explicit_lac.IsNone())
            << "ledger " << ledger.value() << " is lost";
        continue;
      }
      STELE_CO_ASSERT_OK(loaded);
      EXPECT_EQ((*loaded)->master_key, KeyOf(ledger));
      const bool uncertain = (*loaded)->uncertain && life->IsUncertain(ledger);
      EXPECT_TRUE((*loaded)->fenced || !model.fenced);
      EXPECT_TRUE(!(*loaded)->fenced || model.fenced || model.may_be_fenced);
      EXPECT_GE((*loaded)->lac, model.explicit_lac);
      for (int64_t id = 0; id < model.next + 2; ++id) {
        // Of long gaps only the ends.
        const auto after = model.entries.upper_bound(id);
        if (!model.entries.contains(id) && after != model.entries.end()) id = after->first - 1;
        co_await ReadOne(life, ledger, EntryId(id));
      }
      co_await life->List(ledger);
      if (model.entries.empty() || uncertain) continue;
      const auto last = co_await life->rig_.storage->ReadLast(ledger);
      STELE_CO_ASSERT_OK(last);
      EXPECT_GE(LoadBigEndian<int64_t>(last->data() + 8), model.entries.rbegin()->first);
    }
  }

  SimRandom random_;
  SimRandom fault_random_{random_.Below(UINT64_MAX)};
  StorageRig rig_;
  struct NoPace final : BackgroundPace {
    Task<absl::Status> Spend(uint64_t) override { co_return absl::OkStatus(); }
  };
  NoPace pace_;
  bool collecting_ = false;
  bool faulty_ = false;
  bool faults_on_ = false;
  std::vector<JournalRecord> journal_;
  size_t acknowledged_ = 0;  // records that are durable
  size_t mark_ = 0;          // records that need no replay
  std::map<LedgerId, ModelLedger> ledgers_;
};

// One run does kSeeds; --gtest_random_seed=N does the N-th block of seeds.
constexpr uint64_t kSeeds = 15;

TEST(StorageSimulationTest, WhatWasAcknowledgedSurvivesEveryCrash) {
  const auto block = static_cast<uint64_t>(testing::GTEST_FLAG(random_seed));
  for (uint64_t seed = block * kSeeds + 1; seed <= (block + 1) * kSeeds; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    Life(seed, IndexFormat::kFiles).Live();
    Life(seed, IndexFormat::kExtents).Live();
    if (testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace stele::bookie
