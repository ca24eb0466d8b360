// Numbers as people and clients write them.
#pragma once

#include <cstdint>
#include <string_view>

#include "vmm/base/result.h"

namespace twofold {

// A whole number, decimal or with "0x" hexadecimal, at most `most`. No sign, no spaces, nothing after it.
[[nodiscard]] Result<uint64_t> parse_number(std::string_view text, uint64_t most = UINT64_MAX);

}  // namespace twofold
