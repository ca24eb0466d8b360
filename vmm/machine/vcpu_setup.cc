#include "vmm/machine/vcpu_setup.h"

#include <bit>
#include <cstring>

namespace twofold {

namespace {

constexpr uint64_t kCr0Pe = 1U << 0;
constexpr uint64_t kCr0Et = 1U << 4;  // hardwired to one on every CPU since the 486

// A flat 4 GiB segment. `type` and `selector` are as SDM vol. 3 §3.4.5 numbers them; `code` makes it executable.
kvm_segment flat_segment(uint16_t selector, bool code) {
  kvm_segment segment = {};
  segment.limit = 0xffffffff;
  segment.selector = selector;
  segment.type = code ? 0xb : 0x3;  // execute/read or read/write, accessed
  segment.present = 1;
  segment.db = 1;
  segment.s = 1;
  segment.g = 1;
  return segment;
}

// Task state of the kind the PVH ABI asks for: a 32-bit TSS, base 0, limit 0x67.
kvm_segment entry_tss() {
  kvm_segment segment = {};
  segment.limit = 0x67;
  segment.type = 0xb;
  segment.present = 1;
  return segment;
}

// Replaces the extended topology (leaves 0xb and 0x1f), of which KVM shows an empty first level at best: one thread a
// core, then `cpus` cores a package (SDM vol. 2A, CPUID: ECX is the level's number and, from bit 8, its type: 1 thread,
// 2 core).
void set_topology(std::vector<kvm_cpuid_entry2>& leaves, uint32_t id, uint32_t cpus) {
  uint32_t most = 0;
  for (const auto& leaf : leaves) {
    if (leaf.function == 0) most = leaf.eax;
  }
  std::erase_if(leaves, [](const auto& leaf) { return leaf.function == 0xb || leaf.function == 0x1f; });
  if (most < 0xb) return;
  for (uint32_t level = 0; level < 2; ++level) {
    kvm_cpuid_entry2 leaf = {};
    leaf.function = 0xb;
    leaf.index = level;
    leaf.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    leaf.eax = level == 0 ? 0 : static_cast<uint32_t>(std::bit_width(cpus - 1));
    leaf.ebx = level == 0 ? 1 : cpus;
    leaf.ecx = level | ((level + 1) << 8);
    leaf.edx = id;
    leaves.push_back(leaf);
  }
}

uint32_t lvt_entry(uint32_t delivery_mode) {
  return delivery_mode << 8;  // unmasked, edge, active high
}

void set_lapic_register(kvm_lapic_state& state, size_t offset, uint32_t value) {
  std::memcpy(state.regs + offset, &value, sizeof value);
}

}  // namespace

Status set_entry_state(const Vcpu& vcpu, const EntryState& entry) {
  auto sregs = vcpu.sregs();
  if (!sregs) return pass_on(sregs);
  sregs->cs = flat_segment(0x8, true);
  sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = flat_segment(0x10, false);
  sregs->tr = entry_tss();
  sregs->cr0 = kCr0Pe | kCr0Et;
  sregs->cr4 = 0;
  sregs->efer = 0;
  if (auto done = vcpu.set_sregs(*sregs); !done) return done;

  kvm_regs regs = {};
  regs.rip = entry.eip;
  regs.rax = entry.eax;
  regs.rbx = entry.ebx;
  regs.rflags = 0x2;  // bit 1 is always one; IF, VM and the rest are off
  return vcpu.set_regs(regs);
}

Status set_cpu_identity(const Vcpu& vcpu, std::vector<kvm_cpuid_entry2> supported, uint32_t id, uint32_t cpus) {
  constexpr uint32_t kHypervisorBit = 1U << 31;
  constexpr uint32_t kHttBit = 1U << 28;
  for (auto& leaf : supported) {
    switch (leaf.function) {
      case 0x1:  // EBX: APIC id in bits 31–24, logical processors in 23–16
        leaf.ebx = (leaf.ebx & 0x0000ffff) | (id << 24) | (cpus << 16);
        leaf.ecx |= kHypervisorBit;
        leaf.edx = cpus > 1 ? (leaf.edx | kHttBit) : (leaf.edx & ~kHttBit);
        break;
      case 0x4:  // EAX[31:26]: cores in the package less one
        if (leaf.eax != 0) leaf.eax = (leaf.eax & 0x03ffffff) | ((cpus - 1) << 26);
        break;
      default:
        break;
    }
  }
  set_topology(supported, id, cpus);
  return vcpu.set_cpuid(supported);
}

Status set_virtual_wire(const Vcpu& vcpu) {
  constexpr size_t kLvtLint0 = 0x350;
  constexpr size_t kLvtLint1 = 0x360;
  constexpr uint32_t kDeliverNmi = 4;
  constexpr uint32_t kDeliverExtInt = 7;
  auto state = vcpu.lapic();
  if (!state) return pass_on(state);
  set_lapic_register(*state, kLvtLint0, lvt_entry(kDeliverExtInt));
  set_lapic_register(*state, kLvtLint1, lvt_entry(kDeliverNmi));
  return vcpu.set_lapic(*state);
}

}  // namespace twofold
