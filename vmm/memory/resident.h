// How much of a guest's RAM the host holds, and how.
#pragma once

#include <cstdint>

#include "vmm/memory/guest_memory.h"

namespace twofold {

struct ResidentMemory {
  uint64_t resident_bytes = 0;  // present in the host's page table for the guest's RAM
  uint64_t huge_bytes = 0;      // of those, in huge pages
  uint64_t swapped_bytes = 0;   // in the host's swap
};

// By the kernel's word for the mapping of guest RAM (mincore would count the swap cache, too). Zeros where /proc does
// not tell. Walks /proc/self/smaps: milliseconds, not for hot paths. Safe in any thread.
[[nodiscard]] ResidentMemory resident_memory(const GuestMemory& memory);

}  // namespace twofold
