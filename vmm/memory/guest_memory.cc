#include "vmm/memory/guest_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "vmm/base/size.h"

namespace twofold {

namespace {
constexpr uint64_t kFourGiB = uint64_t{1} << 32;
}

Result<GuestMemory> GuestMemory::create(uint64_t bytes, uint64_t hole_base) {
  if (bytes == 0 || bytes % kPageSize != 0) {
    return fail("cannot give the guest {} bytes of memory: need a multiple of {} above 0", bytes, kPageSize);
  }
  // NORESERVE: advertising more than there is, is what this program is for; pages are taken on first touch.
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return fail("cannot map {} of guest memory: {}", format_size(bytes), errno_text(errno));
  return GuestMemory(static_cast<std::byte*>(base), bytes, hole_base);
}

GuestMemory::GuestMemory(std::byte* base, uint64_t bytes, uint64_t hole_base) : base_(base), bytes_(bytes) {
  const uint64_t low = std::min(bytes, hole_base);
  ranges_.push_back({Gpa{0}, low, 0});
  if (bytes > low) ranges_.push_back({Gpa{kFourGiB}, bytes - low, low});
}

GuestMemory::GuestMemory(GuestMemory&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      ranges_(std::move(other.ranges_)) {}

GuestMemory::~GuestMemory() {
  if (base_ != nullptr) ::munmap(base_, bytes_);
}

std::span<std::byte> GuestMemory::at(Gpa gpa, uint64_t length) const {
  if (length == 0) return {};
  for (const RamRange& range : ranges_) {
    if (gpa < range.base || gpa >= range.end()) continue;
    const uint64_t into = gpa.value - range.base.value;
    if (length > range.bytes - into) return {};
    return {base_ + range.offset + into, length};
  }
  return {};
}

}  // namespace twofold
