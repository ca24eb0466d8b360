#include "guest/kernel/pages.h"

#include "guest/kernel/page_queue.h"
#include "guest/kernel/swap.h"
#include "guest/kernel/swap_io.h"

namespace twofold::kernel::pages {
namespace {

uint32_t shared = 0;

uint32_t allocate_page(frames::Use use) {
  const uint8_t* const page = frames::allocate(use);
  if (page == nullptr) return kNoFrame;
  const uint32_t number = frames::number_of(to_physical(page));
  page_queue::append(number);
  return number;
}

}  // namespace

uint32_t allocate(UserAddr address) {
  const uint32_t number = allocate_page(frames::Use::kUser);
  if (number != kNoFrame) frames::at(number).page = address >> kPageShift;
  return number;
}

uint32_t allocate_for(uint32_t slot) {
  const uint32_t number = allocate_page(frames::Use::kCache);
  if (number == kNoFrame) return kNoFrame;
  Frame& frame = frames::at(number);
  frame.references = 0;
  frame.busy = frame.loading = frame.young = 1;
  swap::attach(slot, number);
  return number;
}

void add_mapping(uint32_t number, UserAddr address) {
  Frame& frame = frames::at(number);
  if (frame.references == 0) {
    frames::set_use(frame, frames::Use::kUser);
    frame.page = address >> kPageShift;
    frame.young = 0;
  } else if (frame.references == 1) {
    ++shared;
  }
  ++frame.references;
}

void drop_mapping(uint32_t number) {
  Frame& frame = frames::entry(frames::address_of(number));
  if (--frame.references == 1) --shared;
  if (frame.references > 0) return;
  frames::set_use(frame, frames::Use::kCache);
  settle(number);
}

void end_io(uint32_t number) {
  Frame& frame = frames::at(number);
  frame.busy = frame.loading = 0;
  settle(number);
}

void drop(uint32_t number) {
  if (frames::at(number).ahead != 0) swap_io::count_ahead(false);
  swap::detach(number);
  page_queue::remove(number);
  frames::free(frames::address_of(number));
}

void settle(uint32_t number) {
  const Frame& frame = frames::at(number);
  if (frame.references > 0 || frame.busy != 0) return;
  if (frame.slot == swap::kNoSlot || swap::users(frame.slot) == 0) drop(number);
}

uint32_t shared_count() {
  return shared;
}

}  // namespace twofold::kernel::pages
