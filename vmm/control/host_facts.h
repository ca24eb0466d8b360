// What `twofold doctor` looks at, read from this host. Reading and judging are apart, so that the judging
// (doctor.h) is tested with hosts that we do not have.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "vmm/kvm/probe.h"

namespace twofold {

struct KvmFacts {
  int open_error = 0;  // errno of opening /dev/kvm read-write; 0: it opened
  int max_vcpus = 0;
  std::string refusal;               // why it is no use although it opened (an API version)
  std::optional<ProbeResult> probe;  // unset: not run, because /dev/kvm did not open
};

// Parameters of the KVM modules as /sys/module has them ("Y", "1", …); empty when that module or parameter is not
// there.
struct KvmModuleFacts {
  std::string intel_ept;
  std::string intel_unrestricted_guest;
  std::string amd_npt;
};

struct UserfaultFacts {
  int open_error = 0;           // errno when no way leads to a descriptor
  bool user_mode_only = false;  // the only descriptor to be had does not see faults in system calls
  uint64_t features = 0;        // UFFD_FEATURE_*, as UFFDIO_API reports them
};

struct MemoryFacts {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;
  uint64_t swap_total_bytes = 0;
  uint64_t swap_free_bytes = 0;
  std::string overcommit;  // vm.overcommit_memory: "0", "1", "2"
};

struct HostFacts {
  KvmFacts kvm;
  KvmModuleFacts modules;
  std::string kernel_release;  // "6.12.9-amd64"
  UserfaultFacts userfault;
  int pagemap_scan_error = 0;  // errno of a PAGEMAP_SCAN tried on a page of ours; 0: it gave the right answer
  std::string max_map_count;   // vm.max_map_count
  std::string huge_pages;      // /sys/kernel/mm/transparent_hugepage/enabled: "always [madvise] never"
  MemoryFacts memory;
};

// Reads all of it, and runs the probe guest if /dev/kvm opens. Changes nothing on the host. What cannot be read stays
// empty. For a process without other threads (see run_paging_probe).
HostFacts read_host_facts();

}  // namespace twofold
