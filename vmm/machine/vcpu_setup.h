// What a vCPU looks like before its first instruction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vmm/kvm/kvm.h"

namespace twofold {

// The state both PVH (Xen's docs/misc/pvh.pandoc, "x86/HVM direct boot ABI") and Multiboot 1 (§3.2) ask for: 32-bit
// protected mode, paging off, flat segments, interrupts off.
struct EntryState {
  uint32_t eip = 0;
  uint32_t eax = 0;
  uint32_t ebx = 0;
};

// Puts `vcpu` at the kernel's entry. For the boot CPU alone: the others wait for INIT and SIPI inside KVM.
[[nodiscard]] Status set_entry_state(const Vcpu& vcpu, const EntryState& entry);

// Shows vCPU `id` of `cpus` the host's `supported` CPUID with its own APIC id and the machine's topology (one socket,
// one thread a core).
[[nodiscard]] Status set_cpu_identity(const Vcpu& vcpu, std::vector<kvm_cpuid_entry2> supported, uint32_t id,
                                      uint32_t cpus);

// Virtual wire mode, as a BIOS leaves it (MP 1.4 §3.6.2.2): LINT0 takes the 8259's interrupts, LINT1 is NMI. For the
// boot CPU.
[[nodiscard]] Status set_virtual_wire(const Vcpu& vcpu);

}  // namespace twofold
