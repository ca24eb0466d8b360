#include "guest/kernel/interrupts.h"

#include <stdint.h>

#include "guest/abi/abi.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/x86.h"

extern "C" const char trap_vectors[];

namespace twofold::kernel::interrupts {
namespace {

constexpr uint32_t kStubSize = 16;  // vectors.S

// SDM vol. 3, 6.11.
struct Gate {
  uint16_t offset_low;
  uint16_t selector;
  uint16_t flags;
  uint16_t offset_high;
};
static_assert(sizeof(Gate) == 8);
constexpr uint16_t kInterruptGate = 0x8e00;
constexpr uint16_t kUserMayCall = 0x6000;

struct [[gnu::packed]] DescriptorTable {
  uint16_t limit;
  uint32_t base;
};

constinit Gate table[256]{};

}  // namespace

void init() {
  for (uint32_t vector = 0; vector < 256; ++vector) {
    const uint32_t stub = reinterpret_cast<uint32_t>(trap_vectors) + vector * kStubSize;
    table[vector] = {static_cast<uint16_t>(stub), kKernelCode, kInterruptGate, static_cast<uint16_t>(stub >> 16)};
  }
  table[guest_abi::kSyscallVector].flags |= kUserMayCall;
}

void load() {
  const DescriptorTable descriptor{sizeof(table) - 1, reinterpret_cast<uint32_t>(table)};
  asm volatile("lidt %0" : : "m"(descriptor) : "memory");
}

void disable_pics() {
  constexpr uint16_t kMaster = 0x20;
  constexpr uint16_t kSlave = 0xa0;
  constexpr uint8_t kMasterVector = 0xe0;  // unused by anything else; ignored by trap()
  constexpr uint8_t kSlaveVector = 0xe8;
  // ICW1: edge, cascaded, ICW4 follows; ICW2: vector; ICW3: cascade on line 2; ICW4: 8086 mode.
  x86::out8(kMaster, 0x11);
  x86::out8(kSlave, 0x11);
  x86::out8(kMaster + 1, kMasterVector);
  x86::out8(kSlave + 1, kSlaveVector);
  x86::out8(kMaster + 1, 1 << 2);
  x86::out8(kSlave + 1, 2);
  x86::out8(kMaster + 1, 1);
  x86::out8(kSlave + 1, 1);
  x86::out8(kMaster + 1, 0xff);
  x86::out8(kSlave + 1, 0xff);
}

}  // namespace twofold::kernel::interrupts
