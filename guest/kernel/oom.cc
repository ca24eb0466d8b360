#include "guest/kernel/oom.h"

#include "guest/kernel/frames.h"
#include "guest/kernel/print.h"
#include "guest/kernel/process.h"
#include "guest/kernel/swap.h"

namespace twofold::kernel::oom {
namespace {

uint32_t killed_count = 0;

// Pages, in memory or on the disk, that its end would set free.
uint32_t size_of(const Process& process) {
  return process.space.resident_pages() + process.space.swapped_pages() + process.space.page_tables();
}

}  // namespace

bool kill_largest() {
  const Process* largest = nullptr;
  for (const Process& process : processes) {
    if (!may_be_killed(process) || process.leader || !process.space.exists()) continue;
    if (largest == nullptr || size_of(process) > size_of(*largest)) largest = &process;
  }
  if (largest == nullptr) return false;
  ++killed_count;
  const AddressSpace& space = largest->space;
  kprintf(
      "out of memory: killed pid %d (%s), the largest, with %u KiB resident, %u KiB swapped out and %u KiB of page "
      "tables; %u KiB free, swap %u of %u KiB used\n",
      largest->pid, largest->name, space.resident_pages() * 4, space.swapped_pages() * 4, space.page_tables() * 4,
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
