// The library's words for what it works on: frames of the memory that is merged, and slots of the pool that they share.
#pragma once

#include <cstdint>

namespace ksm {

// Adjacent frames of one memory: frame f lies f × 4096 bytes from its beginning.
struct Run {
  uint64_t first = 0;
  uint64_t count = 0;
  [[nodiscard]] uint64_t end() const { return first + count; }
  bool operator==(const Run&) const = default;
};

// A page of the pool, by its number: slot s lies s × 4096 bytes from the pool's beginning.
using Slot = uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;
inline constexpr Slot kZeroPage = UINT32_MAX - 1;  // no slot: a frame of zeros, which is dropped rather than shared

// What a frame could be merged with, if it still has that content.
struct Proposal {
  uint64_t frame = 0;
  Slot slot = kNoSlot;
  bool operator==(const Proposal&) const = default;
};

}  // namespace ksm
