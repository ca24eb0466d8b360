#include "guest/kernel/reclaim.h"

#include "guest/kernel/balloon.h"
#include "guest/kernel/disk.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/oom.h"
#include "guest/kernel/page_queue.h"
#include "guest/kernel/pages.h"
#include "guest/kernel/print.h"
#include "guest/kernel/process.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/swap.h"
#include "guest/kernel/swap_io.h"
#include "guest/kernel/tlb.h"
#include "guest/kernel/victims.h"

namespace twofold::kernel::reclaim {
namespace {

constexpr uint32_t kBatch = 16;  // pages that one scan is to give up
// Pages looked at without any success, as a multiple of all there are, after which there is nothing to be had. Twice
// clears all accessed flags; the rest is for victims that are drawn by lot.
constexpr uint32_t kHopeless = 4;

constinit Watermarks marks{};
constinit Counts totals{};
constinit const char thread_channel{};
constexpr uint32_t kTicksOfRest = 10;  // of the thread, when it has found nothing to be had
bool thread_sleeps = false;
uint32_t wake_not_before = 0;  // uptime ticks

struct Progress {
  uint32_t examined;
  uint32_t freed;
  uint32_t writing;  // pages whose write has begun
  bool congested;    // more would be written if a request were free

  [[nodiscard]] bool is_some() const { return freed + writing > 0; }
};

// Takes the page from all that map it, unless one has written to it since it was judged. What is in their PTEs instead
// is what it is clean against. Only the PTE of a page's one owner can have become dirty: shared ones are read-only.
void unmap_clean(uint32_t number) {
  Frame& frame = frames::at(number);
  const UserAddr address = frame.page << kPageShift;
  const uint32_t slot = frame.slot;
  frame.busy = 1;  // until other processors have forgotten it
  uint32_t dropped = 0;
  pages::for_each_mapping(number, [&](Process& process, PageEntry* entry) {
    if (!process.space.unmap_if_clean(entry, slot != swap::kNoSlot ? swap::entry_for(slot) : 0)) return;
    if (slot != swap::kNoSlot) swap::add_user(slot);
    tlb::mark(process, address);
    ++dropped;
  });
  for (; dropped > 0; --dropped) pages::drop_mapping(number);
}

// Frees it, if unmap_clean has. REQUIRES: tlb::flush in between
uint32_t finish_clean(uint32_t number) {
  Frame& frame = frames::at(number);
  frame.busy = 0;
  if (frame.references > 0) return 0;
  pages::drop(number);
  return 1;
}

void unmap_dirty(uint32_t number) {
  const Frame& frame = frames::at(number);
  const UserAddr address = frame.page << kPageShift;
  const uint32_t slot = frame.slot;
  uint32_t dropped = 0;
  pages::for_each_mapping(number, [&](Process& process, PageEntry* entry) {
    process.space.unmap(entry, swap::entry_for(slot));
    swap::add_user(slot);
    tlb::mark(process, address);
    ++dropped;
  });
  for (; dropped > 0; --dropped) pages::drop_mapping(number);
}

// Looks at a few pages and gives some up, clean ones at once, dirty ones by beginning to write them.
Progress scan() {
  static constinit Victims victims{};
  victims::choose(kBatch, swap_io::can_write(), &victims);
  Progress progress{victims.examined, 0, 0, false};
  for (uint32_t i = 0; i < victims.clean_count; ++i) unmap_clean(victims.clean[i]);
  const uint32_t wanted = kBatch - min(kBatch, victims.clean_count);
  for (uint32_t i = 0; i < victims.dirty_count && progress.writing < wanted; ++i) {
    progress.congested = !swap_io::plan_write(victims.dirty[i]);
    if (progress.congested) break;
    unmap_dirty(victims.dirty[i]);
    ++progress.writing;
  }
  tlb::flush();
  for (uint32_t i = 0; i < victims.clean_count; ++i) progress.freed += finish_clean(victims.clean[i]);
  swap_io::submit_planned();
  totals.examined += progress.examined;
  totals.dropped += progress.freed;
  return progress;
}

// Whether nothing is to be had: nothing is on its way, and all pages were looked at more than once in vain.
bool is_hopeless(uint32_t fruitless) {
  return swap_io::writes_in_flight() == 0 && fruitless > kHopeless * page_queue::length();
}

[[noreturn]] void thread_main() {
  for (;;) {
    uint32_t fruitless = 0;
    while (frames::free_count() + swap_io::writes_in_flight() < marks.high && !is_hopeless(fruitless)) {
      const Progress progress = scan();
      fruitless = progress.is_some() ? 0 : fruitless + progress.examined + 1;
      (void)(progress.congested ? sleep_on(swap::disk()->channel()) : preempt_point());
    }
    if (is_hopeless(fruitless)) wake_not_before = uptime_ticks() + kTicksOfRest;
    thread_sleeps = true;
    (void)sleep_on(&thread_channel);
    thread_sleeps = false;
  }
}

// Does what may bring memory, or waits for it. False if the current process has been killed.
bool try_once(uint32_t wanted, uint32_t* fruitless) {
  const bool enough_on_its_way = frames::free_count() + swap_io::writes_in_flight() >= wanted;
  const Progress progress = enough_on_its_way ? Progress{} : scan();
  *fruitless = progress.is_some() ? 0 : *fruitless + progress.examined + 1;
  if (progress.freed > 0) return true;
  if (enough_on_its_way || progress.congested) return sleep_on(swap::disk()->channel());
  return preempt_point();
}

}  // namespace

void init() {
  constexpr uint32_t kSmallestReserve = 16;
  constexpr uint32_t kLargestReserve = 256;
  marks.min = min(max(ram::total_frames() / 128, kSmallestReserve), kLargestReserve);
  marks.low = 2 * marks.min;
  marks.high = 3 * marks.min;
  frames::set_reserve(marks.min);
  victims::init();
}

const Watermarks& watermarks() {
  return marks;
}

void start() {
  create_kernel_thread("reclaim", thread_main);
}

void notice_allocation() {
  if (!thread_sleeps || frames::free_count() >= marks.low) return;
  if (static_cast<int32_t>(uptime_ticks() - wake_not_before) >= 0) wake_up(&thread_channel);
}

bool make_room(uint32_t pages) {
  if (this_cpu().current == nullptr) return false;  // at boot nobody has anything to give
  const uint32_t wanted = marks.min + pages;
  if (frames::free_count() < wanted) ++totals.stalls;
  uint32_t fruitless = 0;
  while (frames::free_count() < wanted) {
    if (oom::is_somebody_dying()) {
      fruitless = 0;
      if (!sleep_ticks(1)) return false;
    } else if (!is_hopeless(fruitless)) {
      if (!try_once(wanted, &fruitless)) return false;
    } else if (balloon::give_back_for_oom()) {
      fruitless = 0;
      if (!sleep_on(balloon::channel())) return false;
    } else if (!oom::kill_largest()) {
      return false;
    }
  }
  return true;
}

bool make_room_gently(uint32_t pages) {
  const uint32_t wanted = marks.low + pages;
  uint32_t fruitless = 0;
  while (frames::free_count() < wanted) {
    if (is_hopeless(fruitless) || !try_once(wanted, &fruitless)) return false;
  }
  return true;
}

const Counts& counts() {
  return totals;
}

}  // namespace twofold::kernel::reclaim
