#include "guest/kernel/frames.h"

#include "guest/kernel/print.h"
#include "guest/kernel/string.h"

namespace twofold::kernel::frames {
namespace {

constexpr uint32_t kMinimumFrames = 256;  // besides kernel, initrd and frame table; fewer run no shell

Frame* table = nullptr;  // by frame number; an entry is valid once the frame was handed out
uint32_t free_list = kNoFrame;
uint32_t kept_back = 0;
uint32_t unreported = 0;
constinit uint32_t counts[kUseCount]{};  // by Use; kKernel without what was taken for good

uint32_t& count_of(Use use) {
  return counts[static_cast<uint32_t>(use)];
}

void link_free(uint32_t number, bool reported) {
  Frame& frame = table[number];
  frame = {};
  frame.use = static_cast<uint32_t>(Use::kFree);
  frame.reported = reported ? 1 : 0;
  frame.next = free_list;
  if (free_list != kNoFrame) table[free_list].previous = number;
  free_list = number;
  if (!reported) ++unreported;
}

void unlink_free(uint32_t number) {
  const Frame& frame = table[number];
  if (frame.previous != kNoFrame) {
    table[frame.previous].next = frame.next;
  } else {
    free_list = frame.next;
  }
  if (frame.next != kNoFrame) table[frame.next].previous = frame.previous;
  if (frame.reported == 0) --unreported;
}

// A frame number, or kNoFrame.
uint32_t take_frame() {
  if (free_list == kNoFrame) return ram::hand_out();
  const uint32_t number = free_list;
  unlink_free(number);
  return number;
}

}  // namespace

void init() {
  const uint32_t bytes = ram::end_frame() * sizeof(Frame);
  table = reinterpret_cast<Frame*>(ram::take_contiguous(bytes));
  if (table == nullptr) PANIC("no %u KiB of adjacent memory for the frame table: give the guest more", bytes >> 10);
  ram::copy_initrd();
  if (free_count() < kMinimumFrames) {
    PANIC("%u KiB of memory are left beside kernel and initrd, and %u are the least: give the guest more memory",
          free_count() * 4, kMinimumFrames * 4);
  }
}

void set_reserve(uint32_t count) {
  kept_back = count;
}
uint32_t reserve() {
  return kept_back;
}

uint8_t* allocate(Use use) {
  if (use != Use::kKernel && free_count() <= kept_back) return nullptr;
  const uint32_t number = take_frame();
  if (number == kNoFrame) return nullptr;
  Frame& frame = table[number];
  frame = {};
  frame.references = 1;
  frame.use = static_cast<uint32_t>(use);
  ++count_of(use);
  return to_virtual(address_of(number));
}

uint8_t* allocate_zeroed(Use use) {
  uint8_t* const page = allocate(use);
  if (page != nullptr) memset(page, 0, kPageSize);
  return page;
}

void free(PhysAddr address) {
  --count_of(use_of(entry(address)));
  memset(to_virtual(page_round_down(address)), kJunk, kPageSize);
  link_free(number_of(address), false);
}

void free_untouched(uint32_t number, bool reported) {
  --count_of(use_of(entry(address_of(number))));
  link_free(number, reported);
}

void set_aside(uint32_t number) {
  unlink_free(number);
  table[number] = {};
  table[number].use = static_cast<uint32_t>(Use::kReporting);
  ++count_of(Use::kReporting);
}

uint32_t unreported_count() {
  return unreported;
}

Frame& entry(PhysAddr address) {
  const uint32_t number = number_of(address);
  if (!ram::was_handed_out(number) || use_of(table[number]) == Use::kFree) {
    PANIC("the frame at 0x%x is not in use (freed twice?)", address);
  }
  return table[number];
}

Frame& at(uint32_t number) {
  return table[number];
}

void set_use(Frame& frame, Use use) {
  --count_of(use_of(frame));
  frame.use = static_cast<uint32_t>(use);
  ++count_of(use);
}

uint32_t in_use(Use use) {
  return count_of(use) + (use == Use::kKernel ? ram::taken_frames() : 0);
}

uint32_t free_count() {
  uint32_t used = ram::taken_frames();
  for (const uint32_t count : counts) used += count;
  return ram::total_frames() - used;
}

}  // namespace twofold::kernel::frames
