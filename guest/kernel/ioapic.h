// The I/O APIC: which processor gets a device's interrupt, and as which vector.
#pragma once

#include <stdint.h>

#include "guest/kernel/firmware_tables.h"

namespace twofold::kernel::ioapic {

// Maps the registers and masks all pins.
void init(const Platform& platform);

// Routes an interrupt to one processor as vector kVectorIrqBase + irq: an ISA line where the platform says it is, any
// other to the pin of its number, active-high and edge-triggered.
void route(const Platform& platform, uint32_t irq, uint32_t apic_id);

}  // namespace twofold::kernel::ioapic
