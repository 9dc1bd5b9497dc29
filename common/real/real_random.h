// RealRandom: a fast generator, seeded by the operating system.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/seams/random.h"

namespace stele::real {

class RealRandom final : public Random {
 public:
  RealRandom();
  uint64_t Below(uint64_t bound) override;
  // Independent of this stream and of all others: seeded anew, whatever the label.
  std::unique_ptr<Random> Fork(std::string_view label) const override;

 private:
  uint64_t Next();
  std::array<uint64_t, 4> state_;
};

}  // namespace stele::real
