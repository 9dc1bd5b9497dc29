// What the journal's tests share: one simulated machine with one process, a journal directory, a
// listener that remembers, and a replay into memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal.h"
#include "bookie/journal/journal_replay.h"
#include "simulation/world.h"

namespace stele::bookie {

inline constexpr char kJournalDirectory[] = "/journal/current";

class RecordingListener : public JournalListener {
 public:
  void OnDurable(uint64_t sequence) override;
  void OnRoom() override { ++rooms; }
  void OnFailed(absl::Status why) override { failures.push_back(std::move(why)); }
  void OnDiskFull(bool is_full) override { disk_full.push_back(is_full); }

  uint64_t durable = 0;
  std::vector<uint64_t> reports;  // each OnDurable
  int rooms = 0;
  std::vector<absl::Status> failures;
  std::vector<bool> disk_full;
  std::function<void(uint64_t)> on_durable;  // called last
};

// Sees all operations of the disk, and lets those fail that `fail` says.
class DiskObserver : public simulation::FileFaults {
 public:
  absl::Status BeforeOperation(const simulation::FileRequest& request) override;

  std::function<absl::Status(const simulation::FileRequest&)> fail;
  std::vector<simulation::FileRequest> writes;
  int removes = 0;
};

struct Replayed {
  absl::Status status;
  ReplayReport report;  // when ok
  std::vector<std::string> bodies;
};

class JournalRig {
 public:
  explicit JournalRig(uint64_t seed = 1, simulation::SimDiskOptions disk = {});

  // Small limits, so that a test sees several files.
  static JournalOptions SmallOptions();

  // Runs the world until the task has ended.
  void Run(Task<void> task);
  void RunFor(absl::Duration duration);
  // Fails the test when it does not come true.
  void RunUntil(const std::function<bool()>& condition);

  // Opens a journal that lives until Close() or the end of the process. Null after a failure.
  Journal* Open(JournalOptions options);
  Journal* Open() { return Open(SmallOptions()); }
  absl::Status OpenStatus() const { return open_status_; }
  absl::Status Close();
  absl::Status Trim(JournalMark mark);

  // Loses the process, or the power of the machine; then a new process starts.
  void Crash();
  void PowerCut();

  // An entry's body: ledger 7, the given entry id, and a payload.
  static Buffer Entry(int64_t entry, std::string_view payload);

  Replayed Replay(ReplayOptions options);
  Replayed Replay(JournalMark mark = {}) {
    return Replay({.directory = kJournalDirectory, .mark = mark});
  }

  std::vector<std::string> FileNames();
  std::string ReadFile(std::string name);
  // Replaces or makes the file, durable.
  void WriteFile(std::string name, std::string content);
  void RemoveFile(std::string name);
  // Changes one byte, durable, also of a file that is being written.
  void FlipByte(std::string name, size_t offset);

  simulation::World world;
  simulation::SimMachine* machine;
  simulation::SimProcess* process;
  Env env;
  DiskObserver disk;
  RecordingListener listener;

 private:
  simulation::SimDisk& sim_disk() { return machine->disk(); }
  void Restart();

  absl::Status open_status_;
  std::unique_ptr<Journal>* journal_ = nullptr;  // owned by the process
};

}  // namespace stele::bookie
