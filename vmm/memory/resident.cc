#include "vmm/memory/resident.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "vmm/base/size.h"

namespace twofold {

ResidentMemory resident_memory(const GuestMemory& memory) {
  const auto begin = reinterpret_cast<uint64_t>(memory.hva_base());
  const uint64_t end = begin + memory.bytes();
  std::ifstream smaps("/proc/self/smaps");
  ResidentMemory sum;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long from = 0;
    unsigned long long to = 0;
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &from, &to) == 2) {
      inside = from >= begin && to <= end;
    } else if (!inside) {
      continue;
    } else if (std::sscanf(line.c_str(), "Rss: %llu kB", &kib) == 1) {
      sum.resident_bytes += kib * KiB;
    } else if (std::sscanf(line.c_str(), "AnonHugePages: %llu kB", &kib) == 1) {
      sum.huge_bytes += kib * KiB;
    } else if (std::sscanf(line.c_str(), "Swap: %llu kB", &kib) == 1) {
      sum.swapped_bytes += kib * KiB;
    }
  }
  return sum;
}

}  // namespace twofold
