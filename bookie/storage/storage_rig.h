// What the tests of this directory share: a simulated machine with a storage on it, and entries.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/ledger_storage.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/world.h"

namespace stele::bookie {

inline wire::MasterKey KeyOf(LedgerId ledger) {
  wire::MasterKey key;
  key.fill(static_cast<char>('A' + ledger.value() % 26));
  return key;
}

// An entry packet without digest.
Buffer MakeBody(LedgerId ledger, EntryId entry, EntryId lac, std::string_view payload);
Buffer MakeBody(LedgerId ledger, EntryId entry, std::string_view payload = "payload");
// For RemoveDeadEntryLogs: no ledger is in metadata.
inline Task<absl::StatusOr<bool>> SayGone(std::vector<LedgerId>) { co_return true; }
// An explicit-LAC packet without digest.
Buffer MakeLacPacket(LedgerId ledger, EntryId lac);

// Never waits.
class TestPace final : public BackgroundPace {
 public:
  Task<absl::Status> Spend(uint64_t) override { co_return status; }
  absl::Status status;
};

// Fails operations of the disk.
class TestFaults : public simulation::FileFaults {
 public:
  using Rule = std::function<absl::Status(const simulation::FileRequest&)>;
  void Set(Rule rule) { rule_ = std::move(rule); }
  // Fails every `operation` on paths that contain `part`.
  void Fail(simulation::FileOperation operation, std::string part,
            ErrorCode code = ErrorCode::kIoError);
  void Clear() { rule_ = nullptr; }
  int64_t failures() const { return failures_; }

  absl::Status BeforeOperation(const simulation::FileRequest& request) override;

 private:
  Rule rule_;
  int64_t failures_ = 0;
};

struct StorageRig {
  explicit StorageRig(uint64_t seed = 1, int directories = 1);

  // Runs `task` to its end and gives its result.
  template <typename T>
  T Await(Task<T> task) {
    std::optional<T> result;
    const absl::Status run = world.RunToEnd(process, Keep(std::move(task), &result));
    EXPECT_TRUE(run.ok()) << run;
    return *std::move(result);
  }
  template <typename T>
  static Task<void> Keep(Task<T> task, std::optional<T>* result) {
    result->emplace(co_await std::move(task));
  }

  // Opens the storage in `storage`; the status of the opening.
  absl::Status Open();
  // Open() that must succeed.
  void MustOpen() {
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << opened;
  }
  // Without a flush: what was not flushed is gone.
  void Kill();
  void PowerCut();
  // Leaves the files and reopens, as a process that ended well and another that begins.
  void Reopen();

  // Creates the ledger when it is not known, and puts.
  void MustPut(LedgerId ledger, EntryId entry, std::string_view payload = "payload");
  absl::Status Flush() { return Await(storage->Flush()); }
  void MustFlush() {
    const absl::Status flushed = Flush();
    ASSERT_TRUE(flushed.ok()) << flushed;
  }
  absl::StatusOr<Buffer> Read(LedgerId ledger, EntryId entry) {
    return Await(storage->Read(ledger, entry));
  }
  ErrorCode CodeOfRead(LedgerId ledger, EntryId entry) {
    return CodeOf(Read(ledger, entry).status());
  }
  const LedgerState* MustLoad(LedgerId ledger);

  // Files, from outside of the storage. Paths begin with /d0, /d1, ...
  std::string ReadWholeFile(std::string path);
  void OverwriteFile(std::string path, uint64_t offset, std::string bytes);
  void TruncateFile(std::string path, uint64_t size);
  void CreateFile(std::string path, std::string content);
  void RemoveFile(std::string path);
  bool Exists(std::string path);
  std::vector<std::string> EntryLogFiles(int directory = 0);

  TestFaults faults;
  simulation::World world;
  simulation::SimMachine* machine;
  simulation::SimProcess* process;
  StorageOptions options;
  LedgerStorage* storage = nullptr;  // owned by the process
};

}  // namespace stele::bookie
