// The allocator of page frames, and the table with one entry for each.
//
// Invariants
// - Every frame of RAM between 1 MiB and the end of the direct map is exactly one of: taken for good or never used yet
//   (ram.h), free (on the free list), or in use.
// - A freed frame is filled with kJunk, so that whoever still uses it finds out soon. The free list runs through
//   the frame table, not through the frames: free frames are all alike (and can be merged or ballooned away).
// - Memory never handed out is never touched, nor is its part of the frame table.
// - Frames for programs and their page tables stop being given out while the reserve is left: with that, reclaim and
//   the kernel go on.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"
#include "guest/kernel/layout.h"
#include "guest/kernel/ram.h"

namespace twofold::kernel {

using ram::kNoFrame;

// What is known of a frame. The members from `page` on, and the queue's links, are those of user pages (pages.h).
struct Frame {
  uint32_t next : 20;        // frame numbers: of the free list, or of the page queue
  uint32_t references : 12;  // a user page: the PTEs that map it; else 1
  uint32_t previous : 20;    // the same
  uint32_t use : 4;          // frames::Use
  uint32_t busy : 1;         // a disk reads or writes it
  uint32_t loading : 1;      // busy, and its content is not there yet
  uint32_t ahead : 1;        // read ahead of its need, and not needed yet
  uint32_t young : 1;        // not mapped yet since it was read: no victim at first sight
  uint32_t reported : 1;     // free, and the hypervisor knows
  uint32_t unused : 3;
  uint32_t page;  // virtual page number: where all that map it map it
  uint32_t slot;  // that the disk has a copy in, or is to have; 0: none
};
static_assert(sizeof(Frame) == 16);

namespace frames {

// kReporting: free, and set aside while the hypervisor is told so.
enum class Use : uint8_t { kNone, kFree, kKernel, kPageTable, kUser, kCache, kBalloon, kReporting };
constexpr uint32_t kUseCount = 8;

constexpr uint8_t kJunk = 0x01;

// Makes the table. Panics if there is too little memory. REQUIRES: ram::init
void init();

// From now on keeps so many frames back from programs.
void set_reserve(uint32_t count);
uint32_t reserve();

// A frame in use, with one reference and undefined content; null when memory is full.
[[nodiscard]] uint8_t* allocate(Use use);
[[nodiscard]] uint8_t* allocate_zeroed(Use use);

// Frees a frame in use. Panics on one that is not (freed twice).
void free(PhysAddr address);

// The same without a touch of what is in it: for a frame that has no memory behind it just now.
void free_untouched(uint32_t number, bool reported);

// Takes a free frame out of the others' reach, for kReporting.
void set_aside(uint32_t number);

// Free frames that the hypervisor does not know of: used once, and not reported since.
uint32_t unreported_count();

// The entry of a frame in use; panics if it is not.
Frame& entry(PhysAddr address);

// By number. REQUIRES: ram::was_handed_out
Frame& at(uint32_t number);
inline uint32_t number_of(PhysAddr address) {
  return address >> kPageShift;
}
inline PhysAddr address_of(uint32_t number) {
  return number << kPageShift;
}

// Moves a frame in use from one use to another, in the books.
void set_use(Frame& frame, Use use);
inline Use use_of(const Frame& frame) {
  return static_cast<Use>(frame.use);
}

uint32_t in_use(Use use);

// Frames that nobody uses, the reserve among them.
uint32_t free_count();

}  // namespace frames
}  // namespace twofold::kernel
