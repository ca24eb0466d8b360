#include "guest/kernel/lapic.h"

#include "guest/kernel/paging.h"
#include "guest/kernel/print.h"
#include "guest/kernel/trap.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel::lapic {
namespace {

// Offsets in bytes.
constexpr uint32_t kId = 0x20;
constexpr uint32_t kTaskPriority = 0x80;
constexpr uint32_t kEoi = 0xb0;
constexpr uint32_t kSpurious = 0xf0;
constexpr uint32_t kIcrLow = 0x300;
constexpr uint32_t kIcrHigh = 0x310;
constexpr uint32_t kLvtTimer = 0x320;
constexpr uint32_t kLvtLint0 = 0x350;
constexpr uint32_t kLvtLint1 = 0x360;
constexpr uint32_t kLvtError = 0x370;
constexpr uint32_t kInitialCount = 0x380;
constexpr uint32_t kCurrentCount = 0x390;
constexpr uint32_t kDivide = 0x3e0;

constexpr uint32_t kSoftwareEnable = 1u << 8;
constexpr uint32_t kMasked = 1u << 16;
constexpr uint32_t kPeriodic = 1u << 17;
constexpr uint32_t kDivideBy16 = 0x3;
constexpr uint32_t kIcrInit = 0x500;
constexpr uint32_t kIcrStartup = 0x600;
constexpr uint32_t kIcrPending = 1u << 12;
constexpr uint32_t kIcrAssert = 1u << 14;
constexpr uint32_t kMaxPolls = 100000;

volatile uint8_t* registers = nullptr;

uint32_t read(uint32_t offset) {
  return *reinterpret_cast<volatile uint32_t*>(registers + offset);
}
void write(uint32_t offset, uint32_t value) {
  *reinterpret_cast<volatile uint32_t*>(registers + offset) = value;
}

void send(uint32_t apic_id, uint32_t command) {
  write(kIcrHigh, apic_id << 24);
  write(kIcrLow, command | kIcrAssert);
  for (uint32_t i = 0; i < kMaxPolls && (read(kIcrLow) & kIcrPending) != 0; ++i) x86::pause();
}

}  // namespace

void map(PhysAddr address) {
  const uint32_t features = x86::cpuid(1).edx;
  if ((features & x86::kCpuidApic) == 0) PANIC("the processor has no local APIC, which the timer needs");
  registers = paging::map_device(address, kPageSize);
}

void init() {
  write(kSpurious, kSoftwareEnable | kVectorSpurious);
  write(kLvtTimer, kMasked);
  write(kLvtLint0, kMasked);
  write(kLvtLint1, kMasked);
  write(kLvtError, kMasked);
  write(kDivide, kDivideBy16);
  write(kTaskPriority, 0);
}

uint32_t id() {
  return read(kId) >> 24;
}
void end_of_interrupt() {
  write(kEoi, 0);
}

void start_counting() {
  write(kLvtTimer, kMasked);
  write(kInitialCount, kMaxCount);
}

uint32_t current_count() {
  return read(kCurrentCount);
}

void start_periodic(uint32_t count) {
  write(kLvtTimer, kPeriodic | kVectorTimer);
  write(kInitialCount, count);
}

void send_interrupt(uint32_t apic_id, uint32_t vector) {
  send(apic_id, vector);
}
void send_init(uint32_t apic_id) {
  send(apic_id, kIcrInit);
}
void send_startup(uint32_t apic_id, PhysAddr code) {
  send(apic_id, kIcrStartup | code >> kPageShift);
}

}  // namespace twofold::kernel::lapic
