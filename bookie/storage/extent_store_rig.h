// What the tests of the index of extents share: a store on a simulated disk, and a model of it.
#pragma once

#include <climits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/extent_store.h"
#include "bookie/storage/storage_rig.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"

namespace stele::bookie {

inline constexpr LedgerId kLedger{7};

struct ModelLedger {
  int32_t state_bits = 0;
  std::map<int64_t, int64_t> locations;  // packed
  friend bool operator==(const ModelLedger&, const ModelLedger&) = default;
};
using Model = std::map<LedgerId, ModelLedger>;

// The changes of a model, as one write.
class ModelUpdates final : public IndexUpdates {
 public:
  explicit ModelUpdates(const Model& changes) {
    for (const auto& [ledger, change] : changes) {
      Part& part = parts_.emplace_back();
      part.ledger = ledger;
      part.header = IndexHeader{.master_key = KeyOf(ledger), .state_bits = change.state_bits};
      for (const auto& [entry, packed] : change.locations) {
        part.entries.push_back(entry);
        part.locations.push_back(packed);
      }
    }
  }
  size_t count() const override { return parts_.size(); }
  LedgerId ledger(size_t i) const override { return parts_[i].ledger; }
  Task<absl::StatusOr<std::optional<IndexUpdate>>> Prepare(size_t i) override {
    const Part& part = parts_[i];
    co_return IndexUpdate{.ledger = part.ledger,
                          .header = part.header,
                          .entries = part.entries,
                          .locations = part.locations};
  }

 private:
  struct Part {
    LedgerId ledger;
    IndexHeader header;
    std::vector<int64_t> entries;
    std::vector<int64_t> locations;
  };
  std::vector<Part> parts_;
};

inline int64_t Location(int64_t entry, int32_t log = 1) {
  return EntryLocation(EntryLogId(log), 4096 + 100 * static_cast<uint64_t>(entry)).packed();
}

inline std::map<int64_t, int64_t> Locations(int64_t first, int64_t end, int32_t log = 1) {
  std::map<int64_t, int64_t> locations;
  for (; first < end; ++first) locations[first] = Location(first, log);
  return locations;
}

struct ExtentStoreTest : testing::Test, StorageRig {
  explicit ExtentStoreTest(uint64_t seed = 1, int directories = 1)
      : StorageRig(seed, directories), roots(options.ledger_directories) {}
  void TestBody() override {}

  absl::Status OpenStore() {
    const Env env = world.env(process);
    locks = process->Own(std::make_unique<LedgerLocks>(env.executor));
    ledgers_lost = 0;
    ExtentStoreOptions store_options{.directories = roots, .cache_max_bytes = cache_max_bytes};
    if (notes_lost_ledgers) store_options.on_ledgers_lost = [this] { return OnLedgersLost(); };
    auto opened = Await(ExtentStore::Open(env, std::move(store_options), locks));
    if (!opened.ok()) return opened.status();
    store = process->Own(*std::move(opened));
    store->SetLossListener([this](LedgerId ledger) {
      lost.insert(ledger);
      return is_heard;
    });
    lost.clear();
    return absl::OkStatus();
  }
  Task<absl::Status> OnLedgersLost() {
    ++ledgers_lost;
    co_return note_result;
  }
  void MustOpenStore() {
    const absl::Status opened = OpenStore();
    ASSERT_TRUE(opened.ok()) << opened;
  }
  Task<absl::Status> WriteTask(Model changes) {
    ModelUpdates updates(changes);
    co_return co_await store->Write(&updates, 1);
  }
  void MustWrite(Model changes) {
    const absl::Status written = Await(WriteTask(std::move(changes)));
    ASSERT_TRUE(written.ok()) << written;
  }
  // Locations of kLedger alone.
  void MustWrite(std::map<int64_t, int64_t> locations, int32_t state_bits = 0) {
    MustWrite(Model{{kLedger, {state_bits, std::move(locations)}}});
  }
  Task<absl::Status> SleepTask(absl::Duration duration) {
    const Env env = world.env(process);
    co_await SleepFor(env.executor, env.clock, duration);
    co_return absl::OkStatus();
  }
  Task<absl::Status> AwaitMergesTask() {
    co_await store->AwaitMerges();
    co_return absl::OkStatus();
  }
  void AwaitMerges() { ASSERT_TRUE(Await(AwaitMergesTask()).ok()); }

