// What the loader tells the kernel, copied out of its memory before anything is allocated.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel {

struct RamRange {
  uint64_t start;  // guest-physical, bytes
  uint64_t end;    // exclusive
};

struct BootInfo {
  static constexpr uint32_t kMaxRanges = 32;

  RamRange ram[kMaxRanges];  // as the loader lists them; may overlap
  uint32_t ram_count;
  uint64_t initrd_start;  // 0 and 0 if there is none
  uint64_t initrd_end;
  uint64_t rsdp;  // ACPI's root pointer; 0 if the loader names none

  [[nodiscard]] uint64_t ram_bytes() const {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ram_count; ++i) sum += ram[i].end - ram[i].start;
    return sum;
  }
};

extern BootInfo boot_info;

// Reads the PVH start info (Xen's public/arch-x86/hvm/start_info.h) at `address`, and hands the command line to
// cmdline::init. Panics if it is not one or lists no RAM. REQUIRES: paging::init_window
void read_start_info(PhysAddr address);

}  // namespace twofold::kernel
