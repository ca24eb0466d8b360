#include "guest/kernel/timer.h"

#include "guest/kernel/lapic.h"
#include "guest/kernel/string.h"
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
constexpr uint16_t kMeasuredPitCounts = kPitHz / 1000;  // 1 ms
constexpr uint32_t kMaxPolls = 10000;
constexpr uint32_t kMaxMeasurements = 8;
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

// LAPIC counts in a tick, from one measurement; 0 if the PIT does not count.
uint32_t measure() {
  const uint16_t pit_start = read_pit();
  const uint32_t lapic_start = lapic::current_count();
  uint16_t pit_counts = 0;
  for (uint32_t i = 0; i < kMaxPolls && pit_counts < kMeasuredPitCounts; ++i) {
    pit_counts = static_cast<uint16_t>(pit_start - read_pit());
  }
  const uint32_t lapic_counts = lapic_start - lapic::current_count();
  if (pit_counts < kMeasuredPitCounts) return 0;
  return x86::multiply_divide(lapic_counts, kPitHz / kTicksPerSecond, pit_counts);
}

// Within an eighth of each other.
bool agree(uint32_t left, uint32_t right) {
  return max(left, right) - min(left, right) <= max(left, right) / 8;
}

}  // namespace

bool calibrate() {
  set_pit(kRateGenerator, 0);  // counts down from 65536, over and over
  lapic::start_counting();
  // A virtual processor may be held up between reading one clock and reading the other, and nothing tells it. So
  // two measurements in a row must agree.
  uint32_t previous = 0;
  uint32_t latest = measure();
  for (uint32_t i = 1; i < kMaxMeasurements && latest != 0 && !agree(previous, latest); ++i) {
    previous = latest;
    latest = measure();
  }
  set_pit(kOneShot, 0);  // else a hypervisor's timer goes on for an interrupt that nobody wants
  if (latest == 0) return false;
  counts_per_tick = latest;
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
