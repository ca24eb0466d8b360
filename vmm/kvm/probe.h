// Whether this host's KVM really runs what Twofold's guests are: 32-bit code with paging on.
//
// That /dev/kvm opens says little. A KVM without hardware virtualization underneath (page-table virtualization such as
// kvm_pvm) opens, makes VMs, and then answers KVM_EXIT_SHUTDOWN as soon as a 32-bit guest turns paging on.
#pragma once

#include <linux/kvm.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "vmm/kvm/kvm.h"

namespace twofold {

struct ProbeResult {
  bool ok = false;
  std::string found;  // what was seen, one line
};

// Builds a VM as `run` would, lets a guest of a few instructions turn paging on, load a byte from GVA 0x5123 (which its
// tables map to another GPA) and write it to a port, and judges the exit. Returns within `patience` and the time KVM
// takes to build a VM. For a process without other threads: uses SIGALRM while it runs.
ProbeResult run_paging_probe(const Kvm& kvm, std::chrono::milliseconds patience = std::chrono::seconds(5));

// The judgement alone: does this exit carry the byte that only translation could have found?
ProbeResult judge_probe_exit(const kvm_run& exit);

inline constexpr uint16_t kProbePort = 0xf4;
inline constexpr uint8_t kProbeByte = 0x2a;

}  // namespace twofold
