#include "guest/kernel/smp.h"

#include "guest/kernel/cpu.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/interrupts.h"
#include "guest/kernel/lapic.h"
#include "guest/kernel/paging.h"
#include "guest/kernel/print.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/timer.h"

// In guest/boot/trampoline.S.
extern "C" uint8_t trampoline_start[];
extern "C" uint8_t trampoline_end[];
extern "C" uint8_t trampoline_stack[];

namespace twofold::kernel {

// Where the trampoline jumps to, on the processor's own idle stack.
extern "C" [[noreturn]] void processor_main() {
  Cpu& cpu = this_cpu();
  init_cpu(cpu);
  interrupts::load();
  lapic::init();
  timer::start();
  cpu.idle = true;
  __atomic_store_n(&cpu.started, true, __ATOMIC_RELEASE);  // pairs with the load in start()
  wait_for_work();  // rather than spin for the lock, which the boot processor holds until it idles
  big_kernel_lock.acquire();
  idle_loop();
}

namespace smp {
namespace {

constexpr uint32_t kPollMicroseconds = 100;
constexpr uint32_t kMaxPolls = 30000;  // 3 s: a virtual processor may have to wait for its turn
constexpr uint32_t kStopMicroseconds = 10000;

// Puts a late processor back to where it waits for a startup IPI, for what it would start on is about to be the next
// one's stack, or unmapped. It may have come up just now, and is then no more up: it holds no lock before start()
// has seen it. INIT goes out twice, as one does not cancel a pending startup IPI in QEMU's emulation: the processor
// starts right after it. Its stack stays its own.
void stop(Cpu& cpu) {
  for (uint32_t i = 0; i < 2; ++i) {
    lapic::send_init(cpu.apic_id);
    timer::delay_microseconds(kStopMicroseconds);
  }
  __atomic_store_n(&cpu.started, false, __ATOMIC_RELAXED);
}

// SDM vol. 3, 9.4.4.1: INIT, 10 ms, startup IPI, and a second one if the first had no effect. The 10 ms are for
// processors of the last century; a virtual one needs none.
bool start(Cpu& cpu) {
  auto* stack = reinterpret_cast<KernelStack*>(frames::allocate(frames::Use::kKernel));
  if (stack == nullptr) return false;
  stack->canary = kStackCanary;
  stack->cpu = &cpu;
  const uint32_t top = reinterpret_cast<uint32_t>(stack->top());
  memcpy(to_virtual(kTrampolineAddress) + (trampoline_stack - trampoline_start), &top, sizeof(top));

  lapic::send_init(cpu.apic_id);
  lapic::send_startup(cpu.apic_id, kTrampolineAddress);
  for (uint32_t i = 0; i < kMaxPolls; ++i) {
    if (__atomic_load_n(&cpu.started, __ATOMIC_ACQUIRE)) return true;
    timer::delay_microseconds(kPollMicroseconds);
    if (i == 2) lapic::send_startup(cpu.apic_id, kTrampolineAddress);
  }
  stop(cpu);
  kprintf("processor with APIC id %u does not start; going on without it\n", cpu.apic_id);
  return false;
}

}  // namespace

void find_processors(const Platform& platform) {
  cpus[0].apic_id = lapic::id();
  cpus[0].started = true;
  cpu_count = 1;
  for (uint32_t i = 0; i < platform.cpu_count && cpu_count < kMaxCpus; ++i) {
    if (platform.apic_ids[i] == cpus[0].apic_id || (i == 0 && platform.cpu_count == 1)) continue;
    cpus[cpu_count].id = cpu_count;
    cpus[cpu_count].apic_id = platform.apic_ids[i];
    ++cpu_count;
  }
}

uint32_t start_processors() {
  if (cpu_count == 1) return 1;
  memcpy(to_virtual(kTrampolineAddress), trampoline_start, static_cast<uint32_t>(trampoline_end - trampoline_start));
  paging::map_identity(true);
  uint32_t running = 1;
  for (uint32_t i = 1; i < cpu_count; ++i) running += start(cpus[i]) ? 1 : 0;
  paging::map_identity(false);
  return running;
}

}  // namespace smp
}  // namespace twofold::kernel
