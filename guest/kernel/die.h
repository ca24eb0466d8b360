// Ways for the kernel to die on request, for tests of its own guards and of the machine underneath:
// the option die=panic | fault | twice-freed | stack | triple-fault | hang.
#pragma once

namespace twofold::kernel {

// Dies as the command line says; returns if it says nothing. An unknown way is a panic too.
void die_if_told();

}  // namespace twofold::kernel
