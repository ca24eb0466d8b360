#include "guest/kernel/scheduler.h"

#include "guest/kernel/lapic.h"
#include "guest/kernel/process.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {

extern "C" void switch_context(Context** save_here, Context* resume);

namespace {

constinit uint32_t ticks_since_boot = 0;
constinit uint32_t last_chosen = 0;     // index in processes
constinit const char tick_channel = 0;  // what sleep_ticks sleeps on

Process* choose() {
  for (uint32_t i = 1; i <= guest_abi::kMaxProcs; ++i) {
    const uint32_t candidate = (last_chosen + i) % guest_abi::kMaxProcs;
    if (processes[candidate].state != guest_abi::kProcRunnable) continue;
    last_chosen = candidate;
    return &processes[candidate];
  }
  return nullptr;
}

}  // namespace

void schedule() {
  check_stack();
  Cpu& cpu = this_cpu();
  Process* const self = cpu.current;
  Process* const next = choose();
  cpu.need_reschedule = false;
  if (next != nullptr) next->state = guest_abi::kProcRunning;
  if (next == self) return;

  Context** const save_here = self != nullptr ? &self->context : &cpu.idle_context;
  cpu.current = next;
  if (next == nullptr) {
    x86::write_cr3(to_physical(kernel_page_directory));  // nobody's space may go away under an idle processor
    switch_context(save_here, cpu.idle_context);
    return;
  }
  next->stack->cpu = &cpu;
  cpu.tss.esp0 = reinterpret_cast<uint32_t>(next->stack->top());
  next->space.load();
  switch_context(save_here, next->context);
}

void yield() {
  current_process().state = guest_abi::kProcRunnable;
  schedule();
}

bool sleep_on(const void* channel) {
  Process& self = current_process();
  if (self.killed) return false;
  self.channel = channel;
  self.state = guest_abi::kProcSleeping;
  schedule();
  self.channel = nullptr;
  return !self.killed;
}

bool sleep_ticks(uint32_t ticks) {
  Process& self = current_process();
  const uint32_t start = ticks_since_boot;
  self.wake_tick = start + ticks;
  while (ticks_since_boot - start < ticks) {
    if (!sleep_on(&tick_channel)) return false;
  }
  return true;
}

void wake_up(const void* channel) {
  for (Process& process : processes) {
    if (process.state == guest_abi::kProcSleeping && process.channel == channel) make_runnable(process);
  }
}

void make_runnable(Process& process) {
  process.state = guest_abi::kProcRunnable;
  Cpu& here = this_cpu();
  if (here.idle) {  // this processor was interrupted in its idle loop, and will look for work next
    here.idle = false;
    return;
  }
  for (uint32_t i = 0; i < cpu_count; ++i) {
    if (!cpus[i].started || !cpus[i].idle) continue;
    cpus[i].idle = false;
    lapic::send_interrupt(cpus[i].apic_id, kVectorReschedule);
    return;
  }
}

bool preempt_point() {
  big_kernel_lock.release();
  x86::open_interrupt_window();
  big_kernel_lock.let_waiters_in();
  big_kernel_lock.acquire();
  if (this_cpu().need_reschedule) yield();
  return !current_process().killed;
}

void on_tick() {
  Cpu& cpu = this_cpu();
  cpu.need_reschedule = true;
  if (cpu.current != nullptr) ++cpu.current->ticks;
  if (cpu.id != 0) return;
  ++ticks_since_boot;
  for (Process& process : processes) {
    // The difference, not the order: tick counts wrap around.
    if (process.state == guest_abi::kProcSleeping && process.channel == &tick_channel &&
        static_cast<int32_t>(ticks_since_boot - process.wake_tick) >= 0) {
      make_runnable(process);
    }
  }
}

uint32_t uptime_ticks() {
  return ticks_since_boot;
}

void idle_loop() {
  Cpu& cpu = this_cpu();
  for (;;) {
    schedule();
    cpu.idle = true;
    big_kernel_lock.release();
    wait_for_work();
    big_kernel_lock.acquire();
  }
}

void wait_for_work() {
  // Interrupts are off between the check and the halt: a call to work that comes there ends the halt at once.
  do {
    x86::wait_for_interrupt();
  } while (__atomic_load_n(&this_cpu().idle, __ATOMIC_RELAXED));
}

}  // namespace twofold::kernel
