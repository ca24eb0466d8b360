#include "vmm/control/host_facts.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string_view>

#include "ksm/newer_uapi.h"
#include "vmm/base/fd.h"
#include "vmm/base/size.h"
#include "vmm/control/numbers.h"

namespace twofold {

namespace {

// The first line of a small file; empty if it cannot be read.
std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

KvmFacts read_kvm() {
  KvmFacts facts;
  const UniqueFd fd(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!fd) {
    facts.open_error = errno;
    return facts;
  }
  const auto kvm = Kvm::open();
  if (!kvm) {
    facts.refusal = kvm.error().message;
    return facts;
  }
  facts.max_vcpus = kvm->max_vcpus();
  facts.probe = run_paging_probe(*kvm);
  return facts;
}

// A descriptor that sees faults of the kernel too: by the system call where that is allowed, else through the device.
UniqueFd open_userfault(UserfaultFacts& facts) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  if (fd) return fd;
  facts.open_error = errno;
  const UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  if (device) fd = UniqueFd(::ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    fd = UniqueFd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
    facts.user_mode_only = static_cast<bool>(fd);
  }
  if (fd) facts.open_error = 0;
  return fd;
}

UserfaultFacts read_userfault() {
  UserfaultFacts facts;
  const UniqueFd fd = open_userfault(facts);
  if (!fd) return facts;
  uffdio_api api = {};
  api.api = UFFD_API;
  if (::ioctl(fd.get(), UFFDIO_API, &api) != 0) {
    facts.open_error = errno;
  } else {
    facts.features = api.features;
  }
  return facts;
}

// Two pages of which one was touched: the scan must name that one. Returns an errno; EIO for a wrong answer.
int try_pagemap_scan() {
  constexpr size_t kBytes = 2 * kPageSize;
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap) return errno;
  // SAFETY: ours alone, unmapped below.
  void* map = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return errno;
  ::madvise(map, kBytes, MADV_NOHUGEPAGE);
  auto* touched = static_cast<volatile std::byte*>(map) + kPageSize;
  *touched = std::byte{1};

  std::array<page_region, 4> regions = {};
  pm_scan_arg scan = {};
  scan.size = sizeof scan;
  scan.start = reinterpret_cast<uint64_t>(map);
  scan.end = scan.start + kBytes;
  scan.vec = reinterpret_cast<uint64_t>(regions.data());
  scan.vec_len = regions.size();
  scan.category_mask = scan.return_mask = PAGE_IS_PRESENT;
  const int count = ::ioctl(pagemap.get(), PAGEMAP_SCAN, &scan);
  const int error = count < 0 ? errno : 0;
  const bool right = count == 1 && regions[0].start == scan.start + kPageSize && regions[0].end == scan.end;
  ::munmap(map, kBytes);
  return error != 0 ? error : right ? 0 : EIO;
}

// "MemTotal:       24683620 kB" and the like.
MemoryFacts read_memory() {
  MemoryFacts facts;
  facts.overcommit = first_line("/proc/sys/vm/overcommit_memory");
  std::ifstream file("/proc/meminfo");
  std::string key;
  uint64_t kib = 0;
  std::string unit;
  while (file >> key >> kib && std::getline(file, unit)) {
    if (key == "MemTotal:") facts.total_bytes = kib * KiB;
    if (key == "MemAvailable:") facts.available_bytes = kib * KiB;
    if (key == "SwapTotal:") facts.swap_total_bytes = kib * KiB;
    if (key == "SwapFree:") facts.swap_free_bytes = kib * KiB;
  }
  return facts;
}

}  // namespace

HostFacts read_host_facts() {
  HostFacts facts;
  facts.kvm = read_kvm();
  facts.modules.intel_ept = first_line("/sys/module/kvm_intel/parameters/ept");
  facts.modules.intel_unrestricted_guest = first_line("/sys/module/kvm_intel/parameters/unrestricted_guest");
  facts.modules.amd_npt = first_line("/sys/module/kvm_amd/parameters/npt");
  utsname names = {};
  if (::uname(&names) == 0) facts.kernel_release = names.release;
  facts.userfault = read_userfault();
  facts.pagemap_scan_error = try_pagemap_scan();
  facts.max_map_count = first_line("/proc/sys/vm/max_map_count");
  facts.huge_pages = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  facts.memory = read_memory();
  return facts;
}

}  // namespace twofold
