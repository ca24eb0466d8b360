// The allocator of page frames.
//
// Invariants
// - Every frame of RAM between 1 MiB and the end of the direct map is exactly one of: never used yet (above its
//   region's frontier), free (on the free list), or in use with at least one reference.
// - A freed frame is filled with kJunk, so that whoever still uses it finds out soon. The free list runs through
//   the frame table, not through the frames: free frames are all alike (and can be merged or ballooned away).
// - Memory never handed out is never touched, nor is its part of the frame table.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"
#include "guest/kernel/layout.h"

namespace twofold::kernel::frames {

enum class Use : uint8_t { kNone, kFree, kKernel, kPageTable, kUser };

constexpr uint8_t kJunk = 0x01;

// Takes the RAM that boot_info lists, less kernel and initrd; an initrd out of the direct map's reach is copied
// down first. Panics if there is too little. Ends with paging::map_kernel.
void init();

// The initrd, in the direct map, after init(). Size 0 if there is none.
const uint8_t* initrd_data();
uint32_t initrd_size();

// A frame with one reference and undefined content; null when memory is full.
[[nodiscard]] uint8_t* allocate(Use use);
[[nodiscard]] uint8_t* allocate_zeroed(Use use);

// Adds a reference to a frame in use.
void share(PhysAddr address);

// Drops a reference; the last one frees the frame. Panics on a frame that is not in use (freed twice).
void release(PhysAddr address);

uint32_t references(PhysAddr address);

// Fills total, free, kernel, page_table, user and user_shared; total is the sum of the four before user_shared.
void count(guest_abi::MemStat* stat);

}  // namespace twofold::kernel::frames
