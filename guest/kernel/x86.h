// The instructions that C++ has no words for, and the bits of the control registers.
#pragma once

#include <stdint.h>

namespace twofold::kernel::x86 {

constexpr uint32_t kCr0Monitor = 1u << 1;
constexpr uint32_t kCr0Emulate = 1u << 2;
constexpr uint32_t kCr0NumericError = 1u << 5;
constexpr uint32_t kCr0WriteProtect = 1u << 16;
constexpr uint32_t kCr4GlobalPages = 1u << 7;
constexpr uint32_t kFlagsReserved = 1u << 1;
constexpr uint32_t kFlagsInterrupt = 1u << 9;
constexpr uint32_t kCpuidApic = 1u << 9;  // leaf 1, EDX
constexpr uint32_t kCpuidPge = 1u << 13;  // leaf 1, EDX

inline void out8(uint16_t port, uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
inline void out32(uint16_t port, uint32_t value) {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

inline uint8_t in8(uint16_t port) {
  uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline uint32_t read_cr0() {
  uint32_t value;
  asm volatile("movl %%cr0, %0" : "=r"(value));
  return value;
}
inline void write_cr0(uint32_t value) {
  asm volatile("movl %0, %%cr0" : : "r"(value) : "memory");
}

inline uint32_t read_cr2() {
  uint32_t value;
  asm volatile("movl %%cr2, %0" : "=r"(value));
  return value;
}

inline uint32_t read_cr3() {
  uint32_t value;
  asm volatile("movl %%cr3, %0" : "=r"(value));
  return value;
}
inline void write_cr3(uint32_t value) {
  asm volatile("movl %0, %%cr3" : : "r"(value) : "memory");
}

inline uint32_t read_cr4() {
  uint32_t value;
  asm volatile("movl %%cr4, %0" : "=r"(value));
  return value;
}
inline void write_cr4(uint32_t value) {
  asm volatile("movl %0, %%cr4" : : "r"(value) : "memory");
}

inline void invalidate_page(uint32_t address) {
  asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

inline void disable_interrupts() {
  asm volatile("cli" : : : "memory");
}

// Lets pending interrupts in for one instruction. STI holds them off until the NOP has run.
inline void open_interrupt_window() {
  asm volatile("sti; nop; cli" : : : "memory");
}

// Sleeps until the next interrupt. No interrupt can slip in between STI and HLT.
inline void wait_for_interrupt() {
  asm volatile("sti; hlt; cli" : : : "memory");
}

[[noreturn]] inline void halt_forever() {
  for (;;) asm volatile("cli; hlt" : : : "memory");
}

inline void pause() {
  asm volatile("pause" : : : "memory");
}

struct Cpuid {
  uint32_t eax, ebx, ecx, edx;
};
inline Cpuid cpuid(uint32_t leaf) {
  Cpuid out;
  asm volatile("cpuid" : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx) : "a"(leaf), "c"(0));
  return out;
}

// a * b / c with a 64-bit intermediate (there is no libgcc to divide 64 bits). The quotient must fit 32 bits.
inline uint32_t multiply_divide(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t quotient;
  uint32_t high;
  asm("mull %3; divl %4" : "=&a"(quotient), "=&d"(high) : "0"(a), "r"(b), "r"(c) : "cc");
  return quotient;
}

}  // namespace twofold::kernel::x86
