// Starting the other processors.
#pragma once

#include "guest/kernel/firmware_tables.h"

namespace twofold::kernel::smp {

// Enters all processors of `platform` into the table of cpus; the calling one is number 0.
void find_processors(const Platform& platform);

// Starts all others; one that does not come up within 100 ms is reported and done without. Returns how many run.
// REQUIRES: timer::calibrate; the big kernel lock held (they wait for it)
uint32_t start_processors();

}  // namespace twofold::kernel::smp
