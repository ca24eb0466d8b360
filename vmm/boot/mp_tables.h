// Intel MultiProcessor Specification 1.4 tables: how a guest without ACPI learns of its CPUs and its I/O APIC.
#pragma once

#include <cstdint>
#include <vector>

#include "vmm/base/result.h"
#include "vmm/memory/guest_memory.h"

namespace twofold {

// The I/O APIC's id, as KVM's register reads out of reset. It equals CPU 0's, which xAPIC systems permit: ids there
// have no meaning on a bus that no longer exists.
inline constexpr uint8_t kIoApicId = 0;

// The EBDA's content: its size byte, the floating pointer 16 bytes in, the configuration table behind it.
// `cpus` is 1 to layout::kMaxCpus. Pure; local APIC ids are 0..cpus-1, 0 the bootstrap processor's.
std::vector<std::byte> make_mp_tables(uint32_t cpus);

// Writes the tables into the EBDA, and the two words of the BIOS data area by which guests find it.
// Errors: cpus out of range, or RAM that ends below 1 MiB.
Status write_mp_tables(const GuestMemory& memory, uint32_t cpus);

}  // namespace twofold
