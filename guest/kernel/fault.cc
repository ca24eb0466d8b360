#include "guest/kernel/fault.h"

#include "guest/kernel/print.h"
#include "guest/kernel/process.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {
namespace {

// Error code of a page fault. SDM vol. 3, 4.7.
constexpr uint32_t kFaultPresent = 1u << 0;
constexpr uint32_t kFaultWrite = 1u << 1;
constexpr uint32_t kFaultUser = 1u << 2;

constexpr const char* kNames[kExceptionCount] = {"divide error",
                                                 "debug trap",
                                                 "non-maskable interrupt",
                                                 "breakpoint",
                                                 "overflow",
                                                 "bound exceeded",
                                                 "invalid opcode",
                                                 "no floating-point unit",
                                                 "double fault",
                                                 "coprocessor overrun",
                                                 "invalid TSS",
                                                 "segment not present",
                                                 "stack fault",
                                                 "general protection",
                                                 "page fault",
                                                 "exception 15",
                                                 "floating-point error",
                                                 "alignment check",
                                                 "machine check",
                                                 "SIMD error",
                                                 "virtualization",
                                                 "control protection",
                                                 "exception 22",
                                                 "exception 23",
                                                 "exception 24",
                                                 "exception 25",
                                                 "exception 26",
                                                 "exception 27",
                                                 "hypervisor injection",
                                                 "VMM communication",
                                                 "security",
                                                 "exception 31"};

const char* describe_access(const TrapFrame& frame, uint32_t address) {
  if ((frame.error & kFaultWrite) != 0) return "write to";
  return address == frame.eip ? "fetch from" : "read from";
}

const char* describe_page(const TrapFrame& frame, uint32_t address) {
  const bool kernel_half = address >= kUserTop;
  if ((frame.error & kFaultPresent) != 0) return kernel_half ? "a present supervisor page" : "a present read-only page";
  if (kernel_half) return "an unmapped supervisor page";
  return address < kUserTextBase ? "the null page" : "an unmapped page";
}

// The flags that the processor set: present, write, user.
void print_flags(uint32_t error) {
  kprintf("(");
  const char* separator = "";
  for (uint32_t i = 0; i < 3; ++i) {
    if ((error & (1u << i)) == 0) continue;
    kprintf("%s%c", separator, "PWU"[i]);
    separator = " ";
  }
  kprintf(")");
}

void kill_for_page_fault(const TrapFrame& frame, uint32_t address, FaultResult result) {
  Process& self = current_process();
  kprintf("pid %d (%s): killed: page fault at 0x%x eip 0x%x: %s %s ", self.pid, self.name, address, frame.eip,
          describe_access(frame, address), describe_page(frame, address));
  print_flags(frame.error);
  const char* reason = "";
  if (result == FaultResult::kNoMemory) reason = ": out of memory";
  if (result == FaultResult::kIoError) reason = ": the swap disk cannot give the page back";
  kprintf("%s\n", reason);
  ++fault_counts.killed;
  self.killed = true;
}

void handle_page_fault(TrapFrame& frame) {
  const uint32_t address = x86::read_cr2();
  if (!frame.from_user()) {
    panic_at(&frame, "page fault at 0x%x eip 0x%x error 0x%x", address, frame.eip, frame.error);
  }
  const Access access = (frame.error & kFaultWrite) != 0 ? Access::kWrite : Access::kRead;
  const FaultResult result = current_process().space.fault(address, access);
  if (result == FaultResult::kServed || result == FaultResult::kKilled) return;  // whoever killed it has said why
  kill_for_page_fault(frame, address, result);
}

}  // namespace

void handle_exception(TrapFrame& frame) {
  if (frame.vector == kVectorPageFault) {
    handle_page_fault(frame);
    return;
  }
  const char* const name = kNames[frame.vector];
  if (!frame.from_user()) panic_at(&frame, "%s at eip 0x%x error 0x%x", name, frame.eip, frame.error);
  Process& self = current_process();
  kprintf("pid %d (%s): killed: %s at eip 0x%x error 0x%x\n", self.pid, self.name, name, frame.eip, frame.error);
  ++fault_counts.killed;
  self.killed = true;
}

}  // namespace twofold::kernel
