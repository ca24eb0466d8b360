// The end of memory and swap: somebody has to go.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

namespace twofold::kernel::oom {

// Kills the process with the most resident pages, and says so. The kernel's own threads and the first process are
// spared. False if there is nobody to kill.
bool kill_largest();

// Whether a process has been killed that still has its memory.
bool is_somebody_dying();

// Processes killed since boot.
uint32_t kills();

}  // namespace twofold::kernel::oom
