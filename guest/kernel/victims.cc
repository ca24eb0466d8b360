#include "guest/kernel/victims.h"

#include "guest/kernel/cmdline.h"
#include "guest/kernel/page_queue.h"
#include "guest/kernel/pages.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"
#include "guest/kernel/tlb.h"

namespace twofold::kernel {

bool Victims::has(uint32_t number) const {
  for (uint32_t i = 0; i < clean_count; ++i) {
    if (clean[i] == number) return true;
  }
  for (uint32_t i = 0; i < dirty_count; ++i) {
    if (dirty[i] == number) return true;
  }
  return false;
}

namespace victims {
namespace {

// Pages that one choice looks at: far enough to find clean ones between the dirty, and soon done.
constexpr uint32_t kWindow = 64;
constexpr uint32_t kMaxRandomTries = 16 * kWindow;

enum class Verdict { kKeep, kClean, kDirty };

struct Policy {
  const char* name;
  void (*choose)(uint32_t target, bool dirty_too, Victims* victims);
};

// Nobody maps it: it came from its slot, which still has it.
Verdict judge_cached(Frame& frame) {
  if (frame.young == 0) return Verdict::kClean;
  frame.young = 0;
  return Verdict::kKeep;
}

Verdict judge(uint32_t number, bool second_chance) {
  Frame& frame = frames::at(number);
  if (frame.busy != 0) return Verdict::kKeep;
  if (frame.references == 0) return judge_cached(frame);
  const UserAddr address = frame.page << kPageShift;
  PageEntry seen = 0;
  const uint32_t found = pages::for_each_mapping(number, [&](Process& process, PageEntry* entry) {
    if (!second_chance) {
      seen |= *entry;
    } else if ((*entry & kAccessed) != 0) {
      seen |= clear_entry_bits(entry, kAccessed);
      tlb::mark_lazily(process, address);  // or the processor would not set it again
    } else {
      seen |= *entry;
    }
  });
  if (found != frame.references) return Verdict::kKeep;  // a page of a program that exec is building
  if (second_chance && (seen & kAccessed) != 0) return Verdict::kKeep;
  return (seen & kDirty) != 0 ? Verdict::kDirty : Verdict::kClean;
}

// Takes the page if it may go and there is room for it. False if it is to stay.
bool take(uint32_t number, Verdict verdict, bool dirty_too, Victims* victims) {
  if (verdict == Verdict::kKeep || (verdict == Verdict::kDirty && !dirty_too)) return false;
  const bool clean = verdict == Verdict::kClean;
  uint32_t& count = clean ? victims->clean_count : victims->dirty_count;
  if (count < Victims::kMax) (clean ? victims->clean : victims->dirty)[count++] = number;
  return true;
}

// Walks the queue from its old end, until there are enough clean pages. Whoever stays goes to the tail; cold dirty
// pages stay where they are, and are the first to go when clean ones are wanting.
void choose_by_clock(uint32_t target, bool dirty_too, Victims* victims) {
  const uint32_t limit = min(kWindow, page_queue::length());
  uint32_t number = page_queue::head();
  while (victims->examined < limit && victims->clean_count < target) {
    const uint32_t next = page_queue::after(number);
    ++victims->examined;
    if (!take(number, judge(number, true), dirty_too, victims)) page_queue::move_to_tail(number);
    number = next;
  }
}

void choose_by_age(uint32_t target, bool dirty_too, Victims* victims) {
  const uint32_t limit = min(kWindow, page_queue::length());
  uint32_t number = page_queue::head();
  while (victims->examined < limit && victims->clean_count + victims->dirty_count < target) {
    const uint32_t next = page_queue::after(number);
    ++victims->examined;
    if (!take(number, judge(number, false), dirty_too, victims)) page_queue::move_to_tail(number);
    number = next;
  }
}

// Marsaglia's xorshift: any fixed seed will do.
uint32_t next_random() {
  static constinit uint32_t state = 2463534242;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

void choose_by_lot(uint32_t target, bool dirty_too, Victims* victims) {
  for (uint32_t i = 0; i < kMaxRandomTries; ++i) {
    if (victims->clean_count + victims->dirty_count == target || victims->examined == kWindow) return;
    const uint32_t number = next_random() % ram::end_frame();
    if (!ram::was_handed_out(number)) continue;
    const frames::Use use = frames::use_of(frames::at(number));
    if ((use != frames::Use::kUser && use != frames::Use::kCache) || victims->has(number)) continue;
    ++victims->examined;
    take(number, judge(number, false), dirty_too, victims);
  }
}

constexpr Policy kPolicies[] = {{"clock", choose_by_clock}, {"fifo", choose_by_age}, {"random", choose_by_lot}};
const Policy* policy = &kPolicies[0];

}  // namespace

void init() {
  cmdline::Option option;
  if (!cmdline::find("policy", &option)) return;
  for (const Policy& candidate : kPolicies) {
    if (!equals_span(candidate.name, option.value, option.value_length)) continue;
    policy = &candidate;
    return;
  }
  kprintf("policy=: there are clock, fifo and random; going on with %s\n", policy->name);
}

const char* policy_name() {
  return policy->name;
}

void choose(uint32_t target, bool dirty_too, Victims* victims) {
  victims->clean_count = victims->dirty_count = victims->examined = 0;
  policy->choose(target, dirty_too, victims);
}

}  // namespace victims
}  // namespace twofold::kernel
