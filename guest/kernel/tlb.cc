#include "guest/kernel/tlb.h"

#include "guest/kernel/cpu.h"
#include "guest/kernel/lapic.h"
#include "guest/kernel/trap.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel::tlb {
namespace {

uint32_t marked = 0;  // by processor: bit n for cpus[n]

// Forgets it here if `process` runs here. Returns the other processor that runs it, or null.
Cpu* forget_here(const Process& process, UserAddr address) {
  for (uint32_t i = 0; i < cpu_count; ++i) {
    if (cpus[i].current != &process) continue;
    if (&cpus[i] != &this_cpu()) return &cpus[i];
    x86::invalidate_page(address);
  }
  return nullptr;
}

}  // namespace

void mark(const Process& process, UserAddr address) {
  if (const Cpu* const other = forget_here(process, address); other != nullptr) marked |= 1u << other->id;
}

void mark_lazily(const Process& process, UserAddr address) {
  if (Cpu* const other = forget_here(process, address); other != nullptr) {
    __atomic_store_n(&other->flush_wanted, true, __ATOMIC_SEQ_CST);
  }
}

// The store of flush_wanted and the loads of it in serve() are a pair, and so are serve()'s store and the load here.
void flush() {
  for (uint32_t i = 0; i < cpu_count; ++i) {
    if ((marked & 1u << i) == 0) continue;
    __atomic_store_n(&cpus[i].flush_wanted, true, __ATOMIC_SEQ_CST);
    lapic::send_interrupt(cpus[i].apic_id, kVectorFlush);
  }
  for (uint32_t i = 0; i < cpu_count; ++i) {
    if ((marked & 1u << i) == 0) continue;
    while (__atomic_load_n(&cpus[i].flush_wanted, __ATOMIC_ACQUIRE)) x86::pause();
  }
  marked = 0;
}

void serve(Cpu& cpu) {
  if (!__atomic_load_n(&cpu.flush_wanted, __ATOMIC_ACQUIRE)) return;
  x86::write_cr3(x86::read_cr3());
  __atomic_store_n(&cpu.flush_wanted, false, __ATOMIC_RELEASE);
}

}  // namespace twofold::kernel::tlb
