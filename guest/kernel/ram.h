// Which memory there is: the loader's ranges as regions of frames, and what boot takes out of them for good.
//
// Frames are handed out from a region's start on, one by one, and taken for good from its end. What lies between has
// never been touched, and costs a hypervisor nothing.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel::ram {

constexpr uint32_t kNoFrame = 0;  // low memory is never handed out, so frame number 0 can stand for none

// Takes the RAM that boot_info lists, less the kernel and an initrd in reach, and maps it: in 4 KiB pages, or in 4 MiB
// pages with the option pse=on.
void init();

// Copies an initrd that the direct map does not reach into reach. Panics if there is no room.
void copy_initrd();

// The initrd, in the direct map. Size 0 if there is none.
const uint8_t* initrd_data();
uint32_t initrd_size();

// All frames there are, and those among them that were taken for good.
uint32_t total_frames();
uint32_t taken_frames();

// One more than the largest frame number there is.
uint32_t end_frame();

// Takes adjacent frames for good; undefined content. Null if no region has so many left.
uint8_t* take_contiguous(uint32_t bytes);

// Hands out the next frame that has never been used: its number, or kNoFrame.
uint32_t hand_out();
bool was_handed_out(uint32_t number);

}  // namespace twofold::kernel::ram
