#include "balloon-driver/pfn_batch.h"

namespace balloon {

bool PfnBatch::add(uint32_t pfn) {
  if (full()) return false;
  uint8_t* to = bytes_ + bytes();
  for (size_t i = 0; i < sizeof pfn; ++i) to[i] = static_cast<uint8_t>(pfn >> (8 * i));
  ++count_;
  return true;
}

}  // namespace balloon
