// As much of ACPI (6.5, chapter 5.2) as it takes to find the MADT's processors and interrupts.
#pragma once

namespace twofold::kernel {

struct Platform;

// Fills in what the MADT says. Returns false if there is none.
bool read_acpi_tables(Platform* platform);

}  // namespace twofold::kernel
