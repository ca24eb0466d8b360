// ELF32 executables, as far as programs of this system need them.
#pragma once

#include <stdint.h>

#include "guest/kernel/address_space.h"

namespace twofold::kernel {

// Loads the program at `image` into the empty `space`. Trusts no field. Returns 0 and the entry point, or -kENoexec
// or -kENomem; then `space` holds whatever was loaded until then.
int32_t load_elf(AddressSpace& space, const uint8_t* image, uint32_t size, UserAddr* entry);

}  // namespace twofold::kernel
