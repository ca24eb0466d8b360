// Who runs: round-robin over the process table, a tick at a time, one idle loop a processor.
//
// A process in the kernel runs until it sleeps, yields or returns to user mode. Whatever it knew of shared state
// before sleeping or yielding it must look at again afterwards.
//
// Thread safety: the big kernel lock, held by the caller and across the switch.
#pragma once

#include <stdint.h>

namespace twofold::kernel {

struct Process;

// What switch.S leaves on the stack of whoever does not run.
struct Context {
  uint32_t edi, esi, ebx, ebp;
  uint32_t eip;
};

// Switches to the next runnable process, or to the idle loop. Returns when this one is chosen again. The caller has
// set the state of the current process to something other than running.
void schedule();

// Lets others run if there are any.
void yield();

// Sleeps until wake_up(channel). Returns false if the process has been killed: then the caller gives up.
[[nodiscard]] bool sleep_on(const void* channel);

// The same until `ticks` timer ticks have passed; false if killed before.
[[nodiscard]] bool sleep_ticks(uint32_t ticks);

// Makes all who sleep on `channel` runnable.
void wake_up(const void* channel);

// Makes an embryo or a sleeper runnable, and calls an idle processor to work if this one is busy.
void make_runnable(Process& process);

// For long work in the kernel: lets interrupts and other processes in. Returns false if the process has been
// killed meanwhile. User memory pieces resolved before must be resolved again.
[[nodiscard]] bool preempt_point();

// Called by each processor's timer interrupt. The boot processor's counts time and ends sleeps.
void on_tick();

// Ticks since boot.
uint32_t uptime_ticks();

// Halts until make_runnable clears this processor's idle flag. REQUIRES: idle is set, lock not held.
void wait_for_work();

// What a processor does when it has nothing to do. REQUIRES: on the processor's own idle stack, lock held.
[[noreturn]] void idle_loop();

}  // namespace twofold::kernel
