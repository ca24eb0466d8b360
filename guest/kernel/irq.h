// Device interrupts: who handles which line. Lines 0 to 15 are ISA's, the others the I/O APIC's pins of that number.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/kernel/firmware_tables.h"

namespace twofold::kernel::irq {

constexpr uint32_t kLines = 24;

using Handler = void (*)(void* context);

// Has `handler` called, under the big kernel lock, when the line interrupts, and opens the line, to the boot processor.
// False if there is no such line, or somebody has it already.
[[nodiscard]] bool install(const Platform& platform, uint32_t line, Handler handler, void* context);

// Handles the interrupt of a line, end-of-interrupt included.
void handle(uint32_t line);

}  // namespace twofold::kernel::irq
