#include "guest/kernel/address_space.h"

#include "guest/kernel/frames.h"
#include "guest/kernel/string.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {

constinit FaultCounts fault_counts{};

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
    if ((from[i] & kPresent) == 0) continue;
    if (to == nullptr) {  // a table without pages is not worth a copy
      to = reinterpret_cast<PageEntry*>(frames::allocate_zeroed(frames::Use::kPageTable));
      if (to == nullptr) return false;
      directory_[index] = to_physical(to) | kPresent | kWritable | kUser;
    }
    if ((from[i] & kWritable) != 0) from[i] = (from[i] & ~kWritable) | kCopyOnWrite;
    frames::share(entry_address(from[i]));
    to[i] = from[i] & ~(kAccessed | kDirty);
    ++resident_;
  }
  return true;
}

void AddressSpace::destroy() {
  if (!exists()) return;
  if (x86::read_cr3() == cr3()) x86::write_cr3(to_physical(kernel_page_directory));
  release_range(0, kUserTop);
  for (uint32_t i = 0; i < kUserTables; ++i) {
    if ((directory_[i] & kPresent) != 0) frames::release(entry_address(directory_[i]));
  }
  frames::release(to_physical(directory_));
  *this = {};
}

void AddressSpace::load() const {
  if (x86::read_cr3() != cr3()) x86::write_cr3(cr3());
}

void AddressSpace::flush_if_loaded() const {
  if (x86::read_cr3() == cr3()) x86::write_cr3(cr3());
}

bool AddressSpace::add_segment(UserAddr start, UserAddr end, bool writable) {
  if (segment_count_ == kMaxSegments) return false;
  segments_[segment_count_++] = {start, end, writable};
  heap_start_ = max(heap_start_, end);
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

// Whether a page may be at `address`; a page that two segments share is writable if one of them is.
bool AddressSpace::may_be_at(UserAddr address, bool* writable) const {
  if (address >= kStackBottom && address < kUserTop) {
    *writable = true;
    return true;
  }
  if (address >= heap_start_ && address < page_round_up(break_)) {
    *writable = true;
    return true;
  }
  bool found = false;
  *writable = false;
  for (uint32_t i = 0; i < segment_count_; ++i) {
    if (address < segments_[i].start || address >= segments_[i].end) continue;
    found = true;
    *writable = *writable || segments_[i].writable;
  }
  return found;
}

// The PTE for `address`; null if its page table does not exist.
PageEntry* AddressSpace::find_entry(UserAddr address) const {
  const PageEntry directory_entry = directory_[directory_index(address)];
  if ((directory_entry & kPresent) == 0) return nullptr;
  return &table_of(directory_entry)[table_index(address)];
}

// The same, with a new page table if need be; null when memory is full.
PageEntry* AddressSpace::make_entry(UserAddr address) {
  PageEntry& directory_entry = directory_[directory_index(address)];
  if ((directory_entry & kPresent) == 0) {
    const uint8_t* table = frames::allocate_zeroed(frames::Use::kPageTable);
    if (table == nullptr) return nullptr;
    directory_entry = to_physical(table) | kPresent | kWritable | kUser;
  }
  return find_entry(address);
}

FaultResult AddressSpace::fault(UserAddr address, Access access) {
  if (address >= kUserTop) return FaultResult::kProtected;
  PageEntry* entry = find_entry(address);
  if (entry != nullptr && (*entry & kPresent) != 0) {
    if (access == Access::kRead || (*entry & kWritable) != 0) return FaultResult::kServed;
    if ((*entry & kCopyOnWrite) == 0) return FaultResult::kProtected;
    return break_sharing(address, entry);
  }
  bool writable = false;
  if (!may_be_at(address, &writable)) return FaultResult::kUnmapped;
  if (access == Access::kWrite && !writable) return FaultResult::kProtected;
  const FaultResult result = map_zeroed(address, writable);
  if (result == FaultResult::kServed) ++fault_counts.zero;
  return result;
}

FaultResult AddressSpace::map_zeroed(UserAddr address, bool writable) {
  PageEntry* const entry = make_entry(address);
  if (entry == nullptr) return FaultResult::kNoMemory;
  const uint8_t* page = frames::allocate_zeroed(frames::Use::kUser);
  if (page == nullptr) return FaultResult::kNoMemory;
  *entry = to_physical(page) | kPresent | kUser | (writable ? kWritable : 0);
  ++resident_;
  return FaultResult::kServed;
}

// Gives a copy-on-write page a frame of its own, or, to the last that maps the frame, the right to write it.
FaultResult AddressSpace::break_sharing(UserAddr address, PageEntry* entry) {
  const PhysAddr shared = entry_address(*entry);
  const PageEntry flags = (*entry & (kPageSize - 1) & ~kCopyOnWrite) | kWritable;
  PhysAddr own = shared;
  if (frames::references(shared) > 1) {
    uint8_t* const page = frames::allocate(frames::Use::kUser);
    if (page == nullptr) return FaultResult::kNoMemory;
    memcpy(page, to_virtual(shared), kPageSize);
    frames::release(shared);
    own = to_physical(page);
  }
  *entry = own | flags;
  x86::invalidate_page(address);
  ++fault_counts.copy_on_write;
  return FaultResult::kServed;
}

FaultResult AddressSpace::resolve(UserAddr address, Access access, uint8_t** pointer) {
  const FaultResult result = fault(address, access);
  if (result != FaultResult::kServed) return result;
  PageEntry* const entry = find_entry(address);
  *entry |= access == Access::kWrite ? (kAccessed | kDirty) : kAccessed;  // as the processor would
  *pointer = to_virtual(entry_address(*entry)) + address % kPageSize;
  return result;
}

FaultResult AddressSpace::resolve_for_loading(UserAddr address, uint8_t** pointer) {
  PageEntry* entry = find_entry(address);
  if (entry == nullptr || (*entry & kPresent) == 0) {
    bool writable = false;
    if (!may_be_at(address, &writable)) return FaultResult::kUnmapped;
    const FaultResult result = map_zeroed(address, writable);
    if (result != FaultResult::kServed) return result;
    entry = find_entry(address);
  }
  *pointer = to_virtual(entry_address(*entry)) + address % kPageSize;
  return FaultResult::kServed;
}

// Frees the pages in [start, end), both page-aligned; keeps page tables. The caller flushes.
void AddressSpace::release_range(UserAddr start, UserAddr end) {
  for (UserAddr address = start; address < end;) {
    PageEntry* const entry = find_entry(address);
    if (entry == nullptr) {
      address = (address & ~(kLargePageSize - 1)) + kLargePageSize;
      continue;
    }
    if ((*entry & kPresent) != 0) {
      frames::release(entry_address(*entry));
      *entry = 0;
      --resident_;
    }
    address += kPageSize;
  }
}

}  // namespace twofold::kernel
