// How pages come: the faults of an AddressSpace.
//
// An attempt never sleeps. Where it needs memory or the disk it starts over after the wait, from nothing: what it knew
// may no longer be so.
#include "guest/kernel/address_space.h"
#include "guest/kernel/disk.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/pages.h"
#include "guest/kernel/reclaim.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/swap.h"
#include "guest/kernel/swap_io.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {

constinit FaultCounts fault_counts{};

namespace {

constexpr uint32_t kFramesPerFault = 2;  // a page, and a page table for it

}  // namespace

struct AddressSpace::Attempt {
  Access access;
  const void* wait_for;  // what to sleep on before the next attempt; null: do not sleep
  bool has_read;         // the disk was waited for: a major fault
};

FaultResult AddressSpace::fault(UserAddr address, Access access) {
  Attempt attempt{access, nullptr, false};
  for (;;) {
    attempt.wait_for = nullptr;
    const FaultResult result = try_fault(address, &attempt);
    if (attempt.wait_for != nullptr) {
      if (!sleep_on(attempt.wait_for)) return FaultResult::kKilled;
      continue;
    }
    reclaim::notice_allocation();
    if (result != FaultResult::kNoMemory) return result;
    if (!reclaim::make_room(kFramesPerFault)) {
      const Process* const self = this_cpu().current;
      return self != nullptr && self->killed ? FaultResult::kKilled : FaultResult::kNoMemory;
    }
  }
}

FaultResult AddressSpace::try_fault(UserAddr address, Attempt* attempt) {
  if (address >= kUserTop) return FaultResult::kProtected;
  PageEntry* entry = find_entry(address);
  if (entry == nullptr || (*entry & kPresent) == 0) {
    bool writable = false;
    if (!may_be_at(address, &writable)) return FaultResult::kUnmapped;
    if (attempt->access == Access::kWrite && !writable) return FaultResult::kProtected;
    const bool swapped = entry != nullptr && swap::is_swapped(*entry);
    const FaultResult result = swapped ? map_swapped(address, writable, entry, attempt) : map_new(address, writable);
    if (result != FaultResult::kServed || attempt->wait_for != nullptr) return result;
    entry = find_entry(address);
  }
  if (attempt->access == Access::kRead || (*entry & kWritable) != 0) return FaultResult::kServed;
  if ((*entry & kCopyOnWrite) == 0) return FaultResult::kProtected;
  return break_sharing(address, entry);
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

// The PTE for `address`, with a new page table if need be; null when memory is full.
PageEntry* AddressSpace::make_entry(UserAddr address) {
  PageEntry& directory_entry = directory_[directory_index(address)];
  if ((directory_entry & kPresent) == 0) {
    const uint8_t* table = frames::allocate_zeroed(frames::Use::kPageTable);
    if (table == nullptr) return nullptr;
    directory_entry = to_physical(table) | kPresent | kWritable | kUser;
  }
  return find_entry(address);
}

// Copies what of the program's file belongs into the page; false if nothing does.
bool AddressSpace::fill_from_file(UserAddr page_address, uint8_t* page) const {
  bool any = false;
  for (uint32_t i = 0; i < segment_count_; ++i) {
    const Segment& segment = segments_[i];
    const UserAddr start = max(page_address, segment.file_start);
    const UserAddr end = min(page_address + kPageSize, segment.file_start + segment.file_bytes);
    if (start >= end) continue;
    memcpy(page + (start - page_address), segment.file + (start - segment.file_start), end - start);
    any = true;
  }
  return any;
}

// What an empty PTE stands for: zeros, and the file's part of them.
FaultResult AddressSpace::map_new(UserAddr address, bool writable) {
  PageEntry* const entry = make_entry(address);
  const uint32_t number = entry != nullptr ? pages::allocate(address) : kNoFrame;
  if (number == kNoFrame) return FaultResult::kNoMemory;
  uint8_t* const page = to_virtual(frames::address_of(number));
  memset(page, 0, kPageSize);
  ++(fill_from_file(page_round_down(address), page) ? fault_counts.file : fault_counts.zero);
  *entry = to_physical(page) | kPresent | kUser | (writable ? kWritable : 0);
  ++resident_;
  return FaultResult::kServed;
}

// Maps a slot's page, if it is in the swap cache; else has it read.
FaultResult AddressSpace::map_swapped(UserAddr address, bool writable, PageEntry* entry, Attempt* attempt) {
  const uint32_t slot = swap::slot_of(*entry);
  if (swap::is_bad(slot)) return FaultResult::kIoError;
  const uint32_t number = swap::cached(slot);
  if (number == kNoFrame || frames::at(number).loading != 0) {
    attempt->has_read = true;
    attempt->wait_for = swap::channel(slot);
    if (number != kNoFrame) return FaultResult::kServed;
    const swap_io::Start start = swap_io::read(slot);
    if (start == swap_io::Start::kNoRequest) attempt->wait_for = swap::disk()->channel();
    if (start != swap_io::Start::kNoMemory) return FaultResult::kServed;
    attempt->wait_for = nullptr;
    return FaultResult::kNoMemory;
  }
  Frame& frame = frames::at(number);
  // Whoever else names the slot, or the disk that still reads the page, must not see what this process writes to it.
  const bool exclusive = swap::users(slot) == 1 && frame.references == 0 && frame.busy == 0;
  const PageEntry rights = !writable ? 0 : exclusive ? kWritable : kCopyOnWrite;
  if (frame.ahead != 0) swap_io::count_ahead(true);
  frame.ahead = 0;
  *entry = frames::address_of(number) | kPresent | kUser | kAccessed | rights;
  ++resident_;
  --swapped_;
  pages::add_mapping(number, address);
  swap::drop_user(slot);
  ++(attempt->has_read ? fault_counts.swap : fault_counts.cache);
  return FaultResult::kServed;
}

// Gives a copy-on-write page a frame of its own, or, to the last that maps the frame, the right to write it. The copy
// is dirty from the start: its content is nowhere else.
FaultResult AddressSpace::break_sharing(UserAddr address, PageEntry* entry) {
  const uint32_t shared = frames::number_of(*entry);
  const PageEntry flags = (*entry & (kPageSize - 1) & ~kCopyOnWrite) | kWritable | kAccessed | kDirty;
  const Frame& frame = frames::at(shared);
  uint32_t own = shared;
  if (frame.references > 1 || frame.busy != 0) {
    own = pages::allocate(address);
    if (own == kNoFrame) return FaultResult::kNoMemory;
    memcpy(to_virtual(frames::address_of(own)), to_virtual(frames::address_of(shared)), kPageSize);
    pages::drop_mapping(shared);
  } else if (frame.slot != swap::kNoSlot && swap::users(frame.slot) > 0) {
    swap::detach(shared);  // others name the slot: they read the page as it was, from the disk
  }
  *entry = frames::address_of(own) | flags;
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

}  // namespace twofold::kernel
