// The interrupt descriptor table: one for all processors.
#pragma once

namespace twofold::kernel::interrupts {

// Fills the table: all vectors are interrupt gates into vectors.S; only the system call is open to user mode.
void init();

// Makes this processor use it.
void load();

// Masks both 8259s for good, after moving them off the exceptions' vectors: the I/O APIC does their work, and a
// spurious interrupt of theirs must still be told apart.
void disable_pics();

}  // namespace twofold::kernel::interrupts
