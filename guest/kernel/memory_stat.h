// What the kernel tells of its memory, and whether its accounts of it add up.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"

namespace twofold::kernel {

guest_abi::MemStat memory_stat();

// Counts what is wrong: a page whose references are not the PTEs that map it, a slot whose users are not the PTEs that
// name it, a page that nobody needs, a process's sums. A page of a program that exec is building counts, too: its
// tables are not to be found yet. Takes time in proportion to memory, and does not let anybody in.
uint32_t audit_memory();

}  // namespace twofold::kernel
