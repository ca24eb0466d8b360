// Content that tells whose it is: words that follow from a seed. What reads back differently was lost or is another's.
#pragma once

#include <stdint.h>

namespace ulib {

// A seed for one version of one thing of one owner.
constexpr uint32_t pattern_seed(uint32_t owner, uint32_t thing, uint32_t version) {
  uint32_t seed = owner * 2654435761u ^ thing * 2246822519u ^ version * 3266489917u;
  seed ^= seed >> 15;
  return seed | 1;
}

inline void fill_pattern(uint32_t* words, uint32_t count, uint32_t seed) {
  for (uint32_t i = 0; i < count; ++i) words[i] = seed += 0x9e3779b9;
}

// How many words are not as fill_pattern has left them.
inline uint32_t wrong_words(const uint32_t* words, uint32_t count, uint32_t seed) {
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < count; ++i) wrong += words[i] != (seed += 0x9e3779b9) ? 1 : 0;
  return wrong;
}

}  // namespace ulib
