// The local APIC: this processor's timer, and interrupts between processors. SDM vol. 3, chapter 11.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel::lapic {

// Maps the registers. Called once.
void map(PhysAddr address);

// Switches this processor's on, all local interrupts masked.
void init();

uint32_t id();
void end_of_interrupt();

// Starts the timer counting down once from its maximum, without an interrupt; and what it has come down to.
void start_counting();
uint32_t current_count();
constexpr uint32_t kMaxCount = 0xffffffff;

// From now on interrupts with kVectorTimer each time `count` has run down.
void start_periodic(uint32_t count);

void send_interrupt(uint32_t apic_id, uint32_t vector);

// The two steps of starting a processor. SDM vol. 3, 9.4.4.
void send_init(uint32_t apic_id);
void send_startup(uint32_t apic_id, PhysAddr code);

}  // namespace twofold::kernel::lapic
