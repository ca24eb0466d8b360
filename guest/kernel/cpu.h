// Per-processor state, the big kernel lock, and how code finds the processor it runs on.
//
// The kernel runs with interrupts off, and under one lock: a trap from user mode takes it, the return to user mode
// gives it back. So kernel code is never preempted and never runs twice at once; what it must guard against is
// only what happens while it sleeps (scheduler.h). The lock belongs to a processor, not to a process: it stays
// held across a context switch.
#pragma once

#include <stdint.h>

#include "guest/kernel/layout.h"

namespace twofold::kernel {

struct Context;
struct Process;

constexpr uint32_t kMaxCpus = 8;

constexpr uint16_t kKernelCode = 0x08;
constexpr uint16_t kKernelData = 0x10;
constexpr uint16_t kUserCode = 0x18 | 3;
constexpr uint16_t kUserData = 0x20 | 3;
constexpr uint16_t kTaskSelector = 0x28;

// Only what the processor reads on a trap from user mode is ever set. SDM vol. 3, 7.2.1.
struct TaskState {
  uint32_t link;
  uint32_t esp0;
  uint32_t ss0;
  uint32_t unused[22];
  uint16_t trap;
  uint16_t io_map;  // beyond the limit: no port is open to user mode
};
static_assert(sizeof(TaskState) == 104);

struct Cpu {
  uint32_t id;  // index in cpus, 0 for the boot processor
  uint32_t apic_id;
  bool started;
  bool idle;  // halted or about to be; whoever clears it sees to an interrupt. Read without the lock by its own CPU
  bool need_reschedule;  // the running process has used up its tick
  // Flushes of its translations that others have asked for, counted by who holds the lock; and how many of these it has
  // done. Both atomic: tlb.cc.
  uint32_t flushes_wanted;
  uint32_t flushes_done;
  Process* current;  // null while idle
  Context* idle_context;
  uint64_t gdt[6];
  TaskState tss;
};

extern Cpu cpus[kMaxCpus];
extern uint32_t cpu_count;  // that exist, started or not; at least 1

// Every kernel stack is one page, so that the stack pointer leads to this header at its lower end.
struct KernelStack {
  uint32_t canary;
  Cpu* cpu;  // that the stack is in use on; set at each context switch
  uint8_t space[kPageSize - 8];

  uint8_t* top() { return reinterpret_cast<uint8_t*>(this) + kPageSize; }
};
static_assert(sizeof(KernelStack) == kPageSize);
constexpr uint32_t kStackCanary = 0x5afe57ac;

inline KernelStack& this_stack() {
  uint32_t esp;
  asm volatile("movl %%esp, %0" : "=r"(esp));
  return *reinterpret_cast<KernelStack*>(page_round_down(esp - 1));
}

inline Cpu& this_cpu() {
  return *this_stack().cpu;
}

// The process that runs here. REQUIRES: not idle.
inline Process& current_process() {
  return *this_cpu().current;
}

// Panics if the running stack has grown over its lower end.
void check_stack();

// Loads this processor's GDT, task register and control registers (write-protect on; floating point traps).
void init_cpu(Cpu& cpu);

// A spinlock with an owner. Not a fair one: a virtual processor whose turn it is may not be running, and all others
// would wait for it. The acquiring exchange pairs with the releasing store of `held_`.
class BigKernelLock {
 public:
  void acquire();
  void release();

  // Between a release() and the acquire() right behind it: waits until one of those that spin for the lock has it,
  // for they would lose that race each time. Gives up soon: a virtual processor may not be running.
  void let_waiters_in() const;

  [[nodiscard]] bool held_here() const;

 private:
  bool held_ = false;
  uint32_t waiters_ = 0;                 // processors that spin in acquire(); a hint, so relaxed
  const Cpu* volatile owner_ = nullptr;  // written by the holder only
};

extern BigKernelLock big_kernel_lock;

}  // namespace twofold::kernel
