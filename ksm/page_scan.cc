#include "ksm/page_scan.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "ksm/newer_uapi.h"
#include "ksm/page_hash.h"

namespace ksm {

namespace {

constexpr size_t kRegions = 512;  // with more, Linux has been seen to answer some of them twice

pm_scan_arg question() {
  pm_scan_arg arg = {};
  arg.size = sizeof arg;
  arg.category_mask = PAGE_IS_PRESENT | PAGE_IS_FILE | PAGE_IS_PFNZERO;
  arg.category_inverted = PAGE_IS_FILE | PAGE_IS_PFNZERO;
  arg.return_mask = PAGE_IS_HUGE;
  return arg;
}

}  // namespace

std::optional<PageScan> PageScan::open(std::string* error) {
  Descriptor pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap) {
    *error = "cannot open /proc/self/pagemap: " + std::system_category().message(errno);
    return std::nullopt;
  }
  pm_scan_arg nothing = question();
  if (::ioctl(pagemap.get(), PAGEMAP_SCAN, &nothing) < 0) {
    *error = "the kernel has no PAGEMAP_SCAN (Linux 6.7 has): " + std::system_category().message(errno);
    return std::nullopt;
  }
  return PageScan(std::move(pagemap));
}

const std::vector<PresentRun>& PageScan::find(const std::byte* memory, Run within) {
  std::array<page_region, kRegions> regions;
  found_.clear();
  pm_scan_arg arg = question();
  arg.start = reinterpret_cast<uint64_t>(memory) + within.first * kPageBytes;
  arg.end = arg.start + within.count * kPageBytes;
  arg.vec = reinterpret_cast<uint64_t>(regions.data());
  arg.vec_len = regions.size();
  while (arg.start < arg.end) {
    const int count = ::ioctl(pagemap_.get(), PAGEMAP_SCAN, &arg);
    if (count < 0) break;
    for (int i = 0; i < count; ++i) {
      const page_region& region = regions[static_cast<size_t>(i)];
      const uint64_t first = (region.start - reinterpret_cast<uint64_t>(memory)) / kPageBytes;
      found_.push_back({{first, (region.end - region.start) / kPageBytes}, (region.categories & PAGE_IS_HUGE) != 0});
    }
    if (arg.walk_end <= arg.start) break;
    arg.start = arg.walk_end;
  }
  return found_;
}

}  // namespace ksm
