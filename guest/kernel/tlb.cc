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

// Only who holds the lock asks. The store is a pair with serve()'s load: what was changed before it is seen by the
// walks that come after the flush.
void want_flush(Cpu& cpu) {
  __atomic_store_n(&cpu.flushes_wanted, cpu.flushes_wanted + 1, __ATOMIC_SEQ_CST);
}

}  // namespace

void mark(const Process& process, UserAddr address) {
  if (const Cpu* const other = forget_here(process, address); other != nullptr) marked |= 1u << other->id;
}

void mark_lazily(const Process& process, UserAddr address) {
  if (Cpu* const other = forget_here(process, address); other != nullptr) want_flush(*other);
}

void flush() {
  for (uint32_t i = 0; i < cpu_count; ++i) {
    if ((marked & 1u << i) == 0) continue;
    want_flush(cpus[i]);
    lapic::send_interrupt(cpus[i].apic_id, kVectorFlush);
  }
  for (uint32_t i = 0; i < cpu_count; ++i) {
    if ((marked & 1u << i) == 0) continue;
    while (__atomic_load_n(&cpus[i].flushes_done, __ATOMIC_ACQUIRE) != cpus[i].flushes_wanted) x86::pause();
  }
  marked = 0;
}

void serve(Cpu& cpu) {
  // What is asked for after this load is for the next call: a flush that comes before the asking does not count.
  const uint32_t wanted = __atomic_load_n(&cpu.flushes_wanted, __ATOMIC_ACQUIRE);
  if (wanted == cpu.flushes_done) return;
  x86::write_cr3(x86::read_cr3());
  __atomic_store_n(&cpu.flushes_done, wanted, __ATOMIC_RELEASE);
}

}  // namespace twofold::kernel::tlb
