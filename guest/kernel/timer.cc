#include "guest/kernel/timer.h"

#include "guest/kernel/lapic.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel::timer {
namespace {

// 8254 data sheet. Channel 0 is used because its gate is always open: channel 2's hangs on port 0x61, which QEMU's
// microvm does not have. Its interrupt goes nowhere, all lines to it being masked.
constexpr uint16_t kPitChannel0 = 0x40;
constexpr uint16_t kPitControl = 0x43;
constexpr uint8_t kRateGenerator = 0x34;  // channel 0, low then high byte, mode 2
constexpr uint8_t kOneShot = 0x30;        // channel 0, low then high byte, mode 0
constexpr uint8_t kLatch = 0x00;          // channel 0
constexpr uint32_t kPitHz = 1193182;
constexpr uint16_t kMeasuredPitCounts = kPitHz / 500;  // 2 ms
constexpr uint32_t kMaxPolls = 20000;
constexpr uint32_t kAssumedCountsPerTick = 1000000000 / 16 / kTicksPerSecond;

uint32_t counts_per_tick = kAssumedCountsPerTick;

void set_pit(uint8_t mode, uint16_t count) {
  x86::out8(kPitControl, mode);
  x86::out8(kPitChannel0, static_cast<uint8_t>(count));
  x86::out8(kPitChannel0, static_cast<uint8_t>(count >> 8));
}

uint16_t read_pit() {
  x86::out8(kPitControl, kLatch);
  const uint8_t low = x86::in8(kPitChannel0);
  return static_cast<uint16_t>(low | x86::in8(kPitChannel0) << 8);
}

}  // namespace

bool calibrate() {
  set_pit(kRateGenerator, 0);  // counts down from 65536, over and over
  lapic::start_counting();
  const uint16_t pit_start = read_pit();
  const uint32_t lapic_start = lapic::current_count();
  uint16_t pit_counts = 0;
  for (uint32_t i = 0; i < kMaxPolls && pit_counts < kMeasuredPitCounts; ++i) {
    pit_counts = static_cast<uint16_t>(pit_start - read_pit());
  }
  const uint32_t lapic_counts = lapic_start - lapic::current_count();
  set_pit(kOneShot, 0);  // else a hypervisor's timer goes on for an interrupt that nobody wants
  if (pit_counts < kMeasuredPitCounts || lapic_counts == 0) return false;
  counts_per_tick = x86::multiply_divide(lapic_counts, kPitHz / kTicksPerSecond, pit_counts);
  if (counts_per_tick == 0) counts_per_tick = 1;
  return true;
}

void start() {
  lapic::start_periodic(counts_per_tick);
}

uint32_t counts_per_millisecond() {
  return counts_per_tick / (1000 / kTicksPerSecond);
}

void delay_microseconds(uint32_t microseconds) {
  lapic::start_counting();
  const uint32_t counts = x86::multiply_divide(counts_per_millisecond(), microseconds, 1000);
  while (lapic::kMaxCount - lapic::current_count() < counts) x86::pause();
}

}  // namespace twofold::kernel::timer
