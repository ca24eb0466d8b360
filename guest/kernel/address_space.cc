#include "guest/kernel/address_space.h"

#include "guest/kernel/frames.h"
#include "guest/kernel/pages.h"
#include "guest/kernel/string.h"
#include "guest/kernel/swap.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {

namespace {

constexpr uint32_t kUserTables = directory_index(kUserTop);

PageEntry* table_of(PageEntry directory_entry) {
  return reinterpret_cast<PageEntry*>(to_virtual(entry_address(directory_entry)));
}

}  // namespace

bool AddressSpace::create() {
  *this = {};
  auto* directory = reinterpret_cast<PageEntry*>(frames::allocate_zeroed(frames::Use::kPageTable));
  if (directory == nullptr) return false;
  constexpr uint32_t kKernelPart = (kEntriesPerTable - kUserTables) * sizeof(PageEntry);
  memcpy(directory + kUserTables, kernel_page_directory + kUserTables, kKernelPart);
  directory_ = directory;
  return true;
}

bool AddressSpace::create_copy_of(AddressSpace& parent) {
  if (!create()) return false;
  memcpy(segments_, parent.segments_, sizeof(segments_));
  segment_count_ = parent.segment_count_;
  heap_start_ = parent.heap_start_;
  break_ = parent.break_;
  bool complete = true;
  for (uint32_t i = 0; i < kUserTables && complete; ++i) {
    if ((parent.directory_[i] & kPresent) != 0) complete = copy_table(parent, i);
  }
  parent.flush_if_loaded();  // its writable pages have lost that right
  if (!complete) destroy();
  return complete;
}

bool AddressSpace::copy_table(AddressSpace& parent, uint32_t index) {
  PageEntry* const from = table_of(parent.directory_[index]);
  PageEntry* to = nullptr;
  for (uint32_t i = 0; i < kEntriesPerTable; ++i) {
    if (from[i] == 0) continue;
    if (to == nullptr) {  // a table without pages is not worth a copy
      to = reinterpret_cast<PageEntry*>(frames::allocate_zeroed(frames::Use::kPageTable));
      if (to == nullptr) return false;
      directory_[index] = to_physical(to) | kPresent | kWritable | kUser;
    }
    if (swap::is_swapped(from[i])) {
      swap::add_user(swap::slot_of(from[i]));
      to[i] = from[i];
      ++swapped_;
      continue;
    }
    if ((from[i] & kWritable) != 0) from[i] = (from[i] & ~kWritable) | kCopyOnWrite;
    pages::add_mapping(frames::number_of(from[i]), index << 22 | i << kPageShift);
    to[i] = from[i] & ~kAccessed;  // the dirty flag goes along: see pages.h
    ++resident_;
  }
  return true;
}

void AddressSpace::destroy() {
  if (!exists()) return;
  if (x86::read_cr3() == cr3()) x86::write_cr3(to_physical(kernel_page_directory));
  release_range(0, kUserTop);
  for (uint32_t i = 0; i < kUserTables; ++i) {
    if ((directory_[i] & kPresent) != 0) frames::free(entry_address(directory_[i]));
  }
  frames::free(to_physical(directory_));
  *this = {};
}

void AddressSpace::load() const {
  const PhysAddr wanted = exists() ? cr3() : to_physical(kernel_page_directory);
  if (x86::read_cr3() != wanted) x86::write_cr3(wanted);
}

uint32_t AddressSpace::page_tables() const {
  uint32_t count = 0;
  for (uint32_t i = 0; i < kUserTables; ++i) count += directory_[i] & kPresent;
  return count;
}

AddressSpace::Entries AddressSpace::count_entries() const {
  Entries entries{0, 0};
  for (uint32_t i = 0; i < kUserTables; ++i) {
    if ((directory_[i] & kPresent) == 0) continue;
    const PageEntry* const table = table_of(directory_[i]);
    for (uint32_t j = 0; j < kEntriesPerTable; ++j) {
      entries.present += table[j] & kPresent;
      entries.swapped += swap::is_swapped(table[j]) ? 1 : 0;
    }
  }
  return entries;
}

void AddressSpace::flush_if_loaded() const {
  if (x86::read_cr3() == cr3()) x86::write_cr3(cr3());
}

bool AddressSpace::add_segment(const Segment& segment) {
  if (segment_count_ == kMaxSegments) return false;
  segments_[segment_count_++] = segment;
  heap_start_ = max(heap_start_, segment.end);
  break_ = heap_start_;
  return true;
}

bool AddressSpace::move_break(int32_t delta, UserAddr* old_break) {
  // In 64 bits, neither sum nor difference of a 32-bit address and a 32-bit delta overflows.
  const int64_t wanted = static_cast<int64_t>(break_) + delta;
  if (wanted < heap_start_ || wanted > kStackBottom) return false;
  *old_break = break_;
  const auto new_break = static_cast<UserAddr>(wanted);
  if (delta < 0) {
    release_range(page_round_up(new_break), page_round_up(break_));
    flush_if_loaded();
  }
  break_ = new_break;
  return true;
}

PageEntry* AddressSpace::find_entry(UserAddr address) const {
  const PageEntry directory_entry = directory_[directory_index(address)];
  if ((directory_entry & kPresent) == 0) return nullptr;
  return &table_of(directory_entry)[table_index(address)];
}

bool AddressSpace::unmap_if_clean(PageEntry* entry, PageEntry replacement) {
  PageEntry seen = *entry;
  if ((seen & kDirty) != 0) return false;
  // Fails if the processor sets a flag just now: then the page is in use.
  if (!__atomic_compare_exchange_n(entry, &seen, replacement, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return false;
  --resident_;
  if (swap::is_swapped(replacement)) ++swapped_;
  return true;
}

void AddressSpace::unmap(PageEntry* entry, PageEntry replacement) {
  __atomic_store_n(entry, replacement, __ATOMIC_SEQ_CST);
  --resident_;
  if (swap::is_swapped(replacement)) ++swapped_;
}

void AddressSpace::map_again(PageEntry* entry, PhysAddr frame) {
  *entry = frame | kPresent | kUser | kCopyOnWrite | kAccessed | kDirty;
  ++resident_;
  --swapped_;
}

// Gives up the pages in [start, end), both page-aligned; keeps page tables. The caller flushes.
void AddressSpace::release_range(UserAddr start, UserAddr end) {
  for (UserAddr address = start; address < end;) {
    PageEntry* const entry = find_entry(address);
    if (entry == nullptr) {
      address = (address & ~(kLargePageSize - 1)) + kLargePageSize;
      continue;
    }
    const PageEntry old = *entry;
    *entry = 0;
    if ((old & kPresent) != 0) {
      --resident_;
      pages::drop_mapping(frames::number_of(old));
    } else if (swap::is_swapped(old)) {
      --swapped_;
      swap::drop_user(swap::slot_of(old));
    }
    address += kPageSize;
  }
}

}  // namespace twofold::kernel
