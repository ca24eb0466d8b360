// Replacing a process's program.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel {

struct Process;

// The system call, on the current process. Returns 0, after which user_frame() is the new program's start, or a
// negated Errno with nothing changed.
int32_t exec_process(UserAddr path_address, UserAddr argv_address);

// Gives a new process its first program, with the path as its only argument. Returns 0 or a negated Errno.
int32_t exec_first(Process& process, const char* path);

}  // namespace twofold::kernel
