// Whole pages of heap, for programs that look after their memory themselves.
#pragma once

#include <stdint.h>

namespace ulib {

constexpr uint32_t kPagesPerMib = 256;

// Fresh pages, page-aligned, zero and not yet touched; ends the program with a line if there is no room for them.
uint8_t* reserve_or_die(const char* program, uint32_t pages);

}  // namespace ulib
