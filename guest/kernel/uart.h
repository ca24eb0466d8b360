// The 16550 UART at 0x3f8, IRQ 4. Output is polled; input comes by interrupt.
//
// Thread safety: the big kernel lock, except that a panic writes without it.
#pragma once

#include <stdint.h>

namespace twofold::kernel::uart {

constexpr uint32_t kIrq = 4;

// 115200 8N1, FIFOs on, interrupts off. Works without any other part of the kernel.
void init();

// Lets received bytes interrupt. REQUIRES: the I/O APIC routes kIrq already (it is edge-triggered: an edge that
// nobody sees is lost for good).
void enable_input();

// Writes bytes, each '\n' as "\r\n". A device that never gets ready does not hold the kernel up for ever.
void write(const char* bytes, uint32_t count);

// Takes one received byte; false if there is none.
bool read(uint8_t* byte);

// Waits (bounded) until the last byte has left the device.
void drain_output();

}  // namespace twofold::kernel::uart
