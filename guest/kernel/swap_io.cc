#include "guest/kernel/swap_io.h"

#include "guest/kernel/disk.h"
#include "guest/kernel/page_queue.h"
#include "guest/kernel/pages.h"
#include "guest/kernel/print.h"
#include "guest/kernel/read_ahead.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/swap.h"

namespace twofold::kernel::swap_io {
namespace {

constexpr uint32_t kMaxPlanned = 16;  // requests
constexpr uint32_t kMaxErrorLines = 8;
constexpr uint32_t kSlotsToReleaseAtOnce = 64;

constinit ReadAhead read_ahead{};
constinit Counts totals{};
DiskRequest* planned[kMaxPlanned];
uint32_t planned_count = 0;
uint32_t pages_in_flight = 0;
uint32_t error_lines = 0;

// A disk that fails a thousand times says so eight times.
bool may_complain() {
  if (error_lines == kMaxErrorLines) return false;
  ++error_lines;
  return true;
}

void forget_page(uint32_t number) {
  Frame& frame = frames::at(number);
  frame.busy = frame.loading = 0;
  pages::drop(number);
}

void on_read(const DiskRequest& request, bool worked) {
  for (uint32_t i = 0; i < request.page_count; ++i) {
    const uint32_t slot = request.first_page + i;
    const uint32_t number = frames::number_of(request.pages[i]);
    if (worked) {
      pages::end_io(number);
    } else {
      forget_page(number);
      if (request.page_count == 1) swap::set_bad(slot);
    }
    wake_up(swap::channel(slot));
  }
  if (worked) {
    totals.ins += request.page_count;
    return;
  }
  ++totals.read_errors;
  if (request.page_count > 1) {
    read_ahead.suspend();
  } else if (may_complain()) {
    kprintf("swap: %s cannot read its page %u: what was in it is lost\n", swap::disk()->name(), request.first_page);
  }
}

// Maps the page again where its unmapping has left the slot's number: what is not written stays in memory.
void put_back(uint32_t number) {
  const Frame& frame = frames::at(number);
  const uint32_t slot = frame.slot;
  const UserAddr address = frame.page << kPageShift;
  for (Process& process : processes) {
    if (swap::users(slot) == 0) break;
    if (process.pid == 0 || !process.space.exists()) continue;
    PageEntry* const entry = process.space.find_entry(address);
    if (entry == nullptr || *entry != swap::entry_for(slot)) continue;
    process.space.map_again(entry, frames::address_of(number));
    pages::add_mapping(number, address);
    swap::drop_user(slot);
  }
  // Those that have mapped it while it was written, too: no slot holds its content any more.
  pages::for_each_mapping(number, [](Process&, PageEntry* entry) { set_entry_bits(entry, kDirty); });
  swap::set_bad(slot);
  swap::detach(number);
}

void on_failed_write(const DiskRequest& request) {
  ++totals.write_errors;
  swap::restart_search();
  if (!may_complain()) return;
  kprintf("swap: %s cannot write its pages %u to %u (is it full?): what they were to hold stays in memory\n",
          swap::disk()->name(), request.first_page, request.first_page + request.page_count - 1);
}

void on_written(const DiskRequest& request, bool worked) {
  pages_in_flight -= request.page_count;
  if (worked) {
    totals.outs += request.page_count;
  } else {
    on_failed_write(request);
  }
  for (uint32_t i = 0; i < request.page_count; ++i) {
    const uint32_t number = frames::number_of(request.pages[i]);
    if (!worked) put_back(number);
    if (frames::at(number).references == 0) {
      forget_page(number);
    } else {
      pages::end_io(number);  // somebody has come back to it meanwhile
    }
  }
}

// Whether the slot's page can be read along with a neighbour's.
bool is_worth_reading(uint32_t slot) {
  return swap::users(slot) > 0 && swap::cached(slot) == kNoFrame && !swap::is_bad(slot);
}

// Adds the slots around `slot` that are worth it, in the aligned window it lies in. Returns the first, and the count.
uint32_t choose_slots(uint32_t slot, uint32_t* count) {
  const uint32_t window = read_ahead.window(slot);
  uint32_t first = slot;
  uint32_t end = slot + 1;
  const uint32_t window_start = slot & ~(window - 1);
  const uint32_t window_end = window_start + window < swap::total() ? window_start + window : swap::total() + 1;
  while (first > window_start && first > 1 && is_worth_reading(first - 1)) --first;
  while (end < window_end && is_worth_reading(end)) ++end;
  *count = end - first;
  return first;
}

// Slots that are kept only as clean copies of pages in memory: given up when none is left, the pages becoming dirty.
void release_copies() {
  uint32_t released = 0;
  uint32_t number = page_queue::head();
  for (; number != kNoFrame && released < kSlotsToReleaseAtOnce; number = page_queue::after(number)) {
    const Frame& frame = frames::at(number);
    if (frame.slot == swap::kNoSlot || swap::users(frame.slot) > 0 || frame.busy != 0) continue;
    const uint32_t found =
        pages::for_each_mapping(number, [](Process&, PageEntry* entry) { set_entry_bits(entry, kDirty); });
    if (found != frame.references) continue;  // a page of exec's: its PTEs are not to be found yet
    swap::detach(number);
    ++released;
  }
}

}  // namespace

Start read(uint32_t slot) {
  Disk& disk = *swap::disk();
  DiskRequest* const request = disk.take_request(false);
  if (request == nullptr) return Start::kNoRequest;
  const uint32_t number = pages::allocate_for(slot);
  if (number == kNoFrame) {
    disk.give_back(request);
    return Start::kNoMemory;
  }
  uint32_t count;
  uint32_t first = choose_slots(slot, &count);
  const uint32_t spare = frames::free_count() - frames::reserve();
  if (count - 1 > spare / 2) {  // read-ahead does not take the last memory
    first = slot;
    count = 1;
  }
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t page = number;
    if (first + i != slot) {
      page = pages::allocate_for(first + i);
      frames::at(page).ahead = 1;
      ++totals.read_ahead;
    }
    request->pages[i] = frames::address_of(page);
  }
  request->first_page = first;
  request->page_count = count;
  request->done = on_read;
  disk.submit(request);
  disk.flush_submitted();
  return Start::kStarted;
}

