// The kernel's own page tables, and the format of all of them (SDM vol. 3, 4.3: 32-bit paging).
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel {

using PageEntry = uint32_t;  // PDE or PTE

constexpr uint32_t kEntriesPerTable = 1024;
constexpr PageEntry kPresent = 1u << 0;
constexpr PageEntry kWritable = 1u << 1;
constexpr PageEntry kUser = 1u << 2;
constexpr PageEntry kWriteThrough = 1u << 3;
constexpr PageEntry kCacheDisable = 1u << 4;
constexpr PageEntry kAccessed = 1u << 5;
constexpr PageEntry kDirty = 1u << 6;
constexpr PageEntry kLarge = 1u << 7;        // PDE only
constexpr PageEntry kGlobal = 1u << 8;       // stays in the TLB across CR3 switches
constexpr PageEntry kCopyOnWrite = 1u << 9;  // ours: the page is writable, but shared; bits 9..11 are software's

constexpr uint32_t directory_index(uint32_t address) {
  return address >> 22;
}
constexpr uint32_t table_index(uint32_t address) {
  return (address >> kPageShift) & (kEntriesPerTable - 1);
}
constexpr PhysAddr entry_address(PageEntry entry) {
  return page_round_down(entry);
}

// Changes of a PTE that a processor may be setting flags in at the same time.
inline PageEntry set_entry_bits(PageEntry* entry, PageEntry bits) {
  return __atomic_fetch_or(entry, bits, __ATOMIC_RELAXED);
}
inline PageEntry clear_entry_bits(PageEntry* entry, PageEntry bits) {
  return __atomic_fetch_and(entry, ~bits, __ATOMIC_RELAXED);
}

extern "C" PageEntry kernel_page_directory[kEntriesPerTable];

namespace paging {

// Makes phys_copy and map_device work. REQUIRES: entry.S's first mapping.
void init_window();

// Replaces entry.S's mapping: maps RAM up to `ram_end` at kKernBase in 4 MiB pages, and unmaps the user half.
// REQUIRES: ram_end <= kDirectMapLimit
void map_kernel(PhysAddr ram_end);

// Page tables that map_in_small_pages needs: so many, adjacent.
uint32_t small_page_tables(PhysAddr ram_end);

// The same mapping in 4 KiB pages, so that each address takes two levels to walk, and text and constants are read-only
// for the kernel too. `tables` are the kernel's for good.
void map_in_small_pages(PhysAddr ram_end, uint8_t* tables);

// Copies `count` bytes from any guest-physical address, RAM that the direct map does not reach included. Memory
// that is not there reads as whatever the machine gives (all ones, as a rule).
void phys_copy(void* to, uint64_t from, uint32_t count);

// Maps device registers, uncached, for good. Panics when the window is full (that takes about 1000 pages).
volatile uint8_t* map_device(PhysAddr address, uint32_t size);

// Maps 0..4 MiB to itself, or ends that; for processors on their way into paging.
void map_identity(bool on);

}  // namespace paging
}  // namespace twofold::kernel
