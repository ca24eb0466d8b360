// System calls on processes, memory, time and the machine. Contracts: guest/abi/abi.h.
#include "guest/kernel/cmdline.h"
#include "guest/kernel/exec.h"
#include "guest/kernel/memory_stat.h"
#include "guest/kernel/print.h"
#include "guest/kernel/process.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/syscall.h"
#include "guest/kernel/user_buffer.h"

namespace twofold::kernel {

int32_t sys_fork(const SyscallArguments& /*arguments*/) {
  return fork_process();
}

int32_t sys_exec(const SyscallArguments& arguments) {
  return exec_process(arguments.first, arguments.second);
}

int32_t sys_exit(const SyscallArguments& arguments) {
  exit_process(static_cast<int32_t>(arguments.first));
}

int32_t sys_wait(const SyscallArguments& arguments) {
  return wait_for_child(arguments.first);
}

int32_t sys_kill(const SyscallArguments& arguments) {
  return kill_process(static_cast<int32_t>(arguments.first));
}

int32_t sys_getpid(const SyscallArguments& /*arguments*/) {
  return current_process().pid;
}

int32_t sys_sbrk(const SyscallArguments& arguments) {
  UserAddr old_break;
  if (!current_process().space.move_break(static_cast<int32_t>(arguments.first), &old_break)) {
    return -guest_abi::kENomem;
  }
  return static_cast<int32_t>(old_break);
}

int32_t sys_sleep(const SyscallArguments& arguments) {
  if (arguments.first > INT32_MAX) return -guest_abi::kEInval;
  (void)sleep_ticks(arguments.first);  // killed: trap() sees to it
  return 0;
}

int32_t sys_uptime(const SyscallArguments& /*arguments*/) {
  return static_cast<int32_t>(uptime_ticks() & INT32_MAX);
}

int32_t sys_memstat(const SyscallArguments& arguments) {
  const guest_abi::MemStat stat = memory_stat();
  const uint32_t size = min<uint32_t>(arguments.second, sizeof(stat));
  const int32_t error = copy_to_user(current_process().space, arguments.first, &stat, size);
  return error != 0 ? error : static_cast<int32_t>(size);
}

int32_t sys_audit(const SyscallArguments& /*arguments*/) {
  return static_cast<int32_t>(audit_memory());
}

int32_t sys_procs(const SyscallArguments& arguments) {
  uint32_t written = 0;
  for (const Process& process : processes) {
    if (process.pid == 0) continue;
    if (written == arguments.second) break;
    guest_abi::ProcInfo info{process.pid,
                             process.parent != nullptr ? process.parent->pid : 0,
                             process.state,
                             process.space.resident_pages(),
                             process.space.cr3(),
                             process.ticks,
                             {},
                             process.space.swapped_pages()};
    memcpy(info.name, process.name, sizeof(info.name));
    const UserAddr target = arguments.first + written * sizeof(info);
    if (const int32_t error = copy_to_user(current_process().space, target, &info, sizeof(info)); error != 0) {
      return error;
    }
    ++written;
  }
  return static_cast<int32_t>(written);
}

int32_t sys_shutdown(const SyscallArguments& arguments) {
  power_off(arguments.first);
}

int32_t sys_cmdline(const SyscallArguments& arguments) {
  const uint32_t count = min(arguments.second, cmdline::length() + 1);
  const int32_t error = copy_to_user(current_process().space, arguments.first, cmdline::text(), count);
  return error != 0 ? error : static_cast<int32_t>(cmdline::length());
}

}  // namespace twofold::kernel
