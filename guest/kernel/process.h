// Processes: the table, birth and death.
//
// Life: kProcUnused → kProcEmbryo → kProcRunnable ⇄ kProcRunning ⇄ kProcSleeping → kProcZombie → kProcUnused.
// A zombie has given back all but its table entry and kernel stack; those its parent frees in wait().
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"
#include "guest/kernel/address_space.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/file.h"
#include "guest/kernel/trap.h"

namespace twofold::kernel {

struct Process {
  int32_t pid;  // 0: the entry is free
  guest_abi::ProcState state;
  bool killed;         // ends when it next leaves the kernel; its sleeps end at once
  bool kernel_thread;  // has no user half, and cannot be killed
  bool leader;         // started by the first process itself: a shell
  int32_t exit_status;
  Process* parent;  // null for the first process only
  AddressSpace space;
  KernelStack* stack;
  Context* context;     // where to go on, while it does not run
  const void* channel;  // what it sleeps on
  uint32_t wake_tick;   // of sleep_ticks
  uint32_t ticks;       // spent running
  File* files[guest_abi::kMaxFiles];
  char name[16];

  // What the process goes back to user mode with. Valid while it is in the kernel by way of a trap.
  TrapFrame& user_frame() { return *reinterpret_cast<TrapFrame*>(stack->top() - sizeof(TrapFrame)); }
};

extern Process processes[guest_abi::kMaxProcs];

// Makes the first process from /init, or else from /bin/sh, and makes it runnable. Panics if neither works.
void create_first_process();

// Makes a process that runs `main` in the kernel, for good, and makes it runnable. Panics if there is no room.
void create_kernel_thread(const char* name, void (*main)());

// These act on the current process. fork and wait return what the system call does.
int32_t fork_process();
int32_t wait_for_child(UserAddr status_address);
[[noreturn]] void exit_process(int32_t status);

// Whether somebody or something may end it: not the first process, a kernel thread, a zombie, a free entry.
bool may_be_killed(const Process& process);

// Marks a process so that it ends soon. Returns 0, -kENoent (zombies too), or -kEInval for
// the first process and kernel threads.
int32_t kill_process(int32_t pid);

// What ^C does: kills all but the first process and its children, that is, all that a shell has started.
void kill_foreground();

// Makes the process's name the last part of `path`.
void set_process_name(Process& process, const char* path);

}  // namespace twofold::kernel
