#include "guest/kernel/ram.h"

#include "guest/kernel/boot_info.h"
#include "guest/kernel/cmdline.h"
#include "guest/kernel/paging.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"

namespace twofold::kernel::ram {
namespace {

// Frame numbers. Those in [frontier, end) were never handed out.
struct Region {
  uint32_t start;
  uint32_t frontier;
  uint32_t end;
};

constexpr uint32_t kMaxRegions = BootInfo::kMaxRanges + 4;
constinit Region regions[kMaxRegions]{};
uint32_t region_count = 0;
uint32_t total = 0;
uint32_t taken = 0;
PhysAddr ram_end = 0;  // of what the direct map reaches
const uint8_t* initrd = nullptr;
uint32_t initrd_bytes = 0;

void add_region(uint32_t start, uint32_t end) {
  if (start < end && region_count < kMaxRegions) regions[region_count++] = {start, start, end};
}

// Takes the frames [start, end) out of all regions. REQUIRES: none is handed out yet
void exclude(uint32_t start, uint32_t end) {
  const uint32_t before = region_count;
  for (uint32_t i = 0; i < before; ++i) {
    Region& region = regions[i];
    if (start >= region.end || end <= region.start) continue;
    const uint32_t old_end = region.end;
    region.end = max(region.start, start);
    add_region(max(end, region.start), old_end);
  }
}

// The loader's ranges as regions that do not overlap.
void read_ranges() {
  for (uint32_t i = 0; i < boot_info.ram_count; ++i) {
    const RamRange& range = boot_info.ram[i];
    const uint64_t start = max<uint64_t>(range.start, kLowMemoryEnd);
    const uint64_t end = min<uint64_t>(range.end, kDirectMapLimit);
    if (start >= end) continue;
    const uint32_t first = page_round_up(static_cast<uint32_t>(start)) >> kPageShift;
    const uint32_t last = static_cast<uint32_t>(end) >> kPageShift;
    if (first >= last) continue;
    exclude(first, last);
    add_region(first, last);
    ram_end = max(ram_end, last << kPageShift);
  }
}

// Keeps the bytes [start, end) where they are, out of everybody's hands.
void reserve(PhysAddr start, PhysAddr end) {
  const uint32_t first = start >> kPageShift;
  const uint32_t last = page_round_up(end) >> kPageShift;
  exclude(first, last);
  taken += last - first;
}

void reserve_initrd() {
  if (boot_info.initrd_end <= boot_info.initrd_start || boot_info.initrd_end > ram_end) return;
  const auto start = static_cast<uint32_t>(boot_info.initrd_start);
  const auto end = static_cast<uint32_t>(boot_info.initrd_end);
  initrd = to_virtual(start);
  initrd_bytes = end - start;
  reserve(start, end);
}

// The option pse=on: keep the kernel's mapping in 4 MiB pages.
bool wants_large_pages() {
  cmdline::Option option;
  return cmdline::find("pse", &option) && equals_span("on", option.value, option.value_length);
}

}  // namespace

void init() {
  read_ranges();
  for (uint32_t i = 0; i < region_count; ++i) total += regions[i].end - regions[i].start;
  reserve(to_physical(kernel_start), to_physical(kernel_end));
  reserve_initrd();
  paging::map_kernel(ram_end);
  if (wants_large_pages()) return;
  const uint32_t bytes = paging::small_page_tables(ram_end) * kPageSize;
  uint8_t* const tables = take_contiguous(bytes);
  if (tables == nullptr) PANIC("no %u KiB of adjacent memory for the kernel's page tables", bytes >> 10);
  paging::map_in_small_pages(ram_end, tables);
}

void copy_initrd() {
  const uint64_t size = boot_info.initrd_end - boot_info.initrd_start;
  if (boot_info.initrd_end <= boot_info.initrd_start || initrd != nullptr) return;
  uint8_t* const copy = size < kDirectMapLimit ? take_contiguous(static_cast<uint32_t>(size)) : nullptr;
  if (copy == nullptr) {
    PANIC("no %u KiB of adjacent memory for the initrd: give the guest more", static_cast<uint32_t>(size >> 10));
  }
  paging::phys_copy(copy, boot_info.initrd_start, static_cast<uint32_t>(size));
  initrd = copy;
  initrd_bytes = static_cast<uint32_t>(size);
}

const uint8_t* initrd_data() {
  return initrd;
}
uint32_t initrd_size() {
  return initrd_bytes;
}
uint32_t total_frames() {
  return total;
}
uint32_t taken_frames() {
  return taken;
}
uint32_t end_frame() {
  return ram_end >> kPageShift;
}

uint8_t* take_contiguous(uint32_t bytes) {
  const uint32_t frames = page_round_up(bytes) >> kPageShift;
  for (uint32_t i = 0; i < region_count; ++i) {
    Region& region = regions[i];
    if (region.end - region.frontier < frames) continue;
    region.end -= frames;
    taken += frames;
    return to_virtual(region.end << kPageShift);
  }
  return nullptr;
}

uint32_t hand_out() {
  for (uint32_t i = 0; i < region_count; ++i) {
    if (regions[i].frontier < regions[i].end) return regions[i].frontier++;
  }
  return kNoFrame;
}

bool was_handed_out(uint32_t number) {
  for (uint32_t i = 0; i < region_count; ++i) {
    if (number >= regions[i].start && number < regions[i].frontier) return true;
  }
  return false;
}

}  // namespace twofold::kernel::ram
