// The table of processes that the hypervisor may read; abi.h, InspectTable.
#pragma once

namespace twofold::kernel {

struct Process;

namespace inspect {

// Enters a process, or what has changed of it: page directory, name.
void update(const Process& process);

// Takes a process out, before its page directory goes.
void remove(const Process& process);

}  // namespace inspect
}  // namespace twofold::kernel