  void ExpectFound(LedgerId ledger, EntryId entry, const ModelLedger& stored) {
    const auto cached = store->FindCached(ledger, entry);
    const auto found = Await(store->Find(ledger, entry));
    ASSERT_TRUE(found.ok() && !found->IsAbsent()) << found.status();
    EXPECT_EQ(found->packed(), stored.locations.at(entry.value()));
    if (cached.has_value()) EXPECT_EQ(**cached, *found);
  }
  std::optional<ModelLedger> Stored(LedgerId ledger) {
    if (!store->Contains(ledger)) return std::nullopt;
    ModelLedger stored;
    const auto loaded = Await(store->Load(ledger));
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (!loaded.ok() || !loaded->header.has_value()) return stored;
    EXPECT_EQ(loaded->header->master_key, KeyOf(ledger));
    EXPECT_TRUE(loaded->last_entry_is_certain);
    stored.state_bits = loaded->header->state_bits;
    for (std::optional<int64_t> next = 0; next.has_value();) {
      const auto piece = Await(store->ReadPiece(ledger, *next));
      EXPECT_TRUE(piece.ok() && !piece->lost_some) << piece.status();
      if (!piece.ok()) return stored;
      for (size_t i = 0; i < piece->entries.size(); ++i) {
        stored.locations[piece->entries[i]] = piece->locations[i];
      }
      next = piece->next;
    }
    const auto entries = Await(store->List(ledger));
    EXPECT_TRUE(entries.ok()) << entries.status();
    EXPECT_EQ(entries->size(), stored.locations.size());
    EXPECT_EQ(loaded->last_entry, entries->empty() ? kNoEntry : entries->back());
    for (size_t i = 0; i < entries->size(); i += 1 + entries->size() / 10)
      ExpectFound(ledger, (*entries)[i], stored);
    return stored;
  }
  ErrorCode CodeOfFind(int64_t entry) {
    const auto found = Await(store->Find(kLedger, EntryId(entry)));
    return found.ok() && found->IsAbsent() ? ErrorCode::kNoSuchEntry : CodeOf(found.status());
  }
  std::vector<std::string> RunFiles() {
    std::vector<std::string> paths;
    for (const std::string& root : roots) {
      const std::string directory = StrCat(root, "/", kExtentDirectory);
      const auto names = Await(world.env(process).files->List(directory));
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        if (name.ends_with(kExtentRunSuffix)) paths.push_back(StrCat(directory, "/", name));
      }
    }
    return paths;
  }
  // The run of the n-th write, if no other has been merged with it.
  std::string PathOfRun(uint64_t n) {
    return StrCat(roots[0], "/", kExtentDirectory, "/", ExtentRunName({.first = n, .last = n}));
  }
  void DamageBlock(const std::string& path, uint32_t block) {
    OverwriteFile(path, ExtentBlockOffset(block) + 100, "damaged");
  }
  // The rows of one block to the place of another.
  void CopyRows(const std::string& path, uint32_t from, uint32_t to) {
    std::string block = ReadWholeFile(path).substr(ExtentBlockOffset(from), kExtentBlockBytes);
    std::string number;
    AppendBigEndian(number, to);
    block.replace(24, 4, number);
    std::string crc;
    AppendBigEndian(crc, Crc32c(block.substr(8)));
    block.replace(4, 4, crc);
    OverwriteFile(path, ExtentBlockOffset(to), block);
  }
  ExtentRunFooter FooterOf(const std::string& path) {
    const auto footer = ParseExtentFooter(ReadWholeFile(path).substr(0, kExtentFooterBytes));
    EXPECT_TRUE(footer.ok()) << footer.status();
    return footer.value_or(ExtentRunFooter());
  }
  void DamageTail(const std::string& path) {
    OverwriteFile(path, ExtentBlockOffset(FooterOf(path).blocks), "\xff");
  }
  void DamageFooters(const std::string& path) {
    OverwriteFile(path, ReadWholeFile(path).size() - 1, "\xff");
    OverwriteFile(path, 0, "damaged");
  }
  // The disk does not give the sector at `offset`, `times` times; not to a file that was opened
  // under another name, as runs are when they are written.
  void FailReads(const std::string& path, uint64_t offset, int times = INT_MAX) {
    faults.Set([path, offset, times](const simulation::FileRequest& request) mutable {
      const bool strikes = request.operation == simulation::FileOperation::kRead &&
                           request.path == path && request.offset <= offset &&
                           offset < request.offset + request.size;
      if (!strikes || times == 0) return absl::OkStatus();
      --times;
      return MakeError(ErrorCode::kIoError, "injected");
    });
  }
  // Of a ledger that has nothing to do with the test, until the runs are merged.
  void WriteOthers(int writes) {
    for (int i = 0; i < writes; ++i) MustWrite(Model{{LedgerId(500), {0, Locations(0, 4000, i)}}});
    AwaitMerges();
  }

  void WriteUntilAllIsMerged() {
    for (int i = 0; i < 20 && (i == 0 || store->run_count() > 1); ++i) WriteOthers(1);
    ASSERT_EQ(store->run_count(), 1u);
  }

  std::vector<std::string> roots;
  uint64_t cache_max_bytes = 0;
  LedgerLocks* locks = nullptr;
  ExtentStore* store = nullptr;
  std::set<LedgerId> lost;
  bool is_heard = true;  // by whoever writes headers
  bool notes_lost_ledgers = true;
  int ledgers_lost = 0;      // how often the store has told of it
  absl::Status note_result;  // of noting it
};

}  // namespace stele::bookie
