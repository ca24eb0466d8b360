#include "guest/kernel/die.h"

#include "guest/kernel/cmdline.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/print.h"
#include "guest/kernel/string.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {
namespace {

// Text is mapped read-only, for the kernel too.
void write_to_text() {
  *const_cast<volatile char*>(kernel_start) = 0;
}

void free_twice() {
  uint8_t* const page = frames::allocate(frames::Use::kKernel);
  if (page == nullptr) return;
  frames::free(to_physical(page));
  frames::free(to_physical(page));
}

// As a function that needs too much of the stack would, at its deepest point.
void run_over_stack() {
  this_stack().canary = 0;
  check_stack();
}

void triple_fault() {
  const uint8_t no_table[6] = {};
  asm volatile("lidt (%0); int3" : : "r"(no_table) : "memory");
}

struct Way {
  const char* name;
  void (*die)();
};

constexpr Way kWays[] = {
    {"panic", [] { PANIC("told to"); }}, {"fault", write_to_text},       {"twice-freed", free_twice},
    {"stack", run_over_stack},           {"triple-fault", triple_fault}, {"hang", [] { x86::halt_forever(); }},
};

}  // namespace

void die_if_told() {
  cmdline::Option option;
  if (!cmdline::find("die", &option)) return;
  for (const Way& way : kWays) {
    if (equals_span(way.name, option.value, option.value_length)) way.die();
  }
  PANIC("die=: still alive; know panic, fault, twice-freed, stack, triple-fault and hang");
}

}  // namespace twofold::kernel
