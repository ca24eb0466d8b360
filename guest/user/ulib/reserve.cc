#include "guest/user/ulib/reserve.h"

#include "guest/user/ulib/print.h"
#include "guest/user/ulib/syscall.h"

namespace ulib {

uint8_t* reserve_or_die(const char* program, uint32_t pages) {
  constexpr uint32_t kPageSize = guest_abi::kPageSize;
  const uint32_t current = static_cast<uint32_t>(sbrk(0));
  const uint32_t gap = (kPageSize - current % kPageSize) % kPageSize;
  const int32_t result = sbrk(static_cast<int32_t>(gap + pages * kPageSize));
  if (result < 0) die("%s: cannot reserve %u MiB: %s", program, pages / kPagesPerMib, error_text(result));
  return reinterpret_cast<uint8_t*>(static_cast<uint32_t>(result) + gap);
}

}  // namespace ulib
