#include "guest/kernel/frames.h"

#include "guest/kernel/boot_info.h"
#include "guest/kernel/paging.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"

namespace twofold::kernel::frames {
namespace {

constexpr uint32_t kMinimumFrames = 256;  // besides kernel, initrd and frame table; fewer run no shell
constexpr uint32_t kNoFrame = 0;          // low memory is never allocated, so 0 can end the list

struct Frame {
  uint16_t references;
  Use use;
  uint8_t unused;
  uint32_t next_free;  // frame number
};
static_assert(sizeof(Frame) == 8);

// Frame numbers. Those in [frontier, end) were never handed out.
struct Region {
  uint32_t start;
  uint32_t frontier;
  uint32_t end;
};

constexpr uint32_t kMaxRegions = BootInfo::kMaxRanges + 4;
constinit Region regions[kMaxRegions]{};
uint32_t region_count = 0;

Frame* frame_table = nullptr;  // by frame number; an entry is valid once its region's frontier has passed it
uint32_t free_list = kNoFrame;
uint32_t pages_total = 0;
uint32_t pages_in_use[5];  // by Use
uint32_t pages_shared = 0;
const uint8_t* initrd = nullptr;
uint32_t initrd_bytes = 0;

void add_region(uint32_t start, uint32_t end) {
  if (start < end && region_count < kMaxRegions) regions[region_count++] = {start, start, end};
}

// Takes the frames [start, end) out of all regions.
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

// The loader's ranges as regions that do not overlap. Returns the end of RAM in reach of the direct map.
PhysAddr read_ranges() {
  PhysAddr ram_end = 0;
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
  return ram_end;
}

// Adjacent frames for good, before the allocator is open. Panics if no region has that many.
uint8_t* take_contiguous(uint32_t bytes, const char* what) {
  const uint32_t pages = page_round_up(bytes) >> kPageShift;
  for (uint32_t i = 0; i < region_count; ++i) {
    Region& region = regions[i];
    if (region.end - region.start < pages) continue;
    uint8_t* const address = to_virtual(region.start << kPageShift);
    region.start += pages;
    region.frontier = region.start;
    pages_in_use[static_cast<uint32_t>(Use::kKernel)] += pages;
    return address;
  }
  PANIC("%u KiB of adjacent memory for the %s are not there: give the guest more memory", pages * 4, what);
}

// Keeps an initrd that the direct map reaches where it is.
void reserve_initrd(PhysAddr ram_end) {
  if (boot_info.initrd_end <= boot_info.initrd_start || boot_info.initrd_end > ram_end) return;
  const auto start = static_cast<uint32_t>(boot_info.initrd_start);
  const auto end = static_cast<uint32_t>(boot_info.initrd_end);
  initrd = to_virtual(start);
  initrd_bytes = end - start;
  exclude(start >> kPageShift, page_round_up(end) >> kPageShift);
  pages_in_use[static_cast<uint32_t>(Use::kKernel)] += (page_round_up(end) - page_round_down(start)) >> kPageShift;
}

void copy_initrd() {
  const uint64_t size = boot_info.initrd_end - boot_info.initrd_start;
  if (boot_info.initrd_end <= boot_info.initrd_start || initrd != nullptr) return;
  if (size >= kDirectMapLimit) PANIC("the initrd is larger than the memory that the kernel can reach");
  uint8_t* const copy = take_contiguous(static_cast<uint32_t>(size), "initrd");
  paging::phys_copy(copy, boot_info.initrd_start, static_cast<uint32_t>(size));
  initrd = copy;
  initrd_bytes = static_cast<uint32_t>(size);
}

// The frame's entry. Panics unless it is in use.
Frame& frame_in_use(PhysAddr address, const char* action) {
  const uint32_t number = address >> kPageShift;
  for (uint32_t i = 0; i < region_count; ++i) {
    if (number < regions[i].start || number >= regions[i].frontier) continue;
    Frame& frame = frame_table[number];
    if (frame.references == 0) break;
    return frame;
  }
  PANIC("%s the frame at 0x%x, which is not in use", action, address);
}

// A frame number, or kNoFrame.
uint32_t take_frame() {
  if (free_list != kNoFrame) {
    const uint32_t number = free_list;
    free_list = frame_table[number].next_free;
    return number;
  }
  for (uint32_t i = 0; i < region_count; ++i) {
    if (regions[i].frontier < regions[i].end) return regions[i].frontier++;
  }
  return kNoFrame;
}

}  // namespace

void init() {
  const PhysAddr ram_end = read_ranges();
  for (uint32_t i = 0; i < region_count; ++i) pages_total += regions[i].end - regions[i].start;

  const PhysAddr kernel_first = to_physical(kernel_start);
  const PhysAddr kernel_last = page_round_up(to_physical(kernel_end));
  exclude(kernel_first >> kPageShift, kernel_last >> kPageShift);
  pages_in_use[static_cast<uint32_t>(Use::kKernel)] += (kernel_last - kernel_first) >> kPageShift;
  reserve_initrd(ram_end);

  paging::map_kernel(ram_end);
  frame_table = reinterpret_cast<Frame*>(take_contiguous((ram_end >> kPageShift) * sizeof(Frame), "frame table"));
  copy_initrd();

  guest_abi::MemStat stat;
  count(&stat);
  if (stat.free < kMinimumFrames) {
    PANIC("%u KiB of memory are left beside kernel and initrd, and %u are the least: give the guest more memory",
          stat.free * 4, kMinimumFrames * 4);
  }
}

const uint8_t* initrd_data() {
  return initrd;
}
uint32_t initrd_size() {
  return initrd_bytes;
}

uint8_t* allocate(Use use) {
  const uint32_t number = take_frame();
  if (number == kNoFrame) return nullptr;
  frame_table[number] = {1, use, 0, kNoFrame};
  ++pages_in_use[static_cast<uint32_t>(use)];
  return to_virtual(number << kPageShift);
}

uint8_t* allocate_zeroed(Use use) {
  uint8_t* const page = allocate(use);
  if (page != nullptr) memset(page, 0, kPageSize);
  return page;
}

void share(PhysAddr address) {
  Frame& frame = frame_in_use(address, "sharing");
  if (frame.references == 1) ++pages_shared;
  ++frame.references;
}

void release(PhysAddr address) {
  Frame& frame = frame_in_use(address, "freeing");
  --frame.references;
  if (frame.references == 1) --pages_shared;
  if (frame.references > 0) return;
  --pages_in_use[static_cast<uint32_t>(frame.use)];
  memset(to_virtual(page_round_down(address)), kJunk, kPageSize);
  const uint32_t number = address >> kPageShift;
  frame = {0, Use::kFree, 0, free_list};
  free_list = number;
}

uint32_t references(PhysAddr address) {
  return frame_in_use(address, "asking about").references;
}

void count(guest_abi::MemStat* stat) {
  stat->total = pages_total;
  stat->kernel = pages_in_use[static_cast<uint32_t>(Use::kKernel)];
  stat->page_table = pages_in_use[static_cast<uint32_t>(Use::kPageTable)];
  stat->user = pages_in_use[static_cast<uint32_t>(Use::kUser)];
  stat->free = pages_total - stat->kernel - stat->page_table - stat->user;
  stat->user_shared = pages_shared;
}

}  // namespace twofold::kernel::frames
