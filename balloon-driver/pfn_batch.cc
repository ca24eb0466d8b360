#include "balloon-driver/pfn_batch.h"

namespace balloon {

bool PfnBatch::add(uint32_t pfn) {
  if (full()) return false;
  uint8_t* to = bytes_ + bytes();
  for (size_t i = 0; i < sizeof pfn; ++i) to[i] = static_cast<uint8_t>(pfn >> (8 * i));
  ++count_;
  return true;
}

uint32_t PfnBatch::at(size_t index) const {
  const uint8_t* from = bytes_ + index * sizeof(uint32_t);
  uint32_t pfn = 0;
  for (size_t i = 0; i < sizeof pfn; ++i) pfn |= static_cast<uint32_t>(from[i]) << (8 * i);
  return pfn;
}

}  // namespace balloon
