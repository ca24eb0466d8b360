#include "guest/kernel/memory_stat.h"

#include "guest/kernel/balloon.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/oom.h"
#include "guest/kernel/page_queue.h"
#include "guest/kernel/pages.h"
#include "guest/kernel/reclaim.h"
#include "guest/kernel/swap.h"
#include "guest/kernel/swap_io.h"
#include "guest/kernel/timer.h"

namespace twofold::kernel {
namespace {

bool is_page_right(uint32_t number) {
  const Frame& frame = frames::at(number);
  if (frame.slot != swap::kNoSlot && swap::cached(frame.slot) != number) return false;
  if (frames::use_of(frame) == frames::Use::kUser) {
    return frame.references > 0 && pages::for_each_mapping(number, [](Process&, PageEntry*) {}) == frame.references;
  }
  return frame.references == 0 && frame.slot != swap::kNoSlot && (frame.busy != 0 || swap::users(frame.slot) > 0);
}

bool is_page(uint32_t number) {
  if (!ram::was_handed_out(number)) return false;
  const frames::Use use = frames::use_of(frames::at(number));
  return use == frames::Use::kUser || use == frames::Use::kCache;
}

}  // namespace

guest_abi::MemStat memory_stat() {
  guest_abi::MemStat stat{};
  stat.total = ram::total_frames();
  // Those set aside while the hypervisor is told of them are free in all but the name, and soon again in that.
  stat.free = frames::free_count() + frames::in_use(frames::Use::kReporting);
  stat.kernel = frames::in_use(frames::Use::kKernel);
  stat.page_table = frames::in_use(frames::Use::kPageTable);
  stat.user = frames::in_use(frames::Use::kUser);
  stat.user_shared = pages::shared_count();
  stat.cache = frames::in_use(frames::Use::kCache);
  stat.ticks_per_second = timer::kTicksPerSecond;

  stat.faults_zero = fault_counts.zero;
  stat.faults_file = fault_counts.file;
  stat.faults_cow = fault_counts.copy_on_write;
  stat.faults_cache = fault_counts.cache;
  stat.faults_swap = fault_counts.swap;
  stat.faults_killed = fault_counts.killed;

  stat.swap_total = swap::total();
  stat.swap_used = swap::used();
  stat.swap_ins = swap_io::counts().ins;
  stat.swap_outs = swap_io::counts().outs;
  stat.read_ahead = swap_io::counts().read_ahead;
  stat.read_ahead_used = swap_io::counts().ahead_used;
  stat.swap_errors = swap_io::counts().read_errors + swap_io::counts().write_errors;

  stat.scanned = reclaim::counts().examined;
  stat.dropped = reclaim::counts().dropped;
  stat.stalls = reclaim::counts().stalls;
  stat.oom_kills = oom::kills();
  stat.balloon = frames::in_use(frames::Use::kBalloon);
  stat.balloon_oom = balloon::counts().oom_pages;
  stat.reported = balloon::counts().reported;
  stat.free_min = reclaim::watermarks().min;
  stat.free_low = reclaim::watermarks().low;
  stat.free_high = reclaim::watermarks().high;
  return stat;
}

uint32_t audit_memory() {
  uint32_t wrong = 0;
  uint32_t page_count = 0;
  uint32_t references = 0;
  for (uint32_t number = 0; number < ram::end_frame(); ++number) {
    if (!is_page(number)) continue;
    ++page_count;
    references += frames::at(number).references;
    if (!is_page_right(number)) ++wrong;
  }
  if (page_count != page_queue::length()) ++wrong;

  uint32_t mapped = 0;
  uint32_t named = 0;
  for (const Process& process : processes) {
    if (process.pid == 0 || !process.space.exists()) continue;
    const AddressSpace::Entries entries = process.space.count_entries();
    if (entries.present != process.space.resident_pages() || entries.swapped != process.space.swapped_pages()) ++wrong;
    mapped += entries.present;
    named += entries.swapped;
  }
  uint32_t users = 0;
  for (uint32_t slot = 1; slot <= swap::total(); ++slot) users += swap::users(slot);
  if (mapped != references) ++wrong;
  if (named != users) ++wrong;
  return wrong;
}

}  // namespace twofold::kernel
