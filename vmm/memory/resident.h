// How much of a guest's RAM the host holds in memory.
#pragma once

#include <cstdint>

#include "vmm/memory/guest_memory.h"

namespace twofold {

// Bytes of guest RAM that are present in the host's page table for it, by the kernel's word (mincore would count the
// swap cache, too). 0 where /proc does not tell. Walks /proc/self/smaps: milliseconds, not for hot paths. Safe in any
// thread.
[[nodiscard]] uint64_t resident_bytes(const GuestMemory& memory);

}  // namespace twofold
