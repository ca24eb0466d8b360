#include "guest/kernel/oom.h"

#include "guest/kernel/frames.h"
#include "guest/kernel/print.h"
#include "guest/kernel/process.h"
#include "guest/kernel/swap.h"

namespace twofold::kernel::oom {
namespace {

uint32_t killed_count = 0;

}  // namespace

bool kill_largest() {
  Process* largest = nullptr;
  for (Process& process : processes) {
    if (!may_be_killed(process)) continue;
    if (largest == nullptr || process.space.resident_pages() > largest->space.resident_pages()) largest = &process;
  }
  if (largest == nullptr) return false;
  ++killed_count;
  kprintf(
      "out of memory: killed pid %d (%s), the largest, with %u KiB resident and %u KiB swapped out; "
      "%u KiB free, swap %u of %u KiB used\n",
      largest->pid, largest->name, largest->space.resident_pages() * 4, largest->space.swapped_pages() * 4,
      frames::free_count() * 4, swap::used() * 4, swap::total() * 4);
  kill_process(largest->pid);
  return true;
}

bool is_somebody_dying() {
  for (const Process& process : processes) {
    if (process.pid != 0 && process.killed && process.space.exists()) return true;
  }
  return false;
}

uint32_t kills() {
  return killed_count;
}

}  // namespace twofold::kernel::oom
