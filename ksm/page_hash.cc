#include "ksm/page_hash.h"

#include <xxhash.h>

#include <cstring>

namespace ksm {

uint64_t page_hash(Page page, uint64_t key) {
  return XXH3_64bits_withSeed(page.data(), page.size(), key);
}

bool is_zero_page(Page page) {
  // A page whose first byte is zero and whose every byte equals the one before it is zero throughout; memcmp is
  // vectorised.
  return page[0] == std::byte{0} && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

}  // namespace ksm
