// /dev/kvm, a VM and its vCPUs: thin owners of KVM's descriptors, and the only place with KVM ioctls.
//
// Methods carry the names of the ioctls they make (Documentation/virt/kvm/api.rst says what each does). Set-up errors
// are Results whose text names the ioctl; nothing here keeps state of its own beyond descriptors and the shared run
// page.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vmm/base/address.h"
#include "vmm/base/fd.h"
#include "vmm/base/result.h"

namespace twofold {

class Vm;
class Vcpu;

// /dev/kvm.
class Kvm {
 public:
  // Opens `path` and checks the API version (12 since 2007). Error texts say how to mend a missing or forbidden node.
  static Result<Kvm> open(const char* path = "/dev/kvm");

  // KVM_CHECK_EXTENSION: 0 when absent, else the capability's own number.
  [[nodiscard]] int check_extension(int capability) const;
  [[nodiscard]] int max_vcpus() const;

  // KVM_GET_SUPPORTED_CPUID: what this host's KVM can show a guest.
  [[nodiscard]] Result<std::vector<kvm_cpuid_entry2>> supported_cpuid() const;

  [[nodiscard]] Result<Vm> create_vm() const;

 private:
  explicit Kvm(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// One virtual machine. Methods are for the thread that builds it, before vCPUs run.
class Vm {
 public:
  // The 8259s, the I/O APIC, a local APIC per vCPU and the 8254, all inside KVM. `identity_map` and `tss` are the guest
  // pages that KVM on Intel takes for real mode. REQUIRES: before the first create_vcpu.
  [[nodiscard]] Status create_interrupt_controllers(Gpa identity_map, Gpa tss) const;

  // KVM_SET_USER_MEMORY_REGION: [gpa, gpa + bytes) of the guest is backed by [hva, hva + bytes) of this process.
  // The mapping stays the caller's and must outlive the Vm.
  [[nodiscard]] Status set_memory_slot(uint32_t slot, Gpa gpa, std::byte* hva, uint64_t bytes) const;

  // KVM_IRQFD: each signal of `eventfd` is one edge on interrupt line `gsi`.
  [[nodiscard]] Status add_irqfd(int eventfd, uint32_t gsi) const;

  // KVM_IOEVENTFD: a 4-byte guest write of `value` at `gpa` signals `eventfd` without leaving the kernel.
  [[nodiscard]] Status add_ioeventfd(int eventfd, Gpa gpa, uint32_t value) const;

  [[nodiscard]] Result<Vcpu> create_vcpu(uint32_t id) const;

 private:
  friend class Kvm;
  Vm(UniqueFd fd, size_t run_bytes) : fd_(std::move(fd)), run_bytes_(run_bytes) {}
  UniqueFd fd_;
  size_t run_bytes_;
};

// One virtual CPU. run() and all register access belong to the thread that runs it, except while that thread is parked.
class Vcpu {
 public:
  Vcpu(Vcpu&& other) noexcept;
  Vcpu& operator=(Vcpu&&) = delete;
  Vcpu(const Vcpu&) = delete;
  Vcpu& operator=(const Vcpu&) = delete;
  ~Vcpu();

  // KVM_RUN. Returns 0 when run_page() tells of an exit, else the errno: EINTR for a signal or immediate_exit.
  [[nodiscard]] int run() const;

  // The page shared with KVM: exit reason and details. Lives as long as the Vcpu.
  [[nodiscard]] kvm_run& run_page() const { return *run_; }

  [[nodiscard]] Result<kvm_regs> regs() const;
  [[nodiscard]] Status set_regs(const kvm_regs& regs) const;
  [[nodiscard]] Result<kvm_sregs> sregs() const;
  [[nodiscard]] Status set_sregs(const kvm_sregs& sregs) const;
  [[nodiscard]] Status set_cpuid(std::span<const kvm_cpuid_entry2> entries) const;
  [[nodiscard]] Result<kvm_lapic_state> lapic() const;
  [[nodiscard]] Status set_lapic(const kvm_lapic_state& state) const;

 private:
  friend class Vm;
  Vcpu(UniqueFd fd, kvm_run* run, size_t run_bytes) : fd_(std::move(fd)), run_(run), run_bytes_(run_bytes) {}
  UniqueFd fd_;
  kvm_run* run_;
  size_t run_bytes_;
};

}  // namespace twofold
