// SimRandom: a seeded stream of random numbers that is the same on every machine.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/check.h"
#include "common/base/stable_hash.h"
#include "common/seams/random.h"

namespace stele::simulation {

class SimRandom : public Random {
 public:
  explicit SimRandom(uint64_t seed) : seed_(seed), state_(seed) {}

  uint64_t Below(uint64_t bound) override {
    STELE_CHECK(bound > 0);
    // The high half of a 128-bit product: its bias is below bound / 2^64.
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }

  std::unique_ptr<Random> Fork(std::string_view label) const override {
    return std::make_unique<SimRandom>(ForkedSeed(label));
  }

  // As Fork, by value.
  SimRandom Child(std::string_view label) const { return SimRandom(ForkedSeed(label)); }

  // True in `numerator` of `denominator` cases.
  bool Chance(uint64_t numerator, uint64_t denominator) { return Below(denominator) < numerator; }

 private:
  // A Weyl sequence through the mixer: all 2^64 states are visited.
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    return StableHash(state_);
  }
  uint64_t ForkedSeed(std::string_view label) const {
    return StableHash(StableHash(seed_ + 0x632be59bd9b4e019ULL) ^ StableHash(label));
  }

  uint64_t seed_;
  uint64_t state_;
};

}  // namespace stele::simulation
