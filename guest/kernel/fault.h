// Exceptions: what programs do wrong, and what the page-fault handler mends.
#pragma once

#include "guest/kernel/trap.h"

namespace twofold::kernel {

// Handles vectors 0 to 31. A page fault that demand paging or copy-on-write can serve is served. Otherwise a program
// is marked killed, with one line on the console that says why; in the kernel it is a panic.
void handle_exception(TrapFrame& frame);

}  // namespace twofold::kernel
