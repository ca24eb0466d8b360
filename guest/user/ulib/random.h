// Random numbers for workloads: the same from the same seed, everywhere.
#pragma once

#include <stdint.h>

namespace ulib {

// Marsaglia's xorshift32.
class Random {
 public:
  explicit constexpr Random(uint32_t seed) : state_(seed * 2654435769u + 1) {
    if (state_ == 0) state_ = 1;
    next();
  }

  constexpr uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }

  // Uniform in [0, bound), by Lemire's multiplication (the bias of at most bound / 2^32 does not matter here).
  constexpr uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>(static_cast<uint64_t>(next()) * bound >> 32);
  }

 private:
  uint32_t state_;
};

// Ranks with the frequencies of Zipf's law, exponent 1: rank r, from 0 on, comes in proportion to 1 / (r + 1).
//
// No table and no division. Within an octave, the numbers from 2^k to 2^(k+1) - 1, the probabilities 1/x lie between
// 2^-(k+1) and 2^-k, and all octaves weigh nearly the same. So: draw an octave, then an x in it, and accept x with
// probability 2^k / x, which is never below a half.
class Zipf {
 public:
  // REQUIRES: 0 < count < 2^31
  constexpr Zipf(uint32_t count, uint32_t seed) : count_(count), random_(seed) {
    while (1u << octaves_ <= count) ++octaves_;
  }

  constexpr uint32_t next() {
    for (;;) {
      const uint32_t octave = random_.below(octaves_);
      const uint32_t base = 1u << octave;
      const uint32_t x = base + (random_.next() & (base - 1));
      const bool accepted = static_cast<uint64_t>(random_.next()) * x < static_cast<uint64_t>(base) << 32;
      if (accepted && x <= count_) return x - 1;
    }
  }

 private:
  uint32_t count_;
  uint32_t octaves_ = 0;
  Random random_;
};

}  // namespace ulib
