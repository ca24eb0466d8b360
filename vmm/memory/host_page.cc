#include "vmm/memory/host_page.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ksm/newer_uapi.h"
#include "vmm/base/address.h"
#include "vmm/base/size.h"

namespace twofold {

namespace {

// Bits of a pagemap entry (Documentation/admin-guide/mm/pagemap.rst).
constexpr uint64_t kPfnMask = (uint64_t{1} << 55) - 1;
constexpr uint64_t kSoftDirty = uint64_t{1} << 55;
constexpr uint64_t kExclusive = uint64_t{1} << 56;
constexpr uint64_t kUffdWriteProtected = uint64_t{1} << 57;
constexpr uint64_t kFileOrShared = uint64_t{1} << 61;
constexpr uint64_t kSwapped = uint64_t{1} << 62;
constexpr uint64_t kPresent = uint64_t{1} << 63;

constexpr uint64_t kAsked = PAGE_IS_PFNZERO | PAGE_IS_HUGE;

}  // namespace

ProcPagemap::ProcPagemap() : fd_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}

std::optional<uint64_t> ProcPagemap::entry(uint64_t hva) const {
  uint64_t value = 0;
  const auto offset = static_cast<off_t>((hva >> kPageShift) * sizeof value);
  if (::pread(fd_.get(), &value, sizeof value, offset) != sizeof value) return std::nullopt;
  return value;
}

std::optional<uint64_t> ProcPagemap::categories(uint64_t hva) const {
  page_region region = {};
  pm_scan_arg arg = {};
  arg.size = sizeof arg;
  arg.start = align_down(hva, kPageSize);
  arg.end = arg.start + kPageSize;
  arg.vec = reinterpret_cast<uintptr_t>(&region);
  arg.vec_len = 1;
  arg.category_anyof_mask = kAsked;
  arg.return_mask = kAsked;
  const int regions = ::ioctl(fd_.get(), PAGEMAP_SCAN, &arg);
  if (regions < 0) return std::nullopt;
  return regions == 0 ? 0 : region.categories;
}

HostPage inspect_host_page(const PagemapSource& source, uint64_t hva) {
  HostPage page;
  const auto entry = source.entry(hva);
  if (!entry) return page;
  page.soft_dirty = (*entry & kSoftDirty) != 0;
  page.write_protected = (*entry & kUffdWriteProtected) != 0;
  page.file_or_shared = (*entry & kFileOrShared) != 0;
  if ((*entry & kSwapped) != 0) {
    page.backing = Backing::kSwapped;
    return page;
  }
  if ((*entry & kPresent) == 0) {
    page.backing = Backing::kNotBacked;
    return page;
  }
  page.backing = Backing::kPresent;
  page.exclusive = (*entry & kExclusive) != 0;
  // Frame number 0 is what those without CAP_SYS_ADMIN are shown; no page of a process lies there.
  if (const uint64_t pfn = *entry & kPfnMask; pfn != 0) page.pfn = pfn;
  if (const auto categories = source.categories(hva)) {
    page.zero_page = (*categories & PAGE_IS_PFNZERO) != 0;
    page.mapping_bytes = (*categories & PAGE_IS_HUGE) != 0 ? 2 * MiB : kPageSize;
  }
  return page;
}

}  // namespace twofold
