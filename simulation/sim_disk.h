// SimDisk: the disk of one simulated machine: a tree of directories and files, each with two
// images. The volatile one is what processes see; it survives the crash of a process, as the page
// cache does. The durable one is what certainly survives a power cut. What lies between them, each
// 512-byte sector and each change of a name, survives a power cut or not, as the seed says:
//   sectors   any subset of the unsynced ones
//   size      the durable one, the volatile one, or when growing one in between
//   names     any subset of the unsynced changes in which a change survives only with all earlier
//             unsynced changes of the same name; a rename is one change of two names
// Operations run through SimFileSystem; this class holds the state and its rules, without time.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/buffer.h"
#include "common/seams/file_system.h"
#include "simulation/disk_faults.h"
#include "simulation/scheduler.h"
#include "simulation/sector_image.h"
#include "simulation/sim_random.h"

namespace stele::simulation {

enum class FileOperation : uint8_t {
  kOpen,
  kStat,
  kList,
  kMakeDirectories,
  kRename,
  kLink,
  kRemove,
  kSyncDirectory,
  kSpace,
  kLockDirectory,
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kSize,
};

struct FileRequest {
  FileOperation operation;
  std::string path;         // of an open file: the one it was opened with
  std::string target = "";  // of a rename or a link
  uint64_t offset = 0;
  size_t size = 0;
  SimProcess* process = nullptr;
};

// Asked before each operation of the disk.
class FileFaults {
 public:
  virtual ~FileFaults() = default;
  // An error makes the operation fail with it, without effect on the volatile image. A failed sync
  // loses what it should have made durable: later syncs succeed and do not cover it, although reads
  // still show it.
  virtual absl::Status BeforeOperation(const FileRequest& request) = 0;
};

struct SimDiskOptions {
  uint64_t size_bytes = uint64_t{1} << 40;
  absl::Duration latency_min = absl::Microseconds(20);
  absl::Duration latency_spread = absl::Microseconds(200);
  // Time of the transfer, on top of the latency.
  uint64_t transfer_bytes_per_second = 2'000'000'000;
};

// A file or a directory.
struct Inode {
  uint64_t id = 0;
  bool is_directory = false;

  // Of a file. `unsynced` has the sectors of each page that differ, or may differ.
  SectorImage content;
  SectorImage durable;
  absl::btree_map<uint64_t, uint8_t> unsynced;
  std::set<uint64_t> bad_sectors;  // numbers; reading one fails until it is written
  int links = 0;                   // in volatile directories
  int open_files = 0;
  uint64_t charged_bytes = 0;  // of the disk's space

  // Of a directory.
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  Names names;
  Names durable_names;
  bool locked = false;
};

// What a power cut may leave of what is not synced.
enum class PowerCutMode : uint8_t {
  kAnything,  // any subset of sectors and names: the law
  kOrdered,   // as ext4 with data=ordered: a prefix of the changes of names; a file grows only over
              // data that survived
};

// Where something was damaged.
struct DamagedPlace {
  std::string path;
  uint64_t offset = 0;
};

class SimDisk {
 public:
  // `scheduler` must outlive the disk, and the disk all processes that use it: crash them first.
  //   label   what its random stream is forked by
  SimDisk(Scheduler* scheduler, std::string label, SimDiskOptions options);
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  // Null: no faults. Must outlive its use here.
  void set_faults(FileFaults* faults) { faults_ = faults; }
  // The quota; below what is used no file can grow.
  void set_size_bytes(uint64_t size_bytes) { options_.size_bytes = size_bytes; }
  uint64_t used_bytes() const { return used_bytes_; }

  // ---- Trouble, by name. Counted when it took effect.
  DiskFaults& faults() { return disk_faults_; }
  void set_power_cut_mode(PowerCutMode mode) { power_cut_mode_ = mode; }
  // Creating files and directories fails when there are so many.
  void set_files_max(uint64_t files) { files_max_ = files; }
  // Every operation takes so many times as long.
  void set_slowness(int64_t factor) { slowness_ = factor; }
  // Every operation takes up to so much longer, each by itself: they overtake each other.
  void set_unevenness_max(absl::Duration delay) { unevenness_max_ = delay; }
  // No operation completes before this time is over, or before the disk is let go. It does not
  // hinder a kill.
  void StallFor(absl::Duration duration);
  void Hang() { hung_ = true; }
  void Unhang() { hung_ = false; }
  // Opening anything for writing, and changing a name, fails.
  void set_read_only(bool read_only) { read_only_ = read_only; }
  // Opening and listing what begins with this path fails; empty: nothing.
  void set_forbidden(std::string prefix) { forbidden_ = std::move(prefix); }
  // What the caches hold and the disk does not is seen no more; what is not synced stays.
  void DropCaches();

  // Flips 1 to 64 bits in one written sector of a file below `prefix`; the seed chooses. Nothing
  // when there is none.
  std::optional<DamagedPlace> Rot(std::string_view prefix);

  // What a power cut would certainly leave, for later. Then: the whole disk as it was (the
  // processes on it have crashed), or one file that is in both.
  std::shared_ptr<const Inode> TakeSnapshot() const;
  void RestoreSnapshot(const std::shared_ptr<const Inode>& snapshot);
  bool RestoreFile(const std::shared_ptr<const Inode>& snapshot, std::string_view path);
  // Empties a directory; swaps it with the one of the same path on another disk. Durable at once.
  // The processes that use them have crashed. False when there is none.
  bool Wipe(std::string_view path);
  static bool SwapDirectories(SimDisk* a, SimDisk* b, std::string_view path);

  // Everything is well again; damage stays.
  void Heal();

