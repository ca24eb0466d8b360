#include "vmm/devices/debug_exit.h"

#include <algorithm>
#include <cstring>

namespace twofold {

void DebugExit::read(uint64_t /*offset*/, std::span<std::byte> data) {
  std::ranges::fill(data, std::byte{0});
}

void DebugExit::write(uint64_t offset, std::span<const std::byte> data) {
  if (offset != 0 || written_.exchange(true)) return;
  uint32_t value = 0;
  std::memcpy(&value, data.data(), std::min(data.size(), sizeof value));
  on_exit_(value);
}

}  // namespace twofold
