// The guest's end of the balloon: the driver of balloon-driver/, on a virtio-mmio device, and with this kernel's pages.
//
// Two threads: "balloon" brings the balloon to the size that the hypervisor asks for, "reporter" tells it of free
// pages.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "balloon-driver/driver.h"
#include "guest/kernel/firmware_tables.h"

namespace twofold::kernel::balloon {

// Finds the device on the command line, and starts it. Without one there is no balloon, and all below does nothing.
void init(const Platform& platform);

// Starts the threads. REQUIRES: create_first_process
void start();

// Takes pages out of the balloon because there are no others, if the hypervisor allows it: twice as many as the last
// time, if that was not long ago. False if there are none to take. They come later: sleep on channel().
bool give_back_for_oom();
const void* channel();

const ::balloon::Driver::Counts& counts();

}  // namespace twofold::kernel::balloon
