// Getting memory back: a thread that keeps some free, and everybody's own effort when that is not enough.
//
// Watermarks, in free frames: below `low` the thread wakes and works until `high`; at `min` programs get nothing any
// more and reclaim by themselves, and what is left serves the kernel.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

namespace twofold::kernel::reclaim {

struct Watermarks {
  uint32_t min;
  uint32_t low;
  uint32_t high;
};

// Sets the watermarks, from how much memory there is. REQUIRES: frames::init
void init();
const Watermarks& watermarks();

// Starts the thread, "reclaim". REQUIRES: create_first_process
void start();

// Called by whoever has taken memory: wakes the thread if need be.
void notice_allocation();

// Reclaims until `pages` frames can be had, and makes room by a killing where there is no other way. Sleeps, so all
// that the caller knew of shared state it must look at again. False if the current process has been killed, or if there
// is nothing to be had.
[[nodiscard]] bool make_room(uint32_t pages);

// The same for the balloon: leaves `low` frames free, and kills nobody. False if nothing is to be had just now.
[[nodiscard]] bool make_room_gently(uint32_t pages);

// Since boot.
struct Counts {
  uint32_t examined;  // pages looked at
  uint32_t dropped;   // clean pages given up, without a write
  uint32_t stalls;    // times that a process had to reclaim by itself
};
const Counts& counts();

}  // namespace twofold::kernel::reclaim
