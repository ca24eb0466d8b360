#include "guest/kernel/cpu.h"

#include "guest/kernel/print.h"
#include "guest/kernel/tlb.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {

constinit Cpu cpus[kMaxCpus]{};
constinit uint32_t cpu_count = 1;
constinit BigKernelLock big_kernel_lock{};

namespace {

// SDM vol. 3, 3.4.5. Flat 4 GiB code and data segments, and a TSS.
constexpr uint64_t kFlatKernelCode = 0x00cf9a000000ffff;
constexpr uint64_t kFlatKernelData = 0x00cf92000000ffff;
constexpr uint64_t kFlatUserCode = 0x00cffa000000ffff;
constexpr uint64_t kFlatUserData = 0x00cff2000000ffff;

constexpr uint64_t task_descriptor(uint32_t base) {
  constexpr uint64_t kPresentTss = 0x0000890000000000;
  return kPresentTss | (sizeof(TaskState) - 1) | (static_cast<uint64_t>(base & 0xffffff) << 16) |
         (static_cast<uint64_t>(base >> 24) << 56);
}

struct [[gnu::packed]] DescriptorTable {
  uint16_t limit;
  uint32_t base;
};

}  // namespace

void init_cpu(Cpu& cpu) {
  cpu.tss = {};
  cpu.tss.ss0 = kKernelData;
  cpu.tss.io_map = sizeof(TaskState);
  const uint64_t gdt[] = {0,
                          kFlatKernelCode,
                          kFlatKernelData,
                          kFlatUserCode,
                          kFlatUserData,
                          task_descriptor(reinterpret_cast<uint32_t>(&cpu.tss))};
  for (uint32_t i = 0; i < 6; ++i) cpu.gdt[i] = gdt[i];

  const DescriptorTable table{sizeof(cpu.gdt) - 1, reinterpret_cast<uint32_t>(cpu.gdt)};
  asm volatile(
      "lgdt %0\n\t"
      "ljmp %1, $1f\n"
      "1:\n\t"
      "movl %2, %%ds; movl %2, %%es; movl %2, %%ss\n\t"
      "movl %3, %%fs; movl %3, %%gs\n\t"
      "ltr %w4"
      :
      : "m"(table), "i"(kKernelCode), "r"(static_cast<uint32_t>(kKernelData)), "r"(0u),
        "r"(static_cast<uint32_t>(kTaskSelector))
      : "memory");

  // No x87, MMX or SSE: each such instruction traps, so there is no such state to save. (QEMU's emulation, 7.2 and
  // 10.0, lets EMMS pass whatever CR0 says; it makes no state that a program could read back.)
  constexpr uint32_t kSet = x86::kCr0WriteProtect | x86::kCr0Emulate | x86::kCr0NumericError;
  x86::write_cr0((x86::read_cr0() | kSet) & ~x86::kCr0Monitor);
  if ((x86::cpuid(1).edx & x86::kCpuidPge) != 0) x86::write_cr4(x86::read_cr4() | x86::kCr4GlobalPages);
}

void check_stack() {
  if (this_stack().canary != kStackCanary) {
    this_stack().canary = kStackCanary;
    PANIC("kernel stack at 0x%x overflowed", reinterpret_cast<uint32_t>(&this_stack()));
  }
}

void BigKernelLock::acquire() {
  if (__atomic_exchange_n(&held_, true, __ATOMIC_ACQUIRE)) {
    __atomic_fetch_add(&waiters_, 1, __ATOMIC_RELAXED);
    do {
      while (__atomic_load_n(&held_, __ATOMIC_RELAXED)) {
        tlb::serve(this_cpu());  // whoever holds the lock may be waiting for that
        x86::pause();
      }
    } while (__atomic_exchange_n(&held_, true, __ATOMIC_ACQUIRE));
    __atomic_fetch_sub(&waiters_, 1, __ATOMIC_RELAXED);
  }
  owner_ = &this_cpu();
  tlb::serve(this_cpu());
}

void BigKernelLock::release() {
  owner_ = nullptr;
  __atomic_store_n(&held_, false, __ATOMIC_RELEASE);
}

void BigKernelLock::let_waiters_in() const {
  constexpr uint32_t kMaxPauses = 1000;
  for (uint32_t i = 0; i < kMaxPauses && __atomic_load_n(&waiters_, __ATOMIC_RELAXED) > 0; ++i) {
    if (__atomic_load_n(&held_, __ATOMIC_RELAXED)) return;
    x86::pause();
  }
}

bool BigKernelLock::held_here() const {
  return owner_ == &this_cpu();
}

}  // namespace twofold::kernel
