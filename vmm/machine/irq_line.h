// A device's interrupt line, wired into KVM by irqfd.
#pragma once

#include <memory>

#include "vmm/base/fd.h"
#include "vmm/devices/bus.h"
#include "vmm/kvm/kvm.h"

namespace twofold {

// Safe in any thread; trigger() is one write to an eventfd and wakes the vCPU inside the kernel.
class IrqLine final : public Interrupt {
 public:
  // `gsi`: the line's number on the 8259s and the I/O APIC alike (KVM's default routing).
  static Result<std::unique_ptr<IrqLine>> create(const Vm& vm, uint32_t gsi);
  void trigger() override { signal_eventfd(event_.get()); }

 private:
  explicit IrqLine(UniqueFd event) : event_(std::move(event)) {}
  UniqueFd event_;
};

}  // namespace twofold
