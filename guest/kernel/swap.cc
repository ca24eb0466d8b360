#include "guest/kernel/swap.h"

#include "guest/kernel/cmdline.h"
#include "guest/kernel/disk.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/pages.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"

namespace twofold::kernel::swap {
namespace {

struct Slot {
  uint32_t frame : 20;  // kNoFrame: none
  uint32_t users : 8;
  uint32_t bad : 1;
  uint32_t unused : 3;

  [[nodiscard]] bool is_free() const { return frame == kNoFrame && users == 0 && bad == 0; }
};
static_assert(sizeof(Slot) == 4 && guest_abi::kMaxProcs < 1u << 8);

Slot* slots = nullptr;  // by slot number
Disk* swap_disk = nullptr;
uint32_t slot_end = 0;
uint32_t slots_used = 0;
uint32_t cursor = 1;  // where the next search for a free slot begins

// A slot that was free has got a holder, or has lost its last one.
void count_change(bool was_free, const Slot& slot) {
  if (was_free == slot.is_free()) return;
  slots_used += was_free ? 1 : -1u;
}

template <typename Change>
void change(uint32_t number, Change action) {
  Slot& slot = slots[number];
  const bool was_free = slot.is_free();
  action(slot);
  count_change(was_free, slot);
}

Disk* named_disk() {
  cmdline::Option option;
  if (!cmdline::find("swap", &option) || option.value_length == 0) return nullptr;
  Disk* const disk = disks::find(option.value, option.value_length);
  if (disk != nullptr) return disk;
  char name[16];
  copy_string(name, option.value, min<uint32_t>(option.value_length + 1, sizeof(name)));
  kprintf("swap: there is no disk %s here (%u virtio-mmio disks); going on without swap\n", name, disks::count());
  return nullptr;
}

}  // namespace

void init() {
  Disk* const wanted = named_disk();
  if (wanted == nullptr) return;
  if (wanted->read_only()) {
    kprintf("swap: %s is read-only; going on without swap\n", wanted->name());
    return;
  }
  const uint32_t pages = static_cast<uint32_t>(min<uint64_t>(wanted->sectors() / kSectorsPerPage, kMaxSlots));
  if (pages < 2) {
    kprintf("swap: %s has %u bytes, and two pages of %u are the least; going on without swap\n", wanted->name(),
            static_cast<uint32_t>(wanted->sectors()) * kSectorSize, kPageSize);
    return;
  }
  slots = reinterpret_cast<Slot*>(ram::take_contiguous(pages * sizeof(Slot)));
  if (slots == nullptr) {
    kprintf("swap: no %u KiB of adjacent memory to keep account of %s; going on without swap\n",
            pages * static_cast<uint32_t>(sizeof(Slot)) >> 10, wanted->name());
    return;
  }
  memset(slots, 0, pages * sizeof(Slot));
  slot_end = pages;
  swap_disk = wanted;
}

Disk* disk() {
  return swap_disk;
}

uint32_t allocate() {
  if (slots_used == total()) return kNoSlot;
  for (uint32_t i = 1; i < slot_end; ++i) {
    const uint32_t candidate = cursor;
    cursor = cursor + 1 < slot_end ? cursor + 1 : 1;
    if (slots[candidate].is_free()) return candidate;
  }
  return kNoSlot;
}

void add_user(uint32_t slot) {
  change(slot, [](Slot& entry) { ++entry.users; });
}

void drop_user(uint32_t slot) {
  change(slot, [](Slot& entry) { --entry.users; });
  if (slots[slot].frame != kNoFrame) pages::settle(slots[slot].frame);
}

uint32_t users(uint32_t slot) {
  return slots[slot].users;
}
uint32_t cached(uint32_t slot) {
  return slots[slot].frame;
}

void attach(uint32_t slot, uint32_t number) {
  change(slot, [=](Slot& entry) { entry.frame = number; });
  frames::at(number).slot = slot;
}

void detach(uint32_t number) {
  Frame& frame = frames::at(number);
  if (frame.slot == kNoSlot) return;
  change(frame.slot, [](Slot& entry) { entry.frame = kNoFrame; });
  frame.slot = kNoSlot;
}

const void* channel(uint32_t slot) {
  return &slots[slot];
}

void set_bad(uint32_t slot) {
  change(slot, [](Slot& entry) { entry.bad = 1; });
}
void restart_search() {
  cursor = 1;
}
bool is_bad(uint32_t slot) {
  return slots[slot].bad != 0;
}

uint32_t total() {
  return slot_end > 0 ? slot_end - 1 : 0;
}
uint32_t used() {
  return slots_used;
}

}  // namespace twofold::kernel::swap
