#include <cerrno>
#include <charconv>

#include "ksm/newer_uapi.h"
#include "vmm/base/size.h"
#include "vmm/control/doctor.h"
#include "vmm/control/numbers.h"

namespace twofold {

namespace {

constexpr const char* kUseLab = "run guests in an emulated machine meanwhile: scripts/lab/run";

bool is_on(const std::string& parameter) {
  return parameter == "Y" || parameter == "1";
}

// Linux's default for vm.max_map_count, and what a host that merges many scattered pages should have.
constexpr uint64_t kDefaultMapCount = 65530;
constexpr uint64_t kGoodMapCount = 1048576;

constexpr uint64_t kLittleMemory = 256 * MiB;

struct Feature {
  uint64_t bit;
  const char* name;
};

}  // namespace

Check check_kvm_device(const KvmFacts& kvm) {
  Check check{"/dev/kvm", Verdict::kFail, {}, {}};
  if (kvm.open_error == 0 && kvm.refusal.empty()) {
    check.verdict = Verdict::kOk;
    check.found = fmt::format("opens, up to {} virtual CPUs a VM", kvm.max_vcpus);
    return check;
  }
  check.found = kvm.open_error != 0 ? fmt::format("does not open: {}", errno_text(kvm.open_error)) : kvm.refusal;
  switch (kvm.open_error) {
    case 0:
      check.mend = "boot a kernel that is newer than 2007's";
      break;
    case EACCES:
    case EPERM:
      check.mend = "join its group (usermod -aG kvm USER, then log in again), or run as root";
      break;
    default:
      check.mend = fmt::format(
          "switch VT-x or AMD-V on in the firmware (or nested virtualization in the outer hypervisor) and load "
          "kvm-intel or "
          "kvm-amd; {}",
          kUseLab);
  }
  return check;
}

Check check_probe(const KvmFacts& kvm) {
  Check check{"probe guest", Verdict::kFail, "not run: /dev/kvm is no use", "mend /dev/kvm first"};
  if (!kvm.probe) return check;
  check.found = kvm.probe->found;
  check.mend = kvm.probe->ok
                   ? ""
                   : fmt::format(
                         "this KVM cannot run 32-bit guests with paging, as KVM without VT-x or AMD-V underneath "
                         "(kvm_pvm) cannot; {}",
                         kUseLab);
  if (kvm.probe->ok) check.verdict = Verdict::kOk;
  return check;
}

Check check_two_dimensions(const KvmModuleFacts& modules) {
  Check check{"two-dimensional paging", Verdict::kOk, {}, {}};
  if (is_on(modules.intel_ept)) {
    check.found = "EPT (kvm_intel)";
  } else if (is_on(modules.amd_npt)) {
    check.found = "NPT (kvm_amd)";
  } else if (!modules.intel_ept.empty() || !modules.amd_npt.empty()) {
    const bool intel = !modules.intel_ept.empty();
    check.verdict = Verdict::kWarn;
    check.found = fmt::format("{} is off: KVM shadows the guest's page tables in software", intel ? "EPT" : "NPT");
    check.mend =
        fmt::format("reload the module with it on: modprobe -r {0} && modprobe {0} {1}=1; a CPU without it stays slow",
                    intel ? "kvm_intel" : "kvm_amd", intel ? "ept" : "npt");
  } else {
    check.verdict = Verdict::kWarn;
    check.found = "neither kvm_intel nor kvm_amd is loaded";
    check.mend = "modprobe kvm_intel, or kvm_amd";
  }
  return check;
}

Check check_unrestricted_guest(const KvmModuleFacts& modules) {
  Check check{"unrestricted guest", Verdict::kOk, {}, {}};
  if (is_on(modules.intel_unrestricted_guest)) {
    check.found = "on: real mode and paging off run on the CPU itself";
  } else if (!modules.intel_unrestricted_guest.empty()) {
    check.verdict = Verdict::kWarn;
    check.found = "off: KVM emulates real mode, and other processors start slowly";
    check.mend = "reload the module with it on: modprobe -r kvm_intel && modprobe kvm_intel unrestricted_guest=1";
  } else if (!modules.amd_npt.empty()) {
    check.found = "AMD-V always has it";
  } else {
    check.verdict = Verdict::kWarn;
    check.found = "unknown: neither kvm_intel nor kvm_amd is loaded";
    check.mend = "modprobe kvm_intel, or kvm_amd";
  }
  return check;
}

Check check_kernel(const std::string& release) {
  Check check{"kernel", Verdict::kOk, release, {}};
  unsigned major = 0;
  unsigned minor = 0;
  const char* end = release.data() + release.size();
  const auto [dot, bad_major] = std::from_chars(release.data(), end, major);
  const bool whole =
      bad_major == std::errc() && dot < end && *dot == '.' && std::from_chars(dot + 1, end, minor).ec == std::errc();
  if (!whole) {
    check.verdict = Verdict::kWarn;
    check.found = fmt::format("version not understood: '{}'", release);
    check.mend = "merging needs Linux 6.8 or newer";
  } else if (major < 6 || (major == 6 && minor < 8)) {
    check.verdict = Verdict::kWarn;
    check.mend =
        "merging needs 6.8 or newer, for PAGEMAP_SCAN and write-protecting pages that were never touched; Debian 12 "
        "has one in bookworm-backports";
  }
  return check;
}

Check check_userfaultfd(const UserfaultFacts& userfault) {
  constexpr Feature kNeeded[] = {{UFFD_FEATURE_PAGEFAULT_FLAG_WP, "PAGEFAULT_FLAG_WP"},
                                 {UFFD_FEATURE_WP_UNPOPULATED, "WP_UNPOPULATED"}};
  constexpr Feature kNice = {UFFD_FEATURE_EXACT_ADDRESS, "EXACT_ADDRESS"};
  constexpr const char* kAllow =
      "sysctl vm.unprivileged_userfaultfd=1, or give the user access to /dev/userfaultfd, or run as root";
  Check check{"userfaultfd", Verdict::kWarn, {}, {}};
  if (userfault.open_error != 0) {
    check.found = fmt::format("cannot be had: {}", errno_text(userfault.open_error));
    check.mend = userfault.open_error == ENOSYS ? "merging needs a kernel with CONFIG_USERFAULTFD" : kAllow;
    return check;
  }
  if (userfault.user_mode_only) {
    check.found = "only for faults in user mode: writes by system calls would slip past the write-protect of merging";
    check.mend = kAllow;
    return check;
  }
  std::string missing;
  for (const Feature& feature : kNeeded) {
    if ((userfault.features & feature.bit) == 0) missing += (missing.empty() ? "" : ", ") + std::string(feature.name);
  }
  if (!missing.empty()) {
    check.found = fmt::format("lacks {}", missing);
    check.mend = "merging needs Linux 6.8 or newer, on a CPU architecture with userfaultfd write-protect";
    return check;
  }
  check.verdict = Verdict::kOk;
  const bool exact = (userfault.features & kNice.bit) != 0;
  check.found = fmt::format("write-protect, also of untouched pages and of faults in the kernel{}",
                            exact ? "; exact addresses" : fmt::format("; no {}", kNice.name));
  return check;
}

Check check_pagemap_scan(int error) {
  if (error == 0) return {"PAGEMAP_SCAN", Verdict::kOk, "works", {}};
  const bool absent = error == ENOTTY || error == EINVAL;
  return {
      "PAGEMAP_SCAN", Verdict::kWarn,
      error == EIO ? "gives a wrong answer" : fmt::format("does not work: {}", errno_text(error)),
      absent ? "merging needs it to find written pages: Linux 6.7 or newer" : "merging needs it: is /proc mounted?"};
}

Check check_max_map_count(const std::string& max_map_count) {
  Check check{"vm.max_map_count", Verdict::kOk, max_map_count, {}};
  const std::string raise =
      fmt::format("sysctl vm.max_map_count={} lets merging fold many scattered pages", kGoodMapCount);
  const auto count = parse_number(max_map_count);
  if (!count) {
    check.verdict = Verdict::kWarn;
    check.found = "cannot be read";
    check.mend = "is /proc mounted?";
  } else if (*count < kDefaultMapCount) {
    check.verdict = Verdict::kWarn;
    check.found =
        fmt::format("{}, less than Linux's own {}: merging stops early, each run of merged pages is a mapping", *count,
                    kDefaultMapCount);
    check.mend = raise;
  } else if (*count < kGoodMapCount) {
    check.mend = raise;
  }
  return check;
}

Check check_huge_pages(const std::string& enabled) {
  Check check{"huge pages", Verdict::kOk, {}, {}};
  const size_t open = enabled.find('[');
  const size_t close = enabled.find(']');
  const bool known = open != std::string::npos && close != std::string::npos && open < close;
  const std::string chosen = known ? enabled.substr(open + 1, close - open - 1) : "";
  if (chosen == "always") {
    check.found = "always: the second dimension maps 2 MiB at once where it can; merging splits them";
  } else if (chosen == "madvise") {
    check.found = "madvise: 4 KiB unless a mapping asks for more";
  } else if (chosen == "never") {
    check.found = "never: guests get 4 KiB pages, and longer walks";
    check.mend = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled leaves the choice to each VM";
  } else {
    check.verdict = Verdict::kWarn;
    check.found = "the kernel has none (no transparent_hugepage): guests get 4 KiB pages, and longer walks";
    check.mend = "boot a kernel with CONFIG_TRANSPARENT_HUGEPAGE";
  }
  return check;
}

Check check_memory(const MemoryFacts& memory) {
  Check check{"memory", Verdict::kOk, {}, {}};
  if (memory.total_bytes == 0) return {"memory", Verdict::kWarn, "cannot be read", "is /proc mounted?"};
  check.found = fmt::format("{}, {} available", format_size(memory.total_bytes), format_size(memory.available_bytes));
  if (memory.overcommit == "2") {
    check.verdict = Verdict::kWarn;
    check.found += "; vm.overcommit_memory=2: guest memory is charged in full when a VM starts";
    check.mend = "sysctl vm.overcommit_memory=0, or VMs that promise more than there is will not start";
  } else if (memory.available_bytes < kLittleMemory) {
    check.verdict = Verdict::kWarn;
    check.mend = "little is left for guests: end something";
  }
  return check;
}

Check check_swap(const MemoryFacts& memory) {
  if (memory.swap_total_bytes == 0) {
    return {"swap", Verdict::kWarn, "none: when guests use more than there is, the kernel can only kill",
            "add a swap file: fallocate -l 4G /swap && chmod 600 /swap && mkswap /swap && swapon /swap"};
  }
  return {"swap",
          Verdict::kOk,
          fmt::format("{}, {} free", format_size(memory.swap_total_bytes), format_size(memory.swap_free_bytes)),
          {}};
}

}  // namespace twofold
