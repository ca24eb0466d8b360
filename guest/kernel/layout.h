// Where everything lies in virtual memory.
//
//   0xffffffff ┌──────────────────────────────┐
//              │ device window (4 MiB)        │  map_device(), one scratch page for phys_copy()
//   0xffc00000 ├──────────────────────────────┤  kDeviceWindow
//              │ direct map of RAM, as far as │  va = kKernBase + pa, global; in 4 KiB pages, or in
//              │ there is RAM (≤ 2044 MiB)    │  4 MiB pages with pse=on (then text is writable)
//              ├ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┤
//              │ data, bss            (RW)    │
//              │ text, constants      (RO)    │
//   0x80100000 ├ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┤  kernel image, loaded at 0x00100000
//              │ low memory, firmware tables  │
//   0x80000000 ╞══════════════════════════════╡  kKernBase = kUserTop; above: no user flag
//              │ user stack (grows down)      │  ≤ 1 MiB, page by page as it is touched
//   0x7ff00000 ├──────────────────────────────┤  kStackBottom
//              │ (unmapped)                   │
//              ├──────────────────────────────┤  the break
//              │ heap (sbrk), demand-zero     │
//              ├──────────────────────────────┤  page after the last segment
//              │ data, bss                    │
//              │ text, constants              │  from the ELF file
//   0x00001000 ├──────────────────────────────┤  kUserTextBase
//              │ never mapped: null pointers  │
//   0x00000000 └──────────────────────────────┘
//
// Every process has a page directory of its own. Its upper half is a copy of the kernel's, made when the process
// starts: kernel PDEs never change after boot, so the copies stay true.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "guest/abi/abi.h"

namespace twofold::kernel {

using guest_abi::kKernBase;
using guest_abi::kPageSize;
using guest_abi::kUserTextBase;
using guest_abi::kUserTop;

using PhysAddr = uint32_t;  // guest-physical address, bytes
using UserAddr = uint32_t;  // virtual address in the user half, not yet trusted

constexpr uint32_t kPageShift = 12;
constexpr uint32_t kLargePageSize = 4u << 20;
constexpr uint32_t kDeviceWindow = 0xffc00000;
constexpr uint32_t kDirectMapLimit = kDeviceWindow - kKernBase;  // RAM at or above this address goes unused
constexpr uint32_t kStackBottom = kUserTop - guest_abi::kUserStackMax;
constexpr uint32_t kLowMemoryEnd = 0x100000;     // below: firmware's; never allocated
constexpr uint32_t kTrampolineAddress = 0x8000;  // AP start-up code; also in guest/boot/trampoline.S

constexpr uint32_t page_round_down(uint32_t value) {
  return value & ~(kPageSize - 1);
}
// REQUIRES: value <= 0xfffff000
constexpr uint32_t page_round_up(uint32_t value) {
  return page_round_down(value + kPageSize - 1);
}

// The direct map, both ways. REQUIRES: RAM below kDirectMapLimit.
inline uint8_t* to_virtual(PhysAddr address) {
  return reinterpret_cast<uint8_t*>(address + kKernBase);
}
inline PhysAddr to_physical(const void* pointer) {
  return reinterpret_cast<uint32_t>(pointer) - kKernBase;
}

// From the linker script.
extern "C" const char kernel_start[];
extern "C" const char kernel_data_start[];
extern "C" const char kernel_end[];

}  // namespace twofold::kernel
