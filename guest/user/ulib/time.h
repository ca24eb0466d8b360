// Time: the kernel counts timer ticks; programs think in seconds.
#pragma once

#include <stdint.h>

#include "guest/user/ulib/syscall.h"

namespace ulib {

constexpr uint32_t kMaxHundredths = 24 * 3600 * 100;  // a day: times any sane tick rate it fits 32 bits

inline uint32_t ticks_per_second() {
  guest_abi::MemStat stat = {};
  memstat(&stat, sizeof(stat));
  return stat.ticks_per_second != 0 ? stat.ticks_per_second : 100;
}

// Sleeps for at least that long, rounded up to whole ticks.
inline void sleep_hundredths(uint32_t hundredths) {
  const uint32_t rate = ticks_per_second();
  // Seconds and the rest apart, so that the products stay within 32 bits.
  sleep_ticks(hundredths / 100 * rate + (hundredths % 100 * rate + 99) / 100);
}

}  // namespace ulib
