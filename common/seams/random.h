// Random: the only source of randomness.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace stele {

class Random {
 public:
  virtual ~Random() = default;

  // Uniform in [0, bound); bound > 0.
  virtual uint64_t Below(uint64_t bound) = 0;

  // A child stream. In simulation it is fixed by (seed, label): a new draw in one component does
  // not move the others.
  virtual std::unique_ptr<Random> Fork(std::string_view label) const = 0;
};

}  // namespace stele
