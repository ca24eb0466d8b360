// A guest of a dozen instructions.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <vector>

#include "vmm/kvm/kvm.h"
#include "vmm/machine/vcpu_setup.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/memory/layout.h"

namespace twofold::testing {

inline constexpr uint64_t kCode = 0x1000;
inline constexpr uint64_t kDirectory = 0x2000;
inline constexpr uint64_t kTable = 0x3000;
inline constexpr uint64_t kData = 0x5000;

// A VM of 1 MiB with one vCPU at `code`, flat 32-bit protected mode.
struct TinyGuest {
  explicit TinyGuest(std::span<const uint8_t> code)
      : kvm(Kvm::open().value()),
        memory(GuestMemory::create(1 << 20, layout::kHole).value()),
        vm(kvm.create_vm().value()) {
    EXPECT_TRUE(vm.set_memory_slot(0, Gpa{0}, memory.hva_base(), memory.bytes()));
    EXPECT_TRUE(vm.create_interrupt_controllers(Gpa{layout::kKvmIdentityMap}, Gpa{layout::kKvmTss}));
    vcpus.push_back(vm.create_vcpu(0).value());
    EXPECT_TRUE(set_cpu_identity(vcpus[0], kvm.supported_cpuid().value(), 0, 1));
    EXPECT_TRUE(set_entry_state(vcpus[0], {kCode, 0, 0}));
    std::memcpy(memory.at(Gpa{kCode}, code.size()).data(), code.data(), code.size());
  }
  kvm_run& run() {
    EXPECT_EQ(vcpus[0].run(), 0);
    return vcpus[0].run_page();
  }
  Kvm kvm;
  GuestMemory memory;
  Vm vm;
  std::vector<Vcpu> vcpus;
};

inline uint32_t out_value(const kvm_run& run) {
  uint32_t value = 0;
  std::memcpy(&value, reinterpret_cast<const std::byte*>(&run) + run.io.data_offset, run.io.size);
  return value;
}

}  // namespace twofold::testing
