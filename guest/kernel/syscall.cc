#include "guest/kernel/syscall.h"

#include "guest/abi/abi.h"

namespace twofold::kernel {
namespace {

using Handler = int32_t (*)(const SyscallArguments&);

struct Entry {
  guest_abi::Syscall number;
  Handler handler;
};

constexpr Entry kCalls[] = {
    {guest_abi::kSysFork, sys_fork},         {guest_abi::kSysExec, sys_exec},       {guest_abi::kSysExit, sys_exit},
    {guest_abi::kSysWait, sys_wait},         {guest_abi::kSysKill, sys_kill},       {guest_abi::kSysGetpid, sys_getpid},
    {guest_abi::kSysSbrk, sys_sbrk},         {guest_abi::kSysSleep, sys_sleep},     {guest_abi::kSysUptime, sys_uptime},
    {guest_abi::kSysOpen, sys_open},         {guest_abi::kSysRead, sys_read},       {guest_abi::kSysWrite, sys_write},
    {guest_abi::kSysClose, sys_close},       {guest_abi::kSysDup, sys_dup},         {guest_abi::kSysPipe, sys_pipe},
    {guest_abi::kSysFstat, sys_fstat},       {guest_abi::kSysMemstat, sys_memstat}, {guest_abi::kSysProcs, sys_procs},
    {guest_abi::kSysShutdown, sys_shutdown}, {guest_abi::kSysCmdline, sys_cmdline}, {guest_abi::kSysAudit, sys_audit},
};

// The table is indexed by number; this is the proof that it may be.
consteval bool calls_are_in_order() {
  for (uint32_t i = 0; i < sizeof(kCalls) / sizeof(Entry); ++i) {
    if (kCalls[i].number != i + 1) return false;
  }
  return sizeof(kCalls) / sizeof(Entry) == guest_abi::kSyscallCount - 1;
}
static_assert(calls_are_in_order());

}  // namespace

void handle_syscall(TrapFrame& frame) {
  const uint32_t number = frame.eax;
  if (number == 0 || number >= guest_abi::kSyscallCount) {
    frame.eax = static_cast<uint32_t>(-guest_abi::kENosys);
    return;
  }
  const SyscallArguments arguments{frame.ebx, frame.ecx, frame.edx, frame.esi};
  const int32_t result = kCalls[number - 1].handler(arguments);
  // exec has replaced the frame: its new program starts with all registers zero.
  if (number == guest_abi::kSysExec && result == 0) return;
  frame.eax = static_cast<uint32_t>(result);
}

}  // namespace twofold::kernel
