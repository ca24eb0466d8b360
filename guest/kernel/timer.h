// The clock: each processor's LAPIC timer, at a rate measured against the PIT.
#pragma once

#include <stdint.h>

namespace twofold::kernel::timer {

constexpr uint32_t kTicksPerSecond = 100;

// Measures the LAPIC timer for about 2 ms, longer if the measurements disagree. Without a PIT that counts, assumes 1
// GHz (what KVM and QEMU have) and returns false. Called once; REQUIRES: lapic::init
bool calibrate();

// Starts this processor's ticks.
void start();

// LAPIC timer counts in a second, divided by 1000.
uint32_t counts_per_millisecond();

// Waits about that long, by the LAPIC timer; for use before start().
void delay_microseconds(uint32_t microseconds);

}  // namespace twofold::kernel::timer
