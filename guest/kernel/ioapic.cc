#include "guest/kernel/ioapic.h"

#include "guest/kernel/paging.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"
#include "guest/kernel/trap.h"

namespace twofold::kernel::ioapic {
namespace {

// 82093AA data sheet, 3.0.
constexpr uint32_t kSelect = 0x00;  // byte offsets
constexpr uint32_t kWindow = 0x10;
constexpr uint32_t kVersion = 0x01;  // indirect registers
constexpr uint32_t kRedirection = 0x10;
constexpr uint32_t kActiveLow = 1u << 13;
constexpr uint32_t kLevel = 1u << 15;
constexpr uint32_t kMasked = 1u << 16;
constexpr uint32_t kMaxPins = 240;

volatile uint8_t* registers = nullptr;
uint32_t pin_count = 0;

void select(uint32_t index) {
  *reinterpret_cast<volatile uint32_t*>(registers + kSelect) = index;
}

uint32_t read(uint32_t index) {
  select(index);
  return *reinterpret_cast<volatile uint32_t*>(registers + kWindow);
}

void write(uint32_t index, uint32_t value) {
  select(index);
  *reinterpret_cast<volatile uint32_t*>(registers + kWindow) = value;
}

}  // namespace

void init(const Platform& platform) {
  registers = paging::map_device(platform.ioapic, kPageSize);
  pin_count = min((read(kVersion) >> 16 & 0xff) + 1, kMaxPins);
  for (uint32_t pin = 0; pin < pin_count; ++pin) write(kRedirection + 2 * pin, kMasked);
}

void route(const Platform& platform, uint32_t irq, uint32_t apic_id) {
  const IsaInterrupt line = irq < Platform::kIsaInterrupts ? platform.isa[irq] : IsaInterrupt{irq, false, false};
  if (line.pin >= pin_count) {
    kprintf("I/O APIC: no pin %u for IRQ %u; it has %u pins\n", line.pin, irq, pin_count);
    return;
  }
  write(kRedirection + 2 * line.pin + 1, apic_id << 24);
  write(kRedirection + 2 * line.pin,
        (kVectorIrqBase + irq) | (line.active_low ? kActiveLow : 0) | (line.level ? kLevel : 0));
}

}  // namespace twofold::kernel::ioapic
