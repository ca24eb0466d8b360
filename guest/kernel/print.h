// Kernel messages on the console, and the end of the kernel.
#pragma once

#include <stdint.h>

namespace twofold::kernel {

struct TrapFrame;

// Formats like printf: %d %u %x %c %s %% with an optional '0' flag and width, and no length modifiers.
void kprintf(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Prints one line "kernel panic: …", then the registers of `frame` (the trap that could not be handled; null if
// none), and ends the machine with guest_abi::kVerdictPanic. Safe at any time after the UART is set up.
[[noreturn]] void panic_at(const TrapFrame* frame, const char* format, ...) __attribute__((format(printf, 2, 3)));

#define PANIC(...) ::twofold::kernel::panic_at(nullptr, __VA_ARGS__)

// Ends the machine: writes `value` to the debug-exit port; where there is none, says so and halts for good.
[[noreturn]] void power_off(uint32_t value);

}  // namespace twofold::kernel
