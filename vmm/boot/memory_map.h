// The map of guest memory that the guest is told: an E820-style list, the same for PVH and Multiboot.
#pragma once

#include <cstdint>
#include <vector>

#include "vmm/memory/guest_memory.h"

namespace twofold {

// ACPI 6.4 §15, table 15.6; PVH's XEN_HVM_MEMMAP_TYPE_* and Multiboot's types have the same values.
enum class MemoryType : uint32_t { kRam = 1, kReserved = 2 };

struct MemoryMapEntry {
  Gpa base;
  uint64_t bytes = 0;
  MemoryType type = MemoryType::kRam;
  bool operator==(const MemoryMapEntry&) const = default;
};

// Ascending, disjoint, no empty entries: base RAM, the EBDA and what a PC reserves below 1 MiB, RAM up to the hole,
// KVM's own pages at the hole's end, RAM beyond it. What is in no entry is free for MMIO.
std::vector<MemoryMapEntry> memory_map(const GuestMemory& memory);

}  // namespace twofold
