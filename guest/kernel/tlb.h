// Translations that must be forgotten, by whichever processor may still hold them.
//
// A processor holds translations of a process only while it runs it, and uses them only in user mode: the kernel
// reaches user memory through the direct map. So a flush is asked only of those that run a marked process, and
// one that is on its way into the kernel answers while it waits for the lock, or when it has it (cpu.h).
//
// Thread safety: the big kernel lock, but for serve(), which is every processor's own.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel {

struct Cpu;
struct Process;

namespace tlb {

// `process`'s translation of `address` has changed: forgotten here at once, elsewhere by the next flush().
void mark(const Process& process, UserAddr address);

// The same, but elsewhere it need only be forgotten soon: at that processor's next way into the kernel. For flags that
// it sets anew only when it walks the tables again.
void mark_lazily(const Process& process, UserAddr address);

// Returns when no processor holds a translation that mark() has named.
void flush();

// Does what another processor's flush() asks of this one. Called with interrupts off, with or without the lock.
void serve(Cpu& cpu);

}  // namespace tlb
}  // namespace twofold::kernel
