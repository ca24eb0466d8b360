// What a vCPU that cannot go on was doing.
#pragma once

#include <string>
#include <vector>

#include "vmm/kvm/kvm.h"
#include "vmm/memory/guest_memory.h"

namespace twofold {

// Lines for people: registers, the instruction bytes at RIP, and the two-dimensional walk that leads to them. For the
// thread that owns `vcpu`, which is out of the guest. Bounded, whatever the guest's tables say; what cannot be read
// says so.
[[nodiscard]] std::vector<std::string> crash_dump(const Vcpu& vcpu, const GuestMemory& memory);

}  // namespace twofold
