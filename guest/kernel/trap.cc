#include "guest/kernel/trap.h"

#include "guest/abi/abi.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/fault.h"
#include "guest/kernel/irq.h"
#include "guest/kernel/lapic.h"
#include "guest/kernel/print.h"
#include "guest/kernel/process.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/syscall.h"
#include "guest/kernel/tlb.h"

namespace twofold::kernel {
namespace {

void dispatch(TrapFrame& frame) {
  if (frame.vector < kExceptionCount) {
    handle_exception(frame);
    return;
  }
  switch (frame.vector) {
    case guest_abi::kSyscallVector:
      handle_syscall(frame);
      return;
    case kVectorTimer:
      lapic::end_of_interrupt();
      on_tick();
      return;
    case kVectorReschedule:
      lapic::end_of_interrupt();
      return;  // being awake is all that was asked for
    default:
      if (frame.vector - kVectorIrqBase < irq::kLines) irq::handle(frame.vector - kVectorIrqBase);
      // A spurious interrupt, of the LAPIC or of a masked 8259: neither wants an end-of-interrupt.
      return;
  }
}

// A tick on an idle processor that keeps no time: nothing to do, so nothing to wait for the lock for.
bool is_idle_tick(const TrapFrame& frame) {
  const Cpu& cpu = this_cpu();
  return frame.vector == kVectorTimer && cpu.id != 0 && cpu.current == nullptr;
}

// What is due before the current process goes back to user mode.
void leave_kernel() {
  check_stack();
  if (!current_process().killed && this_cpu().need_reschedule) yield();
  if (current_process().killed) exit_process(guest_abi::kKilledStatus);
}

}  // namespace

void trap(TrapFrame* frame) {
  if (frame->vector == kVectorFlush) {  // from who holds the lock
    lapic::end_of_interrupt();
    tlb::serve(this_cpu());
    return;
  }
  if (is_idle_tick(*frame)) {
    lapic::end_of_interrupt();
    return;
  }
  // Held already: an exception in the kernel. All else finds it free, see cpu.h.
  const bool enter = !big_kernel_lock.held_here();
  if (enter) big_kernel_lock.acquire();
  dispatch(*frame);
  if (frame->from_user()) leave_kernel();
  if (enter) big_kernel_lock.release();
}

void print_registers(const TrapFrame& frame) {
  kprintf("  eip %04x:%08x eflags %08x vector %u error 0x%x\n", frame.cs, frame.eip, frame.eflags, frame.vector,
          frame.error);
  kprintf("  eax %08x ebx %08x ecx %08x edx %08x esi %08x edi %08x ebp %08x esp %08x\n", frame.eax, frame.ebx,
          frame.ecx, frame.edx, frame.esi, frame.edi, frame.ebp,
          frame.from_user() ? frame.esp : reinterpret_cast<uint32_t>(&frame.esp));
}

}  // namespace twofold::kernel
