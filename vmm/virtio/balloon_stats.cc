#include "vmm/virtio/balloon_stats.h"

#include <cstring>

#include "vmm/virtio/buffers.h"

namespace twofold {

namespace {

// le16 tag, le64 value, packed: 10 bytes. (The specification's "multiple of 6 bytes" is a misprint.)
constexpr size_t kEntryBytes = 10;

constexpr std::array<std::string_view, BalloonStats::kTags> kNames = {
    "swap_in_bytes",          // VIRTIO_BALLOON_S_SWAP_IN
    "swap_out_bytes",         // VIRTIO_BALLOON_S_SWAP_OUT
    "major_faults",           // VIRTIO_BALLOON_S_MAJFLT
    "minor_faults",           // VIRTIO_BALLOON_S_MINFLT
    "free_bytes",             // VIRTIO_BALLOON_S_MEMFREE
    "total_bytes",            // VIRTIO_BALLOON_S_MEMTOT
    "available_bytes",        // VIRTIO_BALLOON_S_AVAIL
    "disk_cache_bytes",       // VIRTIO_BALLOON_S_CACHES
    "hugetlb_allocations",    // VIRTIO_BALLOON_S_HTLB_PGALLOC
    "hugetlb_failures",       // VIRTIO_BALLOON_S_HTLB_PGFAIL
    "oom_kills",              // VIRTIO_BALLOON_S_OOM_KILL
    "allocation_stalls",      // VIRTIO_BALLOON_S_ALLOC_STALL
    "async_scanned_pages",    // VIRTIO_BALLOON_S_ASYNC_SCAN
    "direct_scanned_pages",   // VIRTIO_BALLOON_S_DIRECT_SCAN
    "async_reclaimed_pages",  // VIRTIO_BALLOON_S_ASYNC_RECLAIM
    "direct_reclaimed_pages"  // VIRTIO_BALLOON_S_DIRECT_RECLAIM
};

}  // namespace

void BalloonStats::parse(std::span<const iovec> buffers) {
  std::array<std::byte, kEntryBytes> entry;
  for (size_t i = 0; i < kMaxEntries; ++i) {
    if (copy_from(buffers, i * kEntryBytes, entry) < kEntryBytes) return;
    uint16_t tag;
    uint64_t value;
    std::memcpy(&tag, entry.data(), sizeof tag);
    std::memcpy(&value, entry.data() + sizeof tag, sizeof value);
    if (tag < kTags) values_[tag] = value;
  }
}

std::optional<uint64_t> BalloonStats::value(uint16_t tag) const {
  return tag < kTags ? values_[tag] : std::nullopt;
}

std::string_view BalloonStats::name(uint16_t tag) {
  return tag < kTags ? kNames[tag] : "unknown";
}

}  // namespace twofold
