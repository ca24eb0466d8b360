// The end of memory and swap: somebody has to go.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

namespace twofold::kernel::oom {

// Kills the process that has the most pages, resident, swapped out and page tables, and says so. Spared are the first
// process, the shells that it has started, and the kernel's own threads. False if there is nobody to kill.
bool kill_largest();

// Whether a process has been killed that still has its memory.
bool is_somebody_dying();

// Processes killed since boot.
uint32_t kills();

}  // namespace twofold::kernel::oom
