// The real seams under the contract suites.
#pragma once

#include <memory>
#include <string>

#include "common/real/shard.h"
#include "common/seams/contract/seam_world.h"

namespace stele::real {

class RealSeamWorld final : public SeamWorld {
 public:
  // `scratch_parent` is an existing directory.
  RealSeamWorld(FileBackend backend, const std::string& scratch_parent);
  // Removes the scratch directory.
  ~RealSeamWorld() override;

  Env env() override { return shard_.env(); }
  std::string scratch_directory() override { return scratch_; }
  void RunToEnd(Task<void> task) override;

 private:
  Shard shard_;
  std::string scratch_;
};

// Both back ends, on the disk and (where there is one) in /dev/shm, which refuses O_DIRECT.
std::unique_ptr<SeamWorld> MakeUringWorld();
std::unique_ptr<SeamWorld> MakeThreadsWorld();
std::unique_ptr<SeamWorld> MakeTmpfsWorld();

inline constexpr SeamWorldKind kRealSeamWorlds[] = {
    {"Uring", MakeUringWorld},
    {"Threads", MakeThreadsWorld},
    {"Tmpfs", MakeTmpfsWorld},
};

}  // namespace stele::real
