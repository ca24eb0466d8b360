// The queue of user pages: oldest first, by when they came in, or by when reclaim last found them in use.
//
// Doubly linked through the frame table. Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/kernel/frames.h"

namespace twofold::kernel::page_queue {

// The oldest, or kNoFrame; and who comes after `number`, or kNoFrame.
uint32_t head();
uint32_t after(uint32_t number);
uint32_t length();

void append(uint32_t number);
void remove(uint32_t number);
inline void move_to_tail(uint32_t number) {
  remove(number);
  append(number);
}

}  // namespace twofold::kernel::page_queue
