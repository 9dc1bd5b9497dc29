#include "common/real/real_random.h"

#include <bit>

#include <sys/random.h>

#include "common/base/check.h"

namespace stele::real {

RealRandom::RealRandom() {
  // Up to 256 bytes come whole and without an interruption (getrandom(2)).
  const ssize_t filled = getrandom(state_.data(), sizeof(state_), 0);
  STELE_CHECK_OP(filled, ==, static_cast<ssize_t>(sizeof(state_)));
  // The generator would stay at zero.
  if (state_ == std::array<uint64_t, 4>{}) state_[0] = 1;
}

// xoshiro256++ by Blackman and Vigna.
uint64_t RealRandom::Next() {
  const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t RealRandom::Below(uint64_t bound) {
  STELE_CHECK(bound > 0);
  // Scales by the high half of a product (Lemire); the low half tells the draws that would favour
  // some values.
  const uint64_t refused_below = -bound % bound;
  for (;;) {
    const auto product = static_cast<unsigned __int128>(Next()) * bound;
    if (static_cast<uint64_t>(product) >= refused_below) return product >> 64;
  }
}

std::unique_ptr<Random> RealRandom::Fork(std::string_view) const {
  return std::make_unique<RealRandom>();
}

}  // namespace stele::real
