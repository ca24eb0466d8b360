// Swap slots: page-sized places on a disk, and who needs what is in them.
//
// A slot is free, or has users (PTEs that name it), or a page in the cache that it is the copy of (pages.h), or is bad
// (the disk has failed on it). A PTE that names a slot is not present and not empty: slot << 12 | kSwapped.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/kernel/paging.h"

namespace twofold::kernel {

class Disk;

namespace swap {

constexpr uint32_t kNoSlot = 0;  // the disk's first page is not used
constexpr PageEntry kSwapped = 1u << 10;
constexpr uint32_t kMaxSlots = 1u << 20;  // what a PTE can name: 4 GiB

constexpr bool is_swapped(PageEntry entry) {
  return (entry & (kPresent | kSwapped)) == kSwapped;
}
constexpr uint32_t slot_of(PageEntry entry) {
  return entry >> kPageShift;
}
constexpr PageEntry entry_for(uint32_t slot) {
  return slot << kPageShift | kSwapped;
}

// Takes the disk that the option swap=NAME names, whole. Without one, or where it cannot be used, there is no swap;
// one line says why. REQUIRES: disks::init
void init();

// Null without swap.
Disk* disk();

// A free slot that nothing holds yet, next to the last one given if that is free; kNoSlot if there is none.
uint32_t allocate();

// PTEs that name the slot. drop_user frees what nobody needs any more.
void add_user(uint32_t slot);
void drop_user(uint32_t slot);
uint32_t users(uint32_t slot);

// The slot's page in the cache, or kNoFrame. attach and detach change page and slot both.
uint32_t cached(uint32_t slot);
void attach(uint32_t slot, uint32_t number);
void detach(uint32_t number);

// What somebody sleeps on who waits for the slot's page.
const void* channel(uint32_t slot);

// The disk has failed on the slot: it is not given out again, and a page that is nowhere else is lost.
void set_bad(uint32_t slot);

// The next search for a free slot begins at the front: a disk that is full, or thinly provisioned and out of room,
// still takes what lies where it has taken something before.
void restart_search();
bool is_bad(uint32_t slot);

// All slots there are to give out, and how many of them are not free (bad ones among them).
uint32_t total();
uint32_t used();

}  // namespace swap
}  // namespace twofold::kernel
