// ELF32 executables, as far as programs of this system need them.
#pragma once

#include <stdint.h>

#include "guest/kernel/address_space.h"

namespace twofold::kernel {

// Declares the program at `image`, which must stay there, to the empty `space`; its pages come at their first touch.
// Trusts no field. Returns 0 and the entry point, or -kENoexec.
int32_t load_elf(AddressSpace& space, const uint8_t* image, uint32_t size, UserAddr* entry);

}  // namespace twofold::kernel
