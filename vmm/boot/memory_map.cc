#include "vmm/boot/memory_map.h"

#include <algorithm>

#include "vmm/memory/layout.h"

namespace twofold {

std::vector<MemoryMapEntry> memory_map(const GuestMemory& memory) {
  // What the RAM ranges are cut with. The first lies over RAM that the guest must leave alone; the second in the hole.
  const MemoryMapEntry below_1m{Gpa{layout::kEbda}, layout::kHighMemory - layout::kEbda, MemoryType::kReserved};
  const MemoryMapEntry kvm_pages{Gpa{layout::kKvmIdentityMap}, layout::kKvmPagesBytes, MemoryType::kReserved};

  std::vector<MemoryMapEntry> map;
  const auto add_ram = [&map](uint64_t base, uint64_t end) {
    if (base < end) map.push_back({Gpa{base}, end - base, MemoryType::kRam});
  };
  for (const RamRange& ram : memory.ranges()) {
    const uint64_t base = ram.base.value;
    const uint64_t end = ram.end().value;
    add_ram(base, std::min(end, below_1m.base.value));
    add_ram(std::max(base, below_1m.base.value + below_1m.bytes), end);
  }
  map.push_back(below_1m);
  map.push_back(kvm_pages);
  std::sort(map.begin(), map.end(), [](const auto& a, const auto& b) { return a.base < b.base; });
  return map;
}

}  // namespace twofold
