// The system calls of guest/abi/abi.h.
#pragma once

#include <stdint.h>

#include "guest/kernel/trap.h"

namespace twofold::kernel {

struct SyscallArguments {
  uint32_t first, second, third, fourth;  // EBX, ECX, EDX, ESI
};

// Runs the call that the frame asks for, and puts its result into EAX.
void handle_syscall(TrapFrame& frame);

// syscall_process.cc
int32_t sys_fork(const SyscallArguments& arguments);
int32_t sys_exec(const SyscallArguments& arguments);
int32_t sys_exit(const SyscallArguments& arguments);
int32_t sys_wait(const SyscallArguments& arguments);
int32_t sys_kill(const SyscallArguments& arguments);
int32_t sys_getpid(const SyscallArguments& arguments);
int32_t sys_sbrk(const SyscallArguments& arguments);
int32_t sys_sleep(const SyscallArguments& arguments);
int32_t sys_uptime(const SyscallArguments& arguments);
int32_t sys_memstat(const SyscallArguments& arguments);
int32_t sys_procs(const SyscallArguments& arguments);
int32_t sys_shutdown(const SyscallArguments& arguments);
int32_t sys_audit(const SyscallArguments& arguments);
int32_t sys_cmdline(const SyscallArguments& arguments);

// syscall_file.cc
int32_t sys_open(const SyscallArguments& arguments);
int32_t sys_read(const SyscallArguments& arguments);
int32_t sys_write(const SyscallArguments& arguments);
int32_t sys_close(const SyscallArguments& arguments);
int32_t sys_dup(const SyscallArguments& arguments);
int32_t sys_pipe(const SyscallArguments& arguments);
int32_t sys_fstat(const SyscallArguments& arguments);

}  // namespace twofold::kernel
