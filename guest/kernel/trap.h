// What every trap leaves on the kernel stack, and what is done about it.
#pragma once

#include <stdint.h>

namespace twofold::kernel {

// Pushed by vectors.S, last member first.
struct TrapFrame {
  uint32_t gs, fs, es, ds;
  uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
  uint32_t vector, error;
  // By the processor; the last two only on a trap from user mode.
  uint32_t eip, cs, eflags, esp, ss;

  [[nodiscard]] bool from_user() const { return (cs & 3) == 3; }
};
static_assert(sizeof(TrapFrame) == 76);

constexpr uint32_t kVectorPageFault = 14;
constexpr uint32_t kExceptionCount = 32;
constexpr uint32_t kVectorIrqBase = 0x20;  // vector of ISA IRQ 0
constexpr uint32_t kVectorTimer = 0x50;
constexpr uint32_t kVectorReschedule = 0x51;
constexpr uint32_t kVectorFlush = 0x52;
constexpr uint32_t kVectorSpurious = 0xff;

// Two lines of registers on the console.
void print_registers(const TrapFrame& frame);

extern "C" void trap(TrapFrame* frame);  // called by vectors.S only
extern "C" void trap_return();           // never called: a new process's first switch_context returns here

}  // namespace twofold::kernel
