// Trace: a running hash over everything that happens in a simulation. Two runs of one seed have
// equal hashes after every step, on every machine and in every build; when they differ, something
// nondeterministic has crept in, and the checkpoints tell between which steps.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "common/base/stable_hash.h"

namespace stele::simulation {

// A stable hash of `bytes` that reads eight of them at a time: payloads are hashed often.
inline uint64_t DigestOf(std::string_view bytes) {
  uint64_t hash = 0x9ae16a3b2f90404fULL ^ bytes.size();
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
    hash ^= hash >> 32;
  }
  uint64_t tail = 0;
  if (left > 0) std::memcpy(&tail, at, left);
  return StableHash(hash ^ tail);
}

enum class TraceKind : uint8_t {
  kJob,
  kStart,
  kCrash,
  kPause,
  kFrame,
  kConnection,
  kFile,
  kDisk,
  kMetadata,
  kSession,
};

class Trace {
 public:
  void Record(TraceKind kind, uint64_t a, uint64_t b = 0) {
    hash_ = StableHash(hash_ ^ (a * 0x9e3779b97f4a7c15ULL + b * 0xc2b2ae3d27d4eb4fULL +
                                static_cast<uint64_t>(kind)));
  }

  // Called by the scheduler after each step.
  void EndStep(uint64_t step) {
    if (step % kCheckpointInterval == 0) checkpoints_.push_back(hash_);
  }

  uint64_t hash() const { return hash_; }

  // The hash after each kCheckpointInterval steps: compare two runs from here to bisect.
  static constexpr uint64_t kCheckpointInterval = 10'000;
  const std::vector<uint64_t>& checkpoints() const { return checkpoints_; }

 private:
  uint64_t hash_ = 0;
  std::vector<uint64_t> checkpoints_;
};

}  // namespace stele::simulation
