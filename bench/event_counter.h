// Counts what a process asks of the kernel, from outside and by the kernel's own tracepoints: so that two VMMs are
// counted by the same measure.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "vmm/base/fd.h"

namespace twofold::bench {

// How often a tracepoint fires in the threads that a process has when this is made, and in those that they start.
class EventCounter {
 public:
  // `tracepoint`: "raw_syscalls/sys_enter", "kvm/kvm_exit". Needs CAP_PERFMON and debugfs or tracefs. Throws
  // std::runtime_error.
  EventCounter(const std::string& tracepoint, pid_t process);

  // Since it was made.
  [[nodiscard]] uint64_t count() const;

 private:
  std::vector<UniqueFd> threads_;
};

}  // namespace twofold::bench
