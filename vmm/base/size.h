// Byte counts as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmm/base/result.h"

namespace twofold {

inline constexpr uint64_t KiB = 1024;
inline constexpr uint64_t MiB = 1024 * KiB;
inline constexpr uint64_t GiB = 1024 * MiB;

// Parses a whole number of bytes with an optional suffix K, M, G or T (powers of 1024, either case, "KiB" and "KB"
// taken too). Refuses signs, fractions, spaces, and what does not fit 64 bits.
Result<uint64_t> parse_size(std::string_view text);

// In the largest unit that the number fills: "64 MiB", or with one decimal, "1.5 GiB".
std::string format_size(uint64_t bytes);

}  // namespace twofold
