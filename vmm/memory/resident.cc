#include "vmm/memory/resident.h"

#include <cstdio>
#include <fstream>
#include <string>

#include "vmm/base/size.h"

namespace twofold {

uint64_t resident_bytes(const GuestMemory& memory) {
  const auto begin = reinterpret_cast<uint64_t>(memory.hva_base());
  const uint64_t end = begin + memory.bytes();
  std::ifstream smaps("/proc/self/smaps");
  uint64_t total = 0;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long long from = 0;
    unsigned long long to = 0;
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &from, &to) == 2) {
      inside = from >= begin && to <= end;
    } else if (inside && std::sscanf(line.c_str(), "Rss: %llu kB", &kib) == 1) {
      total += kib * KiB;
    }
  }
  return total;
}

}  // namespace twofold
