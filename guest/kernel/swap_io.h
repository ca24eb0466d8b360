// Pages on their way between memory and the swap disk.
//
// Thread safety: the big kernel lock. Nothing here sleeps.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel::swap_io {

enum class Start { kStarted, kNoMemory, kNoRequest };

// Starts to read the slot's page into the swap cache, and its neighbours' where that has paid of late. The page wakes
// those who sleep on swap::channel(slot) when it is there, or is known to be lost. REQUIRES: not cached
Start read(uint32_t slot);

// Whether pages can be written at all: there is a swap disk that works and has room, if only for now.
bool can_write();

// Gives the page a new slot and a place in a request, and makes it busy; the caller unmaps it and then calls
// submit_planned(). False, and nothing has changed, if no request or no slot is left.
[[nodiscard]] bool plan_write(uint32_t number);

// Sends all planned writes off. REQUIRES: nobody can write to these pages any more (tlb::flush)
void submit_planned();

// Pages that are being written. What waits for them, or for a request, sleeps on the disk's channel.
uint32_t writes_in_flight();

// A page of the cache that was read ahead was needed, or was dropped before that.
void count_ahead(bool needed);

// Since boot, in pages unless a name says otherwise.
struct Counts {
  uint32_t ins;
  uint32_t outs;
  uint32_t read_ahead;    // of ins: read before anybody asked
  uint32_t ahead_used;    // of those: asked for later
  uint32_t read_errors;   // requests
  uint32_t write_errors;  // requests
};
const Counts& counts();

}  // namespace twofold::kernel::swap_io