bool can_write() {
  if (swap::disk() == nullptr) return false;
  if (swap::used() == swap::total()) release_copies();
  return swap::used() < swap::total();
}

bool plan_write(uint32_t number) {
  const uint32_t slot = swap::allocate();
  if (slot == swap::kNoSlot) return false;
  DiskRequest* request = planned_count > 0 ? planned[planned_count - 1] : nullptr;
  if (request == nullptr || request->page_count == DiskRequest::kMaxPages ||
      request->first_page + request->page_count != slot) {
    request = planned_count < kMaxPlanned ? swap::disk()->take_request(true) : nullptr;
    if (request == nullptr) return false;
    request->first_page = slot;
    request->done = on_written;
    planned[planned_count++] = request;
  }
  request->pages[request->page_count++] = frames::address_of(number);
  swap::detach(number);  // other PTEs may name the old slot, and keep it
  swap::attach(slot, number);
  frames::at(number).busy = 1;
  ++pages_in_flight;
  return true;
}

void submit_planned() {
  for (uint32_t i = 0; i < planned_count; ++i) swap::disk()->submit(planned[i]);
  if (planned_count > 0) swap::disk()->flush_submitted();
  planned_count = 0;
}

uint32_t writes_in_flight() {
  return pages_in_flight;
}

void count_ahead(bool needed) {
  read_ahead.learn(needed);
  if (needed) ++totals.ahead_used;
}

const Counts& counts() {
  return totals;
}

}  // namespace twofold::kernel::swap_io
