#include "guest/kernel/paging.h"

#include "guest/kernel/print.h"
#include "guest/kernel/string.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel::paging {
namespace {

constexpr uint32_t kScratchPage = kDeviceWindow;  // of phys_copy
constexpr PageEntry kKernelRw = kPresent | kWritable;

alignas(kPageSize) constinit PageEntry window_table[kEntriesPerTable]{};
uint32_t window_used = 1;  // pages; the first is kScratchPage

// Sets the processor's view of the kernel's half anew, global pages included.
void flush_all() {
  const uint32_t cr4 = x86::read_cr4();
  x86::write_cr4(cr4 & ~x86::kCr4GlobalPages);
  x86::write_cr3(x86::read_cr3());
  x86::write_cr4(cr4);
}

}  // namespace

void init_window() {
  kernel_page_directory[directory_index(kDeviceWindow)] = to_physical(window_table) | kKernelRw;
}

void map_kernel(PhysAddr ram_end) {
  for (PhysAddr address = 0; address < ram_end; address += kLargePageSize) {
    kernel_page_directory[directory_index(kKernBase + address)] = address | kKernelRw | kLarge | kGlobal;
  }
  kernel_page_directory[0] = 0;
  flush_all();
}

uint32_t small_page_tables(PhysAddr ram_end) {
  return (ram_end + kLargePageSize - 1) / kLargePageSize;
}

void map_in_small_pages(PhysAddr ram_end, uint8_t* tables) {
  const PhysAddr text = to_physical(kernel_start);
  const PhysAddr data = to_physical(kernel_data_start);
  auto* const entries = reinterpret_cast<PageEntry*>(tables);
  const uint32_t table_count = small_page_tables(ram_end);
  for (uint32_t i = 0; i < table_count * kEntriesPerTable; ++i) {
    const PhysAddr address = i << kPageShift;
    const bool read_only = address >= text && address < data;
    entries[i] = address | kPresent | kGlobal | (read_only ? 0 : kWritable);
  }
  for (uint32_t i = 0; i < table_count; ++i) {
    kernel_page_directory[directory_index(kKernBase) + i] = (to_physical(tables) + i * kPageSize) | kKernelRw;
  }
  flush_all();
}

void phys_copy(void* to, uint64_t from, uint32_t count) {
  auto* target = static_cast<uint8_t*>(to);
  while (count > 0) {
    const uint32_t offset = static_cast<uint32_t>(from) % kPageSize;
    const uint32_t piece = min(count, kPageSize - offset);
    if (from >= 1ull << 32) {
      memset(target, 0xff, piece);  // beyond what 32-bit paging reaches
    } else {
      window_table[table_index(kScratchPage)] = page_round_down(static_cast<PhysAddr>(from)) | kKernelRw;
      x86::invalidate_page(kScratchPage);
      memcpy(target, reinterpret_cast<const void*>(kScratchPage + offset), piece);
    }
    target += piece;
    from += piece;
    count -= piece;
  }
}

volatile uint8_t* map_device(PhysAddr address, uint32_t size) {
  const uint32_t offset = address % kPageSize;
  const uint32_t pages = (offset + size + kPageSize - 1) / kPageSize;
  if (pages > kEntriesPerTable - window_used) PANIC("no room to map the device at 0x%x", address);
  const uint32_t virtual_address = kDeviceWindow + window_used * kPageSize;
  for (uint32_t i = 0; i < pages; ++i) {
    window_table[window_used++] =
        (page_round_down(address) + i * kPageSize) | kKernelRw | kGlobal | kCacheDisable | kWriteThrough;
  }
  return reinterpret_cast<volatile uint8_t*>(virtual_address + offset);
}

void map_identity(bool on) {
  kernel_page_directory[0] = on ? (kKernelRw | kLarge) : 0;
  flush_all();
}

}  // namespace twofold::kernel::paging
