// Which processors and interrupt lines there are: by ACPI's MADT if there is one, else by the Intel MP tables, else
// the addresses and lines that every PC has.
#pragma once

#include <stdint.h>

#include "guest/kernel/cpu.h"
#include "guest/kernel/layout.h"

namespace twofold::kernel {

struct IsaInterrupt {
  uint32_t pin;  // of the I/O APIC
  bool active_low;
  bool level;
};

struct Platform {
  static constexpr uint32_t kIsaInterrupts = 16;

  const char* source;  // "MP tables", "ACPI" or "defaults"
  PhysAddr lapic;
  PhysAddr ioapic;
  uint32_t cpu_count;  // enabled processors, at most kMaxCpus; at least 1
  uint32_t apic_ids[kMaxCpus];
  IsaInterrupt isa[kIsaInterrupts];
};

// Reads the tables. REQUIRES: read_start_info (for ACPI's root pointer)
Platform read_firmware_tables();

}  // namespace twofold::kernel
