// What a page's content is called when two pages are looked for that might be equal.
//
// A hash only ever proposes: pages are merged after all of their bytes were compared. Even so the hash is keyed, with a
// key that is random per share domain, so that no guest can aim collisions at the index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ksm {

inline constexpr size_t kPageBytes = 4096;
using Page = std::span<const std::byte, kPageBytes>;

// XXH3, 64 bits, seeded with `key`. Pure; safe in any thread. A page that is being written meanwhile yields the hash of
// some mixture of its contents, which later comparison throws out.
[[nodiscard]] uint64_t page_hash(Page page, uint64_t key);

// Whether every byte is zero. Zero pages are dropped, not merged. Looks no further than the first byte that is not.
[[nodiscard]] bool is_zero_page(Page page);

}  // namespace ksm
