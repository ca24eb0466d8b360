// ps: the processes, with the page directory each runs on.
#include "guest/user/ulib/print.h"
#include "guest/user/ulib/syscall.h"

namespace {

const char* state_text(uint32_t state) {
  switch (state) {
    case guest_abi::kProcEmbryo:
      return "embryo";
    case guest_abi::kProcSleeping:
      return "sleep";
    case guest_abi::kProcRunnable:
      return "ready";
    case guest_abi::kProcRunning:
      return "run";
    case guest_abi::kProcZombie:
      return "zombie";
    default:
      return "?";
  }
}

guest_abi::ProcInfo list[guest_abi::kMaxProcs];

}  // namespace

int main() {
  const int32_t count = ulib::procs(list, guest_abi::kMaxProcs);
  if (count < 0) ulib::die("ps: %s", ulib::error_text(count));
  // Narrow, so that two fit side by side on a terminal.
  ulib::print("%4s %4s %-6s %6s %6s %10s %5s  %s\n", "PID", "PPID", "STATE", "RES K", "SWAP K", "CR3", "TICKS", "NAME");
  for (int32_t i = 0; i < count; ++i) {
    const guest_abi::ProcInfo& process = list[i];
    ulib::print("%4d %4d %-6s %6u %6u 0x%08x %5u  %s\n", process.pid, process.parent, state_text(process.state),
                process.resident * 4, process.swapped * 4, process.cr3, process.ticks, process.name);
  }
  return 0;
}