  // Everything volatile is decided by the seed, now. All processes that use the disk have crashed,
  // and BeginPowerCut() was called before they did.
  void PowerCut();
  // Writes in flight of processes that crash from now on count as unsynced in all their sectors,
  // instead of landing as a prefix.
  void BeginPowerCut() { power_failing_ = true; }

  // What follows is for SimFileSystem.
  Scheduler* scheduler() { return scheduler_; }
  SimRandom& random() { return random_; }
  uint64_t device() const { return device_; }
  uint64_t size_bytes() const { return options_.size_bytes; }
  // What goes wrong with an operation: an error, or one of those that need the operation's help.
  struct Trouble {
    absl::Status error;
    std::optional<DiskFault> fault;
  };
  Trouble AskFaults(const FileRequest& request);
  absl::Duration DrawLatency(size_t transfer_bytes);
  absl::Duration stall_left() const;
  bool is_hung() const { return hung_; }
  bool is_read_only() const { return read_only_; }

  using InodeRef = std::shared_ptr<Inode>;
  // kNoSuchFile.
  absl::StatusOr<InodeRef> Find(std::string_view path) const;
  absl::StatusOr<InodeRef> Open(std::string_view path, OpenOptions options);
  absl::Status MakeDirectories(std::string_view path);
  absl::Status Rename(std::string_view from, std::string_view to);
  absl::Status Link(std::string_view from, std::string_view to);
  absl::Status Remove(std::string_view path);
  absl::Status SyncDirectory(std::string_view path);
  void CloseFile(Inode* inode);

  // kDiskFull.
  absl::Status Write(Inode* inode, uint64_t offset, std::string_view bytes, OpenOptions::Sync sync);
  absl::Status Truncate(Inode* inode, uint64_t size);
  void SyncFile(Inode* inode);
  // A sync has failed. Reads show the new content for a while, or the old one.
  void LoseUnsynced(Inode* inode, bool shows_old);
  // kIoError when one of the sectors is bad.
  static absl::Status CheckSectors(const Inode& inode, uint64_t offset, uint64_t size);
  static void MakeBad(Inode* inode, uint64_t offset);
  // As Write, but not what was meant.
  void WriteLost(Inode* inode, uint64_t offset, std::string_view bytes, OpenOptions::Sync sync);
  // Puts another page of the file where one page of what was read from `offset` should be.
  void MisdirectPage(const Inode& inode, uint64_t offset, std::span<char> read);
  // Another aligned offset of the file, or the same when there is none.
  uint64_t DrawOtherOffset(const Inode& inode, uint64_t offset, size_t size);
  void WriteToOtherFile(const Inode* not_this, std::string_view bytes);

  // A write between its start and its end.
  struct WriteInFlight {
    SimProcess* process;
    InodeRef inode;
    uint64_t offset;
    Buffer bytes;
  };
  using WriteTicket = std::list<WriteInFlight>::iterator;
  WriteTicket BeginWrite(WriteInFlight write);
  void EndWrite(WriteTicket ticket) { writes_in_flight_.erase(ticket); }

 private:
  // Changes of names that are one atomic step; a null inode removes the name.
  struct NameChange {
    InodeRef directory;
    std::string name;
    InodeRef inode;
  };
  using NameStep = std::vector<NameChange>;

  // The directory that holds the last part of the path, and that part.
  absl::StatusOr<std::pair<InodeRef, std::string>> FindParent(std::string_view path) const;
  InodeRef NewInode(bool is_directory);
  // Changes the volatile names and remembers the step.
  void Apply(NameStep step);
  static void MakeDurable(const NameStep& step);
  // Sets what the file takes of the disk, or leaves it and gives kDiskFull.
  absl::Status Charge(Inode* inode, uint64_t size);
  void ReleaseIfGone(Inode* inode);
  using FoundFile = std::pair<std::string, InodeRef>;
  // All files whose path starts with `prefix`, in the order of their paths.
  std::vector<FoundFile> FilesBelow(std::string_view prefix) const;
  static void Collect(const InodeRef& directory, const std::string& path, std::string_view prefix,
                      std::vector<FoundFile>* found);
  // Makes the whole content of a file what it is, and durable.
  void SetContent(Inode* inode, const SectorImage& content);
  absl::Status CheckCanCreate() const;
  void RecountUsed();
  void OnProcessCrash(SimProcess* process);
  void Watch(SimProcess* process);
  // The power cut, in eighths: how likely each unsynced thing survives it.
  void DecideNames(uint64_t survival_eighths);
  void DecideTree(const InodeRef& directory, uint64_t survival_eighths, std::set<uint64_t>* seen);
  void DecideContent(Inode* inode, uint64_t survival_eighths);
  void DecideContentOrdered(Inode* inode, uint64_t survival_eighths);
  // After the content is final.
  void Recharge(Inode* inode);

  Scheduler* scheduler_;
  SimDiskOptions options_;
  SimRandom random_;
  uint64_t device_;
  FileFaults* faults_ = nullptr;
  DiskFaults disk_faults_;
  PowerCutMode power_cut_mode_ = PowerCutMode::kAnything;
  uint64_t files_max_ = UINT64_MAX;
  int64_t slowness_ = 1;
  absl::Duration unevenness_max_ = absl::ZeroDuration();
  int64_t stalled_until_nanoseconds_ = 0;
  bool hung_ = false;
  bool read_only_ = false;
  std::string forbidden_;
  uint64_t inodes_made_ = 0;
  uint64_t used_bytes_ = 0;
  bool power_failing_ = false;
  InodeRef root_;
  std::list<NameStep> unsynced_names_;
  std::list<WriteInFlight> writes_in_flight_;
  std::vector<SimProcess*> watched_;  // whose crash we hear of
};

}  // namespace stele::simulation
