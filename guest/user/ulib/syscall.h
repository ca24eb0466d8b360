// System call stubs: one function per guest_abi::Syscall, same arguments.
//
// Each returns what the kernel returns: zero or more on success, a negated guest_abi::Errno on failure.
#pragma once

#include <stdint.h>

#include "guest/abi/abi.h"

namespace ulib {

inline int32_t syscall(uint32_t number, uint32_t a = 0, uint32_t b = 0, uint32_t c = 0, uint32_t d = 0) {
  int32_t result;
  asm volatile("int %1"
               : "=a"(result)
               : "i"(guest_abi::kSyscallVector), "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
               : "memory", "cc");
  return result;
}

inline uint32_t address_of(const volatile void* pointer) {
  return reinterpret_cast<uint32_t>(pointer);
}

inline int32_t fork() {
  return syscall(guest_abi::kSysFork);
}
inline int32_t exec(const char* path, const char* const* argv) {
  return syscall(guest_abi::kSysExec, address_of(path), address_of(argv));
}
[[noreturn]] inline void exit(int32_t status) {
  for (;;) syscall(guest_abi::kSysExit, static_cast<uint32_t>(status));
}
inline int32_t wait(int32_t* status) {
  return syscall(guest_abi::kSysWait, address_of(status));
}
inline int32_t kill(int32_t pid) {
  return syscall(guest_abi::kSysKill, static_cast<uint32_t>(pid));
}
inline int32_t getpid() {
  return syscall(guest_abi::kSysGetpid);
}
inline int32_t sbrk(int32_t delta) {
  return syscall(guest_abi::kSysSbrk, static_cast<uint32_t>(delta));
}
inline int32_t sleep_ticks(uint32_t ticks) {
  return syscall(guest_abi::kSysSleep, ticks);
}
inline uint32_t uptime_ticks() {
  return static_cast<uint32_t>(syscall(guest_abi::kSysUptime));
}
inline int32_t open(const char* path, uint32_t flags) {
  return syscall(guest_abi::kSysOpen, address_of(path), flags);
}
inline int32_t read(int32_t fd, void* buffer, uint32_t size) {
  return syscall(guest_abi::kSysRead, static_cast<uint32_t>(fd), address_of(buffer), size);
}
inline int32_t write(int32_t fd, const void* buffer, uint32_t size) {
  return syscall(guest_abi::kSysWrite, static_cast<uint32_t>(fd), address_of(buffer), size);
}
inline int32_t close(int32_t fd) {
  return syscall(guest_abi::kSysClose, static_cast<uint32_t>(fd));
}
inline int32_t dup(int32_t fd) {
  return syscall(guest_abi::kSysDup, static_cast<uint32_t>(fd));
}
inline int32_t pipe(int32_t fds[2]) {
  return syscall(guest_abi::kSysPipe, address_of(fds));
}
inline int32_t fstat(int32_t fd, guest_abi::Stat* stat) {
  return syscall(guest_abi::kSysFstat, static_cast<uint32_t>(fd), address_of(stat));
}
inline int32_t memstat(guest_abi::MemStat* stat, uint32_t size) {
  return syscall(guest_abi::kSysMemstat, address_of(stat), size);
}
inline int32_t procs(guest_abi::ProcInfo* list, uint32_t max) {
  return syscall(guest_abi::kSysProcs, address_of(list), max);
}
[[noreturn]] inline void shutdown(uint32_t value) {
  for (;;) syscall(guest_abi::kSysShutdown, value);
}
inline int32_t audit() {
  return syscall(guest_abi::kSysAudit);
}
inline int32_t cmdline(char* buffer, uint32_t size) {
  return syscall(guest_abi::kSysCmdline, address_of(buffer), size);
}

}  // namespace ulib
